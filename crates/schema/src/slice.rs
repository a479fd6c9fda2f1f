//! Slices: short stretches of load on servers that stand side by side, to be compared pair by pair.
//!
//! In a *rotation* every server of a scenario, the null server and the placebo included, is loaded
//! once, one after the other and with the same arrivals, in an order that is shuffled again. Slices of
//! one scenario, block and rotation are what is paired: they were measured within seconds of each
//! other and with the same shape of load.

use serde::{Deserialize, Serialize};

/// How a scenario is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// One server at a time, fresh for each trial. Runs that do not say were measured so.
    #[default]
    Trials,
    /// All servers side by side, in slices.
    Slices,
}

/// Where a slice belongs; absent on the line of a whole trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The rotation, from 0, within its scenario and block. All its slices have one shape of load,
    /// which the next rotation need not have.
    pub rotation: u32,
    /// Place in the shuffled order of the rotation, from 0.
    pub position: u32,
    /// How long the load lasted, seconds.
    pub seconds: f64,
    /// When it began, seconds from the start of the run on the clock of the wall; absent in runs that
    /// did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_s: Option<f64>,
}

/// A group of figures that a finding may spoil while the others stay good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Correct answers per second.
    Throughput,
    /// Response, service, slip and connect times.
    Latency,
    /// CPU per request and context switches of the server.
    ServerCpu,
    /// Memory and tasks of the server.
    Memory,
    /// A group that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Figure {
    /// Every group that this version writes.
    pub const ALL: [Figure; 4] = [
        Figure::Throughput,
        Figure::Latency,
        Figure::ServerCpu,
        Figure::Memory,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_written_as_the_files_have_it() {
        let slice = Slice {
            rotation: 3,
            position: 1,
            seconds: 0.25,
            began_s: None,
        };
        let json = r#"{"rotation":3,"position":1,"seconds":0.25}"#;
        assert_eq!(serde_json::to_string(&slice).unwrap(), json);
        assert_eq!(serde_json::from_str::<Slice>(json).unwrap(), slice);
        assert_eq!(
            serde_json::to_string(&Measured::Slices).unwrap(),
            "\"slices\""
        );
        assert_eq!(
            serde_json::from_str::<Figure>("\"energy\"").unwrap(),
            Figure::Unknown
        );
    }
}
