//! The folder of a run: `env.json`, `plan.json`, `trials.ndjson` line by line, and `latest`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use report::data::{Env, Trial};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, ensure_usage};
use crate::plan::request::Request;

/// The folder of all runs, unless `--out` names another; `latest` in it points at the newest.
pub const RESULTS: &str = "results";
const ENV: &str = "env.json";
const PLAN: &str = "plan.json";
const TRIALS: &str = "trials.ndjson";
/// The same file of a finished run, packed by the user; the report reads it, too.
const PACKED: &str = "trials.ndjson.gz";

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    trial: &'a Trial,
    /// Nothing was measured because the target does not have the route.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    not_offered: bool,
}

/// An open folder, and the trials it holds already.
#[derive(Debug)]
pub struct Record {
    folder: PathBuf,
    file: File,
    /// Every trial in it, in order.
    pub trials: Vec<Trial>,
    /// When the run began.
    began: SystemTime,
}

impl Record {
    /// Begins a run in a folder that holds none.
    pub fn create(folder: &Path, request: &Request) -> Result<Self, Failure> {
        let shown = folder.display();
        let cannot = |error: io::Error| Failure::usage(format!("cannot write to {shown}: {error}"));
        fs::create_dir_all(folder).map_err(cannot)?;
        ensure_usage!(
            !folder.join(TRIALS).exists(),
            "{shown} holds a run: --resume {shown} goes on with it"
        );
        ensure_usage!(
            !folder.join(PACKED).exists(),
            "{shown} holds a run: {PACKED}"
        );
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(folder.join(TRIALS))
            .map_err(cannot)?;
        lock(&file, folder)?;
        let record = Self {
            folder: folder.to_owned(),
            file,
            trials: Vec::new(),
            began: SystemTime::now(),
        };
        record.write_request(request)?;
        Ok(record)
    }

    /// What the run in `folder` was asked for.
    pub fn request(folder: &Path) -> Result<Request, Failure> {
        ensure_usage!(
            folder.join(TRIALS).exists() || !folder.join(PACKED).exists(),
            "{} holds a packed run, which cannot be resumed: gunzip {PACKED} first",
            folder.display()
        );
        read(&folder.join(PLAN)).map_err(|error| {
            Failure::usage(format!(
                "{} holds no run to resume: {error:#}",
                folder.display()
            ))
        })
    }

    /// Opens the folder of a run again, for this process alone. A last line that was cut off when the run ended is removed.
    ///
    /// # Errors
    /// When another bench writes to the folder, when it cannot be read or written, or a line is not a
    /// trial.
    pub fn resume(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(TRIALS);
        let cannot = |error: io::Error| {
            Failure::usage(format!("cannot write to {}: {error}", folder.display()))
        };
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(cannot)?;
        // Before it is read: what another bench still writes would be missing.
        lock(&file, folder)?;
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let trials = text[..whole]
            .lines()
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_str(line)
                    .with_context(|| format!("{}, line {}", path.display(), n + 1))
            })
            .collect::<anyhow::Result<Vec<Trial>>>()?;
        file.set_len(whole as u64)?;
        let mut record = Self {
            folder: folder.to_owned(),
            file,
            trials,
            began: SystemTime::now(),
        };
        let env = record.env()?;
        // One that does not say goes on as if it had begun now.
        let began = humantime::parse_rfc3339(&env.started);
        record.began = began.unwrap_or(record.began);
        Ok(record)
    }

    /// Ids of the trials it holds.
    pub fn ids(&self) -> BTreeSet<String> {
        self.trials.iter().map(|trial| trial.id.clone()).collect()
    }

    /// Appends a trial, whole, before anything else is measured.
    pub fn append(&mut self, trial: Trial) -> anyhow::Result<()> {
        let line = Line {
            trial: &trial,
            not_offered: trial.lacks_route(),
        };
        let mut line = serde_json::to_string(&line)?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .with_context(|| format!("cannot write {TRIALS}"))?;
        self.trials.push(trial);
        Ok(())
    }

    /// Seconds since the run began, by the clock of the wall.
    pub fn age_s(&self) -> f64 {
        let age = self.began.elapsed().unwrap_or_default();
        // A millisecond is enough, and the file stays short.
        (age.as_secs_f64() * 1e3).round() / 1e3
    }

    /// Writes `plan.json`.
    pub fn write_request(&self, request: &Request) -> anyhow::Result<()> {
        self.write(PLAN, request)
    }

    /// `env.json` as it is, for a run that is resumed.
    pub fn env(&self) -> anyhow::Result<Env> {
        read(&self.folder.join(ENV))
    }

    /// Writes `env.json`.
    pub fn write_env(&self, env: &Env) -> anyhow::Result<()> {
        self.write(ENV, env)
    }

    /// The path of a file in the folder that does not stay.
    pub fn scratch(&self, name: &str) -> PathBuf {
        // The generator may run in another folder than this process.
        std::path::absolute(self.folder.join(name)).unwrap_or_else(|_| self.folder.join(name))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Points `results/latest` at this run, when it is a run of `results`.
    pub fn link_latest(&self) -> anyhow::Result<()> {
        let folder = fs::canonicalize(&self.folder)?;
        let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
            return Ok(());
        };
        if !fs::canonicalize(RESULTS).is_ok_and(|results| results == parent) {
            return Ok(());
        }
        // A link cannot be changed in place, but another can be renamed over it in one step.
        let new = parent.join(format!(".latest-{}", std::process::id()));
        let _leftover = fs::remove_file(&new);
        std::os::unix::fs::symlink(name, &new)
            .and_then(|()| fs::rename(&new, parent.join("latest")))
            .with_context(|| format!("cannot link {RESULTS}/latest"))
    }

    /// Replaces a small file in one step: a reader sees the old or the new one.
    fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let new = self.folder.join(format!(".{name}.new"));
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Makes this process the only writer of a folder, until it ends in whatever way.
fn lock(file: &File, folder: &Path) -> Result<(), Failure> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(Failure::Failed(anyhow::anyhow!(
            "another bench is writing to {}: it is left alone",
            folder.display()
        ))),
        Err(error) => {
            let cannot = || format!("cannot lock {}", folder.join(TRIALS).display());
            Err(anyhow::Error::new(error).context(cannot()).into())
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let text = fs::read(path).with_context(|| name.clone())?;
    serde_json::from_slice(&text).context(name)
}
