//! `turnstile`: every Linux server concurrency model, measured and ready to run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod models;
#[cfg(feature = "measuring")]
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
    #[cfg(feature = "measuring")]
    Load(load::Args),
    /// Show what a server does, live: its --admin address, read every second
    Top(top::Args),
    /// Measure models side by side
    #[cfg(feature = "measuring")]
    Bench(bench::Args),
    /// Measure what every variant costs on this machine, for pick
    #[cfg(feature = "measuring")]
    Profile(bench::ProfileArgs),
    /// Which model should run this workload, with how many workers, and what will it carry?
    #[cfg(feature = "measuring")]
    Pick(pick::Args),
    /// Rebuild a run's reports from its raw data
    #[cfg(feature = "measuring")]
    Report(report::Args),
    /// Did anything become slower between two runs? Exit 1 when something did
    #[cfg(feature = "measuring")]
    Compare(report::compare::Args),
    #[cfg(feature = "measuring")]
    CompareLive(bench::LiveArgs),
    /// The ceiling of machine and generator: a constant reply, no parsing
    #[command(hide = true)]
    #[cfg(feature = "measuring")]
    NullServer(bench::NullArgs),
    /// Stands above a server of somebody else's, so that nothing of it is left running
    #[command(hide = true)]
    #[cfg(feature = "measuring")]
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
        #[cfg(feature = "measuring")]
        Act::Load(args) => load::main(args),
        Act::Top(args) => top::main(&args),
        #[cfg(feature = "measuring")]
        Act::Bench(args) => bench::main(args),
        #[cfg(feature = "measuring")]
        Act::Profile(args) => bench::profile_main(&args),
        #[cfg(feature = "measuring")]
        Act::Pick(args) => pick::main(&args),
        #[cfg(feature = "measuring")]
        Act::Report(args) => report::main(&args),
        #[cfg(feature = "measuring")]
        Act::Compare(args) => report::compare::main(&args),
        #[cfg(feature = "measuring")]
        Act::CompareLive(args) => bench::live_main(&args),
        #[cfg(feature = "measuring")]
        Act::NullServer(args) => bench::null_main(args),
        #[cfg(feature = "measuring")]
        Act::Keep(args) => bench::keep_main(&args),
    }
}
