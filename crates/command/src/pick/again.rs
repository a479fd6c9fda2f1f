//! The choice of a workload and the best that was measured, measured again beside each other.
//!
//! The best of a dozen measurements is one that was lucky, too: what a choice seems to lose by it is what it loses
//! and the luck of the best (the winner's curse). So both are measured twice more, all four at the same time, and
//! what a choice loses is told by these alone.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use advise::Facts;
use bench::Asked;
use serde::{Deserialize, Serialize};
use workload::Workload;

use super::check;
use super::records::{self, Cell};

/// How often each is measured.
const TIMES: usize = 2;

/// What was measured again of a workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Again {
    /// The seed of the workloads.
    pub seed: u64,
    /// The workload's number.
    pub workload: usize,
    /// When it was measured, seconds since 1970.
    pub at_s: u64,
    /// The choice.
    pub chosen: Side,
    /// What was the best when all were measured.
    pub best: Side,
}

/// One of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Side {
    /// Model.
    pub model: String,
    /// Requests per second within the objective, 0 where no rate kept it; without those that the machine or the
    /// generator spoilt.
    pub rps: Vec<f64>,
}

impl Side {
    fn mean(&self) -> Option<f64> {
        (!self.rps.is_empty()).then(|| self.rps.iter().sum::<f64>() / self.rps.len() as f64)
    }
}

impl Again {
    /// What the choice lost; `None` where one of the two was never measured.
    pub(super) fn regret(&self) -> Option<f64> {
        let (chosen, best) = (self.chosen.mean()?, self.best.mean()?);
        Some(advise::regret(chosen, best.max(chosen)))
    }

    /// The choice, and the best.
    pub(super) fn sides(&self) -> [&Side; 2] {
        [&self.chosen, &self.best]
    }

    /// Whether it is of this workload and these two.
    pub(super) fn is_of(&self, chosen: &Cell, best: &Cell) -> bool {
        (self.seed, self.workload) == (chosen.seed, chosen.workload)
            && self.chosen.model == chosen.model
            && self.best.model == best.model
    }
}

/// Measures the two.
///
/// # Errors
/// The workload cannot be sent, or Ctrl-C.
pub(super) fn measure(
    workload: &Workload,
    (chosen, best): (&Cell, &Cell),
    facts: &[Facts],
) -> Result<Again, String> {
    let asked = |cell: &Cell| {
        let guess_rps = cell.measured.unwrap_or(cell.expected);
        check::asked_of((&cell.model, &cell.variant), cell.workers, guess_rps, facts)
    };
    let all: Vec<Asked> = (0..TIMES)
        .flat_map(|_| [asked(chosen), asked(best)])
        .collect();
    let found = bench::capacities(workload, &all).map_err(|error| error.to_string())?;
    let side = |model: &str| Side {
        model: model.to_owned(),
        rps: {
            let own = all.iter().zip(&found).filter(|(a, _)| a.model == model);
            own.filter(|(_, m)| !m.spoilt)
                .map(|(_, m)| m.rps.unwrap_or(0.0))
                .collect()
        },
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(Again {
        seed: chosen.seed,
        workload: chosen.workload,
        at_s: since.map_or(0, |time| time.as_secs()),
        chosen: side(&chosen.model),
        best: side(&best.model),
    })
}

/// What is in `file`; nothing where it does not exist.
///
/// # Errors
/// The file cannot be read, or a line is something else.
pub(super) fn read(file: &Path) -> Result<Vec<Again>, String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| format!("{}: line {}: {error}", file.display(), at + 1))
    };
    // A run that was killed leaves half a line.
    let whole = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with('}'));
    whole.map(line).collect()
}

/// Adds one.
///
/// # Errors
/// The file cannot be written.
pub(super) fn append(file: &Path, again: &Again) -> Result<(), String> {
    let text = serde_json::to_string(again).map_err(|error| error.to_string())? + "\n";
    records::add(file, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_again_tells_what_a_choice_loses() {
        let of = |chosen: &[f64], best: &[f64]| Again {
            chosen: Side {
                rps: chosen.to_vec(),
                ..Side::default()
            },
            best: Side {
                rps: best.to_vec(),
                ..Side::default()
            },
            ..Again::default()
        };
        for (chosen, best, regret) in [
            (&[90.0, 90.0][..], &[100.0, 100.0][..], Some(0.1)),
            // The one that was lucky is not the best.
            (&[110.0], &[100.0, 90.0], Some(0.0)),
            (&[0.0, 0.0], &[100.0], Some(1.0)),
            (&[], &[100.0], None),
            (&[90.0], &[], None),
        ] {
            let found = of(chosen, best).regret();
            let near = match (found, regret) {
                (Some(found), Some(regret)) => (found - regret).abs() < 1e-9,
                (None, None) => true,
                _ => false,
            };
            assert!(near, "{chosen:?} {best:?}: {found:?}");
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let file = std::env::temp_dir().join(format!("again-{}.ndjson", std::process::id()));
        assert_eq!(read(&file), Ok(Vec::new()));
        let again = Again {
            seed: 3,
            workload: 4,
            ..Again::default()
        };
        append(&file, &again).expect("written");
        let mut text = fs::read_to_string(&file).expect("a file");
        text += "{\"seed\":3,\"work";
        fs::write(&file, text).expect("written");
        append(&file, &again).expect("written");
        assert_eq!(read(&file), Ok(vec![again.clone(), again]));
        fs::write(&file, "{\"seed\": \"x\"}\n").expect("written");
        assert!(read(&file).is_err_and(|line| line.contains("line 1")));
        fs::remove_file(&file).expect("it is there");
    }
}
