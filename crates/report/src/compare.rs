//! `turnstile compare BEFORE AFTER`: did anything become slower, or stop working, between two runs?
//!
//! The rule is that of a session, made for two of them: they share no blocks, so all trials of the
//! one are compared with all of the other ([`compare_sessions`](crate::stats::compare_sessions)), and
//! the zone is wide enough for the A/A noise of both and for the change of the null server. A server
//! that had a figure and lost it by its own doing (wrong bodies, lost connections, not there any more)
//! is worse than any slower one; where the figure is unusable because of the machine or the generator,
//! nothing is known, and the output says so. Whatever else a machine does differently on another day is
//! in no interval, and the output says that too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::out;
use crate::read;
use crate::run::Run;

mod both;
mod capacity;
mod environment;
mod line;
mod lines;
mod memory;
mod report;
mod text;

use report::Report;

/// Arguments of `turnstile compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder of the earlier run: holds env.json and trials.ndjson, or trials.ndjson.gz
    pub before: PathBuf,
    /// Folder of the later run
    pub after: PathBuf,
    /// Print every comparison, not only those that found a difference
    #[arg(long)]
    pub all: bool,
    /// AFTER measured a part on purpose: what is missing in it is no regression
    #[arg(long)]
    pub partial: bool,
    /// Write every comparison to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Runs `turnstile compare`: 0 when nothing is worse, 1 when something is, or has lost its figure by
/// its own doing (or a file cannot be written), 2 when a folder holds no usable run or the two have
/// nothing in common.
#[must_use]
pub fn main(args: &Args) -> ExitCode {
    let (before, after) = match (usable(&args.before), usable(&args.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(reason), _) | (_, Err(reason)) => return refused(&reason),
    };
    let report = Report::of(&before, &after, args.partial);
    let shared = before.contenders().any(|row| after.has(&row.label));
    if report.lines.is_empty() || !shared {
        return refused("the two runs share no model in one scenario and load");
    }
    if let Some(file) = &args.json
        && let Err(error) = write_json(file, &report)
    {
        eprintln!("turnstile compare: {error:#}");
        return ExitCode::FAILURE;
    }
    print!("{}", text::markdown(&report, args.all));
    ExitCode::from(u8::from(report.worse + report.lost > 0))
}

fn refused(reason: &str) -> ExitCode {
    eprintln!("turnstile compare: {reason}");
    ExitCode::from(2)
}

fn usable(dir: &Path) -> Result<Run, String> {
    read::is_run(dir)?;
    read::run(dir).map_err(|error| format!("{error:#}"))
}

fn write_json(file: &Path, report: &Report) -> anyhow::Result<()> {
    out::replace(file, &(serde_json::to_string_pretty(report)? + "\n"))
}
