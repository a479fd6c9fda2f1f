//! What `models --json` says of a variant, as far as a prediction needs it.

use serde::Deserialize;

/// A variant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Facts {
    /// Model name.
    pub model: String,
    /// Variant name; `-` where the model has one.
    pub variant: String,
    /// Whether it is its model's default.
    pub default: bool,
    /// How many workers it has.
    pub workers: Count,
    /// Its workers unless told.
    pub workers_default: Option<u32>,
    /// Who is kept busy by an open connection.
    pub holds: Holds,
    /// Whether it has a listener.
    pub listens: bool,
    /// Whether its workers are processes.
    pub processes: bool,
    /// Whether a worker that blocks leaves its connections to the others.
    pub shares: bool,
    /// How many threads at most serve requests that compute or block, beside the workers.
    #[serde(default)]
    pub aside_threads: Option<u32>,
    /// The design rules out more connections.
    pub connections_max: Option<u32>,
    /// Which worker serves a request.
    pub topology: Topology,
    /// How connections are spread.
    pub spread: simulate::Spread,
    /// Whether the kernel must offer io_uring.
    pub io_uring: bool,
    /// Whether it is there to be compared with, since another does the same with less.
    #[serde(default)]
    pub superseded: bool,
}

/// How many workers a variant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// One.
    One,
    /// One for each CPU.
    PerCpu,
    /// A pool.
    Pool,
    /// One for each client, up to a bound.
    UpTo,
}

/// Who is kept busy by an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// The server.
    One,
    /// A worker.
    Workers,
    /// Nobody.
    Many,
}

/// Which worker serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// The loop that holds its connection.
    Loops,
    /// Whichever is free.
    Shared,
    /// The one that its connection occupies.
    Seats,
    /// One behind a loop.
    Staged,
}

impl Facts {
    /// Reads what `models --json` printed.
    ///
    /// # Errors
    /// It is of another version.
    pub fn read(json: &str) -> Result<Vec<Self>, String> {
        serde_json::from_str(json).map_err(|error| format!("models --json: {error}"))
    }

    /// `prefork`, or `prefork:flock` for a variant that is not the default.
    pub fn label(&self) -> String {
        if self.default {
            self.model.clone()
        } else {
            format!("{}:{}", self.model, self.variant)
        }
    }

    /// How much there is to understand, to tune and to look after, for a choice among equals: one worker before
    /// several, several alike before two kinds, one that is current before one that is superseded, as many as were told before one for each client, threads before
    /// processes, the default before another variant, and what every kernel offers before io_uring, which many containers forbid.
    pub(crate) fn complexity(&self) -> u32 {
        let kinds = match self.topology {
            Topology::Seats | Topology::Loops => 0,
            Topology::Shared => 2,
            Topology::Staged => 4,
        };
        kinds
            + u32::from(self.workers != Count::One)
            + u32::from(self.workers == Count::UpTo)
            + u32::from(self.processes && self.workers != Count::One)
            + u32::from(!self.default)
            + u32::from(self.io_uring)
            + 8 * u32::from(self.superseded)
    }
}
