//! `envelope.ndjson`: a line is in the file before anything else is measured.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use report::data::Env;
use schema::envelope::{End, FILE, Line, Run};

use crate::failure::{Failure, ensure_usage};
use crate::run::record::RESULTS;

/// The file that makes a folder one of a run.
const ENV: &str = "env.json";

/// The open file.
pub struct Record {
    folder: PathBuf,
    file: File,
    figures: bool,
}

impl Record {
    /// Begins the file in `out`: a new folder, or that of a run that has none yet. Without `out` the
    /// folder is named by the time.
    pub fn create(out: Option<PathBuf>, run: Run, machine: Env) -> Result<Self, Failure> {
        let folder = out.unwrap_or_else(|| {
            let started = run.started.replace(['-', ':'], "");
            Path::new(RESULTS).join(format!("{started}-envelope"))
        });
        let shown = folder.display();
        let cannot =
            |error: std::io::Error| Failure::usage(format!("cannot write to {shown}: {error}"));
        fs::create_dir_all(&folder).map_err(cannot)?;
        let env = folder.join(ENV);
        let is_empty = fs::read_dir(&folder).map_err(cannot)?.next().is_none();
        ensure_usage!(
            is_empty || env.is_file(),
            "--out: {shown} is neither empty nor the folder of a run"
        );
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(folder.join(FILE))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
                    "--out: {shown} holds an envelope: name another folder, or remove its {FILE}"
                )),
                _ => cannot(error),
            })?;
        if is_empty {
            write_env(&env, machine)?;
        }
        let mut record = Self {
            folder,
            file,
            figures: false,
        };
        record.append(&Line::Run(run))?;
        Ok(record)
    }

    pub fn append(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write {FILE}"))?;
        self.figures |= matches!(
            line,
            Line::Overload(_) | Line::Restart(_) | Line::Log(_) | Line::LogEnd(_)
        );
        Ok(())
    }

    /// Says that all was measured.
    pub fn end(&mut self, took: Duration) -> anyhow::Result<()> {
        self.append(&Line::End(End {
            duration_s: took.as_secs_f64(),
        }))
    }

    /// Whether anything was measured.
    pub fn has_figures(&self) -> bool {
        self.figures
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file in the folder that does not stay.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.join(format!(".envelope.{name}"));
        // Servers and generators may run in another folder than this process.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Removes what does not stay.
    pub fn clean(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(".envelope.") {
                let _gone_already = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes the `env.json` of a folder that holds nothing else.
fn write_env(path: &Path, mut env: Env) -> anyhow::Result<()> {
    env.complete = true;
    let text = serde_json::to_string_pretty(&env)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
