//! Reading a run's raw data and putting finished files in their place.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

use crate::data::Env;
use crate::run::Run;

/// Why `dir` cannot hold a run, in one line.
pub fn is_run(dir: &Path) -> Result<(), String> {
    if !dir.is_dir() {
        return Err(format!("{}: no such directory", dir.display()));
    }
    let lacks = |name| {
        Err(format!(
            "{}: no {name}, so not a run's folder",
            dir.display()
        ))
    };
    if !dir.join("env.json").is_file() {
        return lacks("env.json");
    }
    if trials_file(dir).is_none() && !has_envelope(dir) {
        return lacks("trials.ndjson or trials.ndjson.gz");
    }
    Ok(())
}

fn has_envelope(dir: &Path) -> bool {
    dir.join(schema::envelope::FILE).is_file()
}

/// The file of `dir` that holds its trials: `trials.ndjson`, or where that is absent the same packed
/// by gzip. The bench writes and resumes only the first, so that of two it is never the older one.
fn trials_file(dir: &Path) -> Option<PathBuf> {
    let files = ["trials.ndjson", "trials.ndjson.gz"].map(|name| dir.join(name));
    files.into_iter().find(|file| file.is_file())
}

/// What `file` holds, unpacked.
fn contents(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file)?;
    if file.extension().is_none_or(|end| end != "gz") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .context("cannot be unpacked")?;
    Ok(unpacked)
}

/// Reads `env.json` and `trials.ndjson`, or `trials.ndjson.gz`, of `dir`.
pub fn run(dir: &Path) -> Result<Run> {
    let env_file = dir.join("env.json");
    let bytes = fs::read(&env_file).with_context(|| env_file.display().to_string())?;
    let env: Env = serde_json::from_slice(&bytes)
        .map_err(|error| anyhow!("{}:{}: {error}", env_file.display(), error.line()))?;

    let found = trials_file(dir);
    if found.is_none() && has_envelope(dir) {
        return Ok(Run::new(env, Vec::new(), Vec::new()));
    }
    // Where there is none, the error names the usual one.
    let trials_file = found.unwrap_or_else(|| dir.join("trials.ndjson"));
    let bytes = contents(&trials_file).with_context(|| trials_file.display().to_string())?;
    let (trials, cut) = lines(&bytes)
        .map_err(|(line, reason)| anyhow!("{}:{line}: {reason}", trials_file.display()))?;
    let remark = |line: usize| {
        format!(
            "trials.ndjson ends in the middle of line {line}: the run was interrupted, that trial is left out"
        )
    };
    Ok(Run::new(env, trials, cut.map(remark).into_iter().collect()))
}

/// The values of the lines in `bytes`, and the number of the last line where it was cut short.
///
/// A run that is killed leaves at most one line without its newline; only that one is forgiven.
///
/// # Errors
/// The number of a line that cannot be read, and why.
pub fn lines<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(Vec<T>, Option<usize>), (usize, String)> {
    let mut values = Vec::new();
    for (number, piece) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        if piece.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(piece) {
            Ok(value) => values.push(value),
            Err(_) if !piece.ends_with(b"\n") => return Ok((values, Some(number))),
            Err(error) => return Err((number, error.to_string())),
        }
    }
    Ok((values, None))
}
