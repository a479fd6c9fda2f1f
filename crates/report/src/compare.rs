//! `turnstile compare BEFORE AFTER`: did anything become slower, or stop working, between two runs?
//!
//! The rule is that of a session, made for two of them: they share no blocks, so all trials of the
//! one stand against all of the other ([`compare_sessions`](crate::stats::compare_sessions)), and the zone is wide enough for
//! the A/A noise of both and for what the null server moved in between. A server that had a figure
//! and lost it by its own fault (wrong bodies, lost connections, not there any more) is worse than
//! any slower one; where machine or generator spoilt the figure nothing is known, and that is said. What a machine does
//! differently on another day in other ways is in no interval, and the output says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::noise;
use crate::read;
use crate::run::Run;
use crate::stats::Evidence;

mod capacity;
mod environment;
mod lines;
mod text;

use environment::Difference;
use lines::{Finding, Line};

/// Arguments of `turnstile compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder of the earlier run: holds env.json and trials.ndjson, or trials.ndjson.gz
    pub before: PathBuf,
    /// Folder of the later run
    pub after: PathBuf,
    /// Print every comparison, not only those that tell a difference
    #[arg(long)]
    pub all: bool,
    /// AFTER measured a part on purpose: what is missing in it is no regression
    #[arg(long)]
    pub partial: bool,
    /// Write every comparison to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Two runs, compared line by line.
#[derive(Debug, Clone, Serialize)]
struct Report {
    /// What the reader must know first.
    notes: Vec<String>,
    /// What differs between the two environments.
    differences: Vec<Difference>,
    /// Every figure that both runs hold, and what the later one lost.
    lines: Vec<Line>,
    /// Lines that tell of a figure lost by the server's own fault.
    lost: usize,
    /// Lines that are worse.
    worse: usize,
    /// Lines that are better.
    better: usize,
}

impl Report {
    fn of(before: &Run, after: &Run, partial: bool) -> Self {
        let evidence = Evidence::of(before.blocks.min(after.blocks));
        let lines = lines::all(before, after, evidence, partial);
        let count = |finding| lines.iter().filter(|line| line.finding == finding).count();
        Self {
            notes: notes(before, after, evidence),
            differences: environment::differences(&before.env, &after.env),
            lost: count(Finding::Lost),
            worse: count(Finding::Worse),
            better: count(Finding::Better),
            lines,
        }
    }
}

fn notes(before: &Run, after: &Run, evidence: Evidence) -> Vec<String> {
    let mut notes = vec![
        "Two sessions share no blocks: all trials of the one stand against all of the other, and the zone holds the A/A noise of both and what the null server moved. What else the machine did differently that day is in no interval.".to_owned(),
    ];
    notes.push(match evidence {
        Evidence::Figures => "Fewer than three blocks in one of them: nothing can be decided, only figures are shown.".to_owned(),
        Evidence::Ranges => format!(
            "{} and {} blocks: the span of all differences decides, and equivalence cannot be shown.",
            before.blocks, after.blocks
        ),
        Evidence::Intervals => "Each ratio: the Hodges-Lehmann shift with its 95 % Mann-Whitney interval.".to_owned(),
    });
    for (name, run) in [("BEFORE", before), ("AFTER", after)] {
        let differing = noise::placebos(run, Evidence::of(run.blocks));
        let differing: Vec<String> = differing
            .into_iter()
            .filter(|placebo| placebo.differs)
            .map(|placebo| format!("{} ({})", placebo.scenario, placebo.choice.metric.name()))
            .collect();
        if !differing.is_empty() {
            notes.push(format!(
                "{name}: its own A/A shows a difference in {}: differences there mean little.",
                differing.join(", ")
            ));
        }
        if !run.env.complete {
            notes.push(format!("{name} is not complete."));
        }
    }
    for (name, these, those) in [("BEFORE", before, after), ("AFTER", after, before)] {
        let labels = these.contenders().map(|row| row.label.as_str());
        let scenarios = these.scenarios.iter().map(String::as_str);
        let only: Vec<&str> = labels
            .filter(|label| !those.has(label))
            .chain(scenarios.filter(|name| !those.scenarios.iter().any(|each| each == name)))
            .collect();
        if !only.is_empty() {
            notes.push(format!("Only in {name}: {}.", only.join(", ")));
        }
    }
    notes
}

/// Runs `turnstile compare`: 0 when nothing is worse, 1 when something is, or has lost its figure by
/// its own fault (or a file cannot be written), 2 when a folder holds no usable run or the two have nothing in common.
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
    read::replace(file, &(serde_json::to_string_pretty(report)? + "\n"))
}
