//! Result files to Markdown, HTML and SVG.
//!
//! [`write()`] reads `env.json` and `trials.ndjson` of a run (or, where that is absent, the same packed
//! as `trials.ndjson.gz`) and leaves beside them `summary.md` for terminals, `index.html` for people,
//! `figures.md` with every table for code review, and `plots/*.svg` for everything else. The same input gives the same
//! bytes, and nothing is measured again.
//!
//! ```text
//! read ─ run ─┬─ metric ─ stats ─ matrix ─ session ─┬─ markdown ── summary.md
//!             ├─ noise                              ├─ html ────── index.html
//!             └─ sheet                              └─ plot ────── plots/*.svg
//! ```
//!
//! [`compare`] compares two runs by the same rule, and [`costs`] are the numbers that the rule is given.
//! How often the rule is right is measured in simulated sessions:
//! `cargo run --release -p report --example promises`.
//!
//! The rules of the report: the trial is the unit, a LIMITED trial is shown and never
//! ranked, an INVALID one is never drawn, a rank is a tier, and there is no composite score.
//!
//! A folder may hold `envelope.ndjson` as well, or instead of trials: what the production envelope costs,
//! which has sections and plots of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use session::Session;

mod advice;
mod anchor;
mod cell;
pub mod compare;
pub mod costs;
pub mod data;
mod drawing;
mod envelope;
mod figures;
pub mod format;
mod histogram;
mod html;
mod html_table;
pub use html::head;
mod legacy;
mod markdown;
mod matrix;
mod metric;
mod noise;
pub mod out;
pub mod palette;
mod plot;
mod primary;
mod read;
mod run;
pub mod scale;
mod session;
pub mod settled;
mod sheet;
mod sizes;
mod speed;
pub mod stats;
pub mod svg;
mod versus;
mod words;
pub mod zones;

/// Arguments of `turnstile report`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder of a run: holds env.json and trials.ndjson (or trials.ndjson.gz) or envelope.ndjson,
    /// receives summary.md, index.html and plots
    pub dir: PathBuf,
}

/// Rebuilds the report of the run in `dir` from its raw data.
///
/// Each file is written beside its final place and renamed, so that a reader never sees half of one.
///
/// # Errors
/// One sentence naming the file, and for `trials.ndjson` the line, that cannot be read, unpacked,
/// parsed or written. A last line cut short by an interrupted run is no error but a remark in the report.
pub fn write(dir: &Path) -> anyhow::Result<()> {
    write_and_tell(dir).map(drop)
}

/// The same; returns what the user of the command must know.
fn write_and_tell(dir: &Path) -> anyhow::Result<Vec<String>> {
    let run = read::run(dir)?;
    let (envelope, cut) = envelope::read(dir)?;
    let mut told = run.found.clone();
    told.extend(cut);
    if run.trials.is_empty() && run.passes.is_empty() && envelope.is_none() {
        told.push("the run holds no trial".to_owned());
    }
    let session = Session {
        envelope,
        ..Session::of(run)
    };
    let plots = dir.join("plots");
    std::fs::create_dir_all(&plots).with_context(|| plots.display().to_string())?;
    for plot in plot::all(&session) {
        let file = plots.join(format!("{}.svg", plot.name));
        out::replace(&file, &plot.svg.standalone(plot.style))?;
    }
    out::replace(&dir.join("index.html"), &html::page(&session))?;
    out::replace(&dir.join("figures.md"), &markdown::figures(&session))?;
    out::replace(&dir.join("summary.md"), &markdown::summary(&session))?;
    Ok(told)
}

/// Runs `turnstile report`: 0 when written, 2 when `args.dir` is no folder of a run, 1 for a failure.
#[must_use]
pub fn main(args: &Args) -> ExitCode {
    if let Err(reason) = read::is_run(&args.dir) {
        eprintln!("turnstile report: {reason}");
        return ExitCode::from(2);
    }
    let written = match write_and_tell(&args.dir) {
        Ok(told) => {
            for line in told {
                eprintln!("turnstile report: {line}");
            }
            let files = ["summary.md", "index.html"].map(|name| args.dir.join(name));
            let [summary, page] = files.map(|file| file.display().to_string());
            out::print(&format!("{summary}\n{page}\n"))
        }
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnstile report: {error:#}");
            ExitCode::FAILURE
        }
    }
}
