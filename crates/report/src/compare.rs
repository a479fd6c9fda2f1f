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
mod exact;
mod line;
mod lines;
mod memory;
mod report;
mod text;

use report::{Report, Rule};

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
    /// A slowdown of this many per cent must have been visible in every figure that decides its
    /// scenario; where it would not have been, and nothing became slower, the exit status is 3
    #[arg(long, value_name = "PERCENT", default_value_t = SEE_PERCENT)]
    pub see: f64,
    /// What the exit status rests on: every figure, or those that are counted and not timed (system
    /// calls and wake-ups per request), which a noisy machine does not change
    #[arg(long, value_enum, default_value_t = Gate::All)]
    pub gate: Gate,
    /// Write every comparison to FILE as JSON; a pipe or a device is written to
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What must have been visible, per cent, unless something else is asked for.
pub const SEE_PERCENT: f64 = 25.0;

/// What the exit status rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Gate {
    /// Every figure.
    #[default]
    All,
    /// Figures that are counted and not timed.
    Exact,
}

/// Runs `turnstile compare`: 0 when nothing is worse and it would have been seen, 1 when something is
/// worse, or has lost its figure by its own doing (or a file cannot be written), 2 when a folder holds
/// no usable run or the two have nothing in common, 3 when nothing is worse as far as can be seen, and
/// that is not far enough.
#[must_use]
pub fn main(args: &Args) -> ExitCode {
    let (before, after) = match (usable(&args.before), usable(&args.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(reason), _) | (_, Err(reason)) => return refused(&reason),
    };
    if !(args.see > 0.0 && args.see.is_finite()) {
        return refused("--see is a percentage over 0");
    }
    let rule = Rule {
        partial: args.partial,
        see: 1.0 + args.see / 100.0,
        exact: args.gate == Gate::Exact,
    };
    let report = Report::of(&before, &after, rule);
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
    match out::print(&text::markdown(&report, args.all)) {
        Ok(()) => ExitCode::from(report.outcome.code()),
        Err(error) => {
            eprintln!("turnstile compare: {error:#}");
            ExitCode::FAILURE
        }
    }
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
