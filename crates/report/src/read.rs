//! Reading a run's raw data and putting finished files in their place.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::data::{Env, Trial};
use crate::run::Run;

/// Why `dir` cannot hold a run, in one line.
pub fn is_run(dir: &Path) -> Result<(), String> {
    if !dir.is_dir() {
        return Err(format!("{}: no such directory", dir.display()));
    }
    for name in ["env.json", "trials.ndjson"] {
        if !dir.join(name).is_file() {
            return Err(format!(
                "{}: no {name}, so not a run's folder",
                dir.display()
            ));
        }
    }
    Ok(())
}

/// Reads `env.json` and `trials.ndjson` of `dir`.
pub fn run(dir: &Path) -> Result<Run> {
    let env_file = dir.join("env.json");
    let bytes = fs::read(&env_file).with_context(|| env_file.display().to_string())?;
    let env: Env = serde_json::from_slice(&bytes)
        .map_err(|error| anyhow!("{}:{}: {error}", env_file.display(), error.line()))?;

    let trials_file = dir.join("trials.ndjson");
    let bytes = fs::read(&trials_file).with_context(|| trials_file.display().to_string())?;
    let (trials, remark) = trials(&bytes)
        .map_err(|(line, reason)| anyhow!("{}:{line}: {reason}", trials_file.display()))?;
    Ok(Run::new(env, trials, remark.into_iter().collect()))
}

/// The trials in `bytes`, and a remark when the last line was cut short.
///
/// A run that is killed leaves at most one line without its newline; only that one is forgiven.
fn trials(bytes: &[u8]) -> Result<(Vec<Trial>, Option<String>), (usize, String)> {
    let mut trials = Vec::new();
    for (index, piece) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if piece.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Trial>(piece) {
            Ok(trial) => trials.push(trial),
            Err(_) if !piece.ends_with(b"\n") => {
                let remark = format!(
                    "trials.ndjson ends in the middle of line {}: the run was interrupted, that trial is left out",
                    index + 1
                );
                return Ok((trials, Some(remark)));
            }
            Err(error) => return Err((index + 1, error.to_string())),
        }
    }
    Ok((trials, None))
}

/// Writes `text` beside `path` and renames it into place.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let name = path
        .file_name()
        .context("a report file has a name")?
        .to_string_lossy();
    let unfinished = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one worth reporting.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| path.display().to_string())
}
