//! What was measured to hold predictions to account: a JSON line for each cell, a workload and a variant.

use std::fs;
use std::io::Write;
use std::path::Path;

use schema::profile::Moment;
use serde::{Deserialize, Serialize};

/// A variant at a workload: what was predicted when it was measured, and what was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cell {
    /// The seed of the workloads.
    pub seed: u64,
    /// The workload's number.
    pub workload: usize,
    /// The workload itself, as TOML.
    pub toml: String,
    /// How many cells this workload has: one that ended half-way is measured again.
    pub cells: usize,
    /// When it was measured, seconds since 1970.
    pub at_s: u64,
    /// How fast the machine was then; `None` in files that do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moment: Option<Moment>,
    /// Model.
    pub model: String,
    /// Variant.
    pub variant: String,
    /// `--workers`; `None` for the default.
    pub workers: Option<u32>,
    /// Requests per second as predicted.
    pub low: f64,
    /// The same.
    pub expected: f64,
    /// The same.
    pub high: f64,
    /// Requests per second that kept the objective.
    pub measured: Option<f64>,
    /// Why there is no such figure.
    pub why: String,
    /// Whether that is because the machine or the generator spoilt its trials.
    pub spoilt: bool,
    /// Replies per second in a closed loop.
    pub closed_rps: f64,
    /// Every trial: its rate, its p99 in µs (`null` among the unanswered), the share unanswered.
    pub trials: Vec<(f64, Option<f64>, f64)>,
    /// Of a closed population, the clients of each trial, whose rate is what they sent; absent in an open loop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<f64>,
}

/// The cells of the whole workloads in `file`, in the order of their numbers; none where it does not exist.
/// Of a workload that was measured twice the later counts.
///
/// # Errors
/// The file cannot be read, or a line before the last is no cell.
pub(super) fn read(file: &Path) -> Result<Vec<Vec<Cell>>, String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut workloads: Vec<Vec<Cell>> = Vec::new();
    let mut current: Vec<Cell> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let cell: Cell = match serde_json::from_str(line) {
            Ok(cell) => cell,
            // A run that was killed leaves half a line, and a later one goes on behind it.
            Err(_) if at + 1 == lines.len() || !line.ends_with('}') => {
                current.clear();
                continue;
            }
            Err(error) => {
                return Err(format!("{}: line {}: {error}", file.display(), at + 1));
            }
        };
        let begins = current
            .first()
            .is_none_or(|c| (c.seed, c.workload, c.at_s) != (cell.seed, cell.workload, cell.at_s));
        if begins {
            current.clear();
        }
        current.push(cell);
        if current.len() == current[0].cells {
            let whole = std::mem::take(&mut current);
            let same = |w: &&mut Vec<Cell>| {
                (w[0].seed, w[0].workload) == (whole[0].seed, whole[0].workload)
            };
            match workloads.iter_mut().find(same) {
                Some(older) => *older = whole,
                None => workloads.push(whole),
            }
        }
    }
    workloads.sort_by_key(|w| w[0].workload);
    Ok(workloads)
}

/// Adds the cells of one workload, all at once.
///
/// # Errors
/// The file cannot be written.
pub(super) fn append(file: &Path, cells: &[Cell]) -> Result<(), String> {
    let mut text = String::new();
    for cell in cells {
        text += &serde_json::to_string(cell).map_err(|error| error.to_string())?;
        text.push('\n');
    }
    add(file, text)
}

/// Adds whole lines, all at once.
///
/// # Errors
/// The file cannot be written.
pub(super) fn add(file: &Path, mut text: String) -> Result<(), String> {
    // Half a line of a run that was killed ends here.
    if fs::read(file).is_ok_and(|old| old.last().is_some_and(|&byte| byte != b'\n')) {
        text.insert(0, '\n');
    }
    let mut open = fs::OpenOptions::new();
    open.create(true)
        .append(true)
        .open(file)
        .and_then(|mut out| {
            out.write_all(text.as_bytes())
                .and_then(|()| out.sync_data())
        })
        .map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(workload: usize, at_s: u64, measured: f64) -> Vec<Cell> {
        let cell = |model: &str| Cell {
            seed: 7,
            workload,
            cells: 2,
            at_s,
            model: model.into(),
            measured: Some(measured),
            trials: vec![(100.0, None, 0.5)],
            ..Cell::default()
        };
        vec![cell("one"), cell("two")]
    }

    #[test]
    fn cells_of_files_without_clients_are_read_and_written_as_they_were() {
        let old = r#"{"seed":7,"workload":1,"cells":1,"trials":[[100.0,null,0.5]]}"#;
        let mut cell: Cell = serde_json::from_str(old).expect("a cell");
        assert_eq!((cell.trials.len(), cell.clients.len()), (1, 0));
        let text = |cell: &Cell| serde_json::to_string(cell).expect("written");
        assert!(!text(&cell).contains("clients"));
        cell.clients = vec![40.0];
        assert!(text(&cell).contains("\"clients\":[40.0]"));
    }

    #[test]
    fn whole_workloads_are_read_and_the_later_counts() {
        let file = std::env::temp_dir().join(format!("cells-{}.ndjson", std::process::id()));
        assert_eq!(read(&file), Ok(Vec::new()));
        append(&file, &cells(1, 10, 50.0)).expect("written");
        append(&file, &cells(0, 11, 60.0)).expect("written");
        // One that was killed in its second line, another that went on, and the first once more.
        append(&file, &cells(2, 12, 70.0)[..1]).expect("written");
        let mut text = fs::read_to_string(&file).expect("a file");
        text += "{\"seed\":7,\"work";
        fs::write(&file, text).expect("written");
        append(&file, &cells(2, 13, 80.0)).expect("written");
        append(&file, &cells(1, 14, 90.0)).expect("written");
        let found = read(&file).expect("it is whole but for one line");
        let seen: Vec<_> = found
            .iter()
            .map(|w| (w[0].workload, w.len(), w[1].measured))
            .collect();
        assert_eq!(
            seen,
            [(0, 2, Some(60.0)), (1, 2, Some(90.0)), (2, 2, Some(80.0))]
        );
        fs::write(&file, "{\"seed\": \"x\"}\n{}\n").expect("written");
        assert!(read(&file).is_err_and(|line| line.contains("line 1")));
        fs::remove_file(&file).expect("it is there");
    }
}
