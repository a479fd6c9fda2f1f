//! The command `turnstile load`: it takes arguments and writes a table and JSON.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use schema::load::LoadResult;
use schema::out;

use crate::args::Args;
use crate::csv;
use crate::edges::Edge;
use crate::exit as exit_status;
use crate::fail_on::FailOn;
use crate::gates;
use crate::merge::Merge;
use crate::plan::Plan;
use crate::preview::Preview;
use crate::run::{Observer, run_observed};
use crate::shared::SoFar;
use crate::sink::Sink;
use crate::slices;
use crate::table;

/// Runs the command: exit 0 with a result (valid or not), 2 for unusable arguments, 1 for a failure or
/// for a condition of --fail-on that holds, each with one line on standard error.
pub fn main(args: Args) -> ExitCode {
    if let Some(merge) = args.merge() {
        return exit(merge_records(merge));
    }
    match args.plan() {
        Ok(plan) if args.slices => exit(slices::serve(&plan, args.arrivals, args.edges)),
        Ok(plan) => exit(measure(&args, &plan)),
        Err(error) => fail(&error, exit_status::USAGE),
    }
}

fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(status)
}

fn merge_records(merge: &Merge) -> Result<()> {
    let mut sum = merge.sum()?;
    let sink = merge.json.as_deref().map(Sink::open).transpose()?;
    let csv_sink = merge.csv.as_deref().map(Sink::open).transpose()?;
    let result = gates::apply(&mut sum);
    if !merge.quiet {
        print(&result, &[merge.json.as_deref(), merge.csv.as_deref()])?;
    }
    if let Some(sink) = csv_sink {
        sink.write(&csv::of(&result))?;
    }
    sink.map_or(Ok(()), |sink| sink.write(&json(&result)))?;
    fail_if_any_holds(&merge.fail_on, &result)
}

fn measure(args: &Args, plan: &Plan) -> Result<()> {
    let sink = args.json.as_deref().map(Sink::open).transpose()?;
    let record_sink = args.emit_hdr.as_deref().map(Sink::open).transpose()?;
    let csv_sink = args.csv.as_deref().map(Sink::open).transpose()?;
    let stop = Arc::default();
    exit_status::stop_on_signals(&stop, &[&stop]).context("cannot handle signals")?;
    if let Some(script) = plan.script.as_ref().filter(|_| !args.quiet) {
        eprintln!("{}", script.summary());
    }
    let bar = progress_bar(args, plan);
    let mut preview = args.preview.then(Preview::default);
    let observer = Observer {
        progress: &mut |so_far| {
            let SoFar {
                answered, failed, ..
            } = so_far;
            bar.set_position(bar.elapsed().as_millis() as u64);
            bar.set_message(format!("{answered} replies, {failed} failures"));
            if let Some(preview) = &mut preview {
                // Who looked on may have gone.
                let _ = writeln!(io::stderr(), "{}", preview.line(so_far));
            }
        },
        edge: args.edges.then_some(&Edge::announce),
    };
    let record = run_observed(plan, &stop, observer);
    bar.finish_and_clear();
    let mut record = record?;
    let result = gates::apply(&mut record);
    if !args.quiet {
        let files = [&args.json, &args.emit_hdr, &args.csv];
        print(&result, &files.map(|file| file.as_deref()))?;
    }
    if let Some(sink) = record_sink {
        sink.write(&record.to_text())?;
    }
    if let Some(sink) = csv_sink {
        sink.write(&csv::of(&result))?;
    }
    sink.map_or(Ok(()), |sink| sink.write(&json(&result)))?;
    fail_if_any_holds(&args.fail_on, &result)
}

/// Fails, after everything is written, if a condition holds.
fn fail_if_any_holds(conditions: &[FailOn], result: &LoadResult) -> Result<()> {
    let found: Vec<String> = conditions.iter().filter_map(|c| c.holds(result)).collect();
    if !found.is_empty() {
        bail!("{}", found.join("; "));
    }
    Ok(())
}

fn json(result: &LoadResult) -> String {
    let json = serde_json::to_string_pretty(result);
    json.expect("numbers and strings always serialise") + "\n"
}

/// Prints the table; on standard error where a result goes to standard output.
fn print(result: &LoadResult, results: &[Option<&Path>]) -> Result<()> {
    let text = table::render(result);
    let printed = if results.contains(&Some(Path::new("-"))) {
        out::write(&mut io::stderr(), &text)
    } else {
        out::write(&mut io::stdout(), &text)
    };
    printed.context("cannot print the result")
}

fn progress_bar(args: &Args, plan: &Plan) -> ProgressBar {
    if args.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let length = plan.warmup + plan.duration;
    let bar = ProgressBar::new(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{wide_bar} {elapsed} {msg}");
    bar.set_style(style.expect("the constant template is valid"));
    bar
}
