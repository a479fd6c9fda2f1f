//! `turnstile`: every Linux server concurrency model, measured and ready to run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod models;
mod pick;
mod serve;
mod top;

#[derive(Debug, Parser)]
#[command(name = "turnstile", version, about, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one, once.
enum Act {
    /// List every model and variant: roles, one sentence, when to pick it
    Models(models::Args),
    /// Serve with one model
    Serve(serve::Args),
    /// Drive a server with load, and tell how it answered
    Load(load::Args),
    /// Show what a server does, live: its --admin address, read every second
    Top(top::Args),
    /// Measure models side by side
    Bench(bench::Args),
    /// Measure what every variant costs on this machine, for pick
    Profile(bench::ProfileArgs),
    /// Which model should run this workload, with how many workers, and what will it carry?
    Pick(pick::Args),
    /// Rebuild a run's reports from its raw data
    Report(report::Args),
    /// Did anything become slower between two runs? Exit 1 when something did
    Compare(report::compare::Args),
    CompareLive(bench::LiveArgs),
    /// The ceiling of machine and generator: a constant reply, no parsing
    #[command(hide = true)]
    NullServer(bench::NullArgs),
    /// Stands above a server of somebody else's, so that nothing of it is left running
    #[command(hide = true)]
    Keep(bench::KeepArgs),
}

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return turnstile::unusable(&error),
    };
    match command.act {
        Act::Models(args) => models::main(&args),
        Act::Serve(args) => serve::main(args),
        Act::Load(args) => load::main(args),
        Act::Top(args) => top::main(&args),
        Act::Bench(args) => bench::main(args),
        Act::Profile(args) => bench::profile_main(&args),
        Act::Pick(args) => pick::main(&args),
        Act::Report(args) => report::main(&args),
        Act::Compare(args) => report::compare::main(&args),
        Act::CompareLive(args) => bench::live_main(&args),
        Act::NullServer(args) => bench::null_main(args),
        Act::Keep(args) => bench::keep_main(&args),
    }
}
