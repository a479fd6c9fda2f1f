//! `turnstile bench`: trials, order, validity and accounting.
//!
//! The bench links no model. It runs a server as a child (`SERVER serve --model M ...`) and the load
//! generator as another (`turnstile load ...`), each on its own CPUs, and leaves a folder with every
//! figure, from which the report is made and can be made again.
//!
//! ```text
//! args ─> catalogue ─> plan ──────> visit ──────────────> trial ────> record ─> report
//!         (what is      (every      server: fresh, verified  figures,   env.json, plan.json,
//!          there)        trial, in   generator: its windows  verdicts   trials.ndjson, latest
//!                        order)      tree, machine: counters (gates)
//! ```
//!
//! * A **block** is one pass over the matrix. Within it every scenario has the null server first (the
//!   gates need its figure), then all models and the A/A placebo in an order shuffled from the seed.
//! * A **visit** is a fresh server process: started, verified, warmed up, measured in a closed loop
//!   and at fixed rates, drained by SIGTERM; whatever is left then is killed, and said.
//! * A **trial** is one window of a visit: one line of `trials.ndjson`.
//!
//! How CPU and switches are accounted stands in `tree`, what is read when in `visit`, the limits of
//! validity in `gates`, the shapes of load and the rule for pool sizes in `scenario`.

use std::process::ExitCode;

mod args;
mod catalogue;
mod cpus;
mod environment;
mod estimate;
mod failure;
mod gates;
mod generator;
mod interrupt;
mod machine;
mod null;
mod plan;
mod prepare;
mod process;
mod progress;
mod random;
mod record;
mod run;
mod scenario;
mod server;
mod sys;
mod time;
mod tree;
mod trial;
mod visit;

pub use args::Args;
pub use null::{NullArgs, null_main};

/// Runs `turnstile bench`: 0 when done, 2 for arguments that cannot be used, 1 for a failure, 130
/// after Ctrl-C with what was measured kept; one line on standard error for each of the latter.
pub fn main(args: Args) -> ExitCode {
    if args.list_scenarios {
        for scenario in scenario::SCENARIOS {
            println!("{:<15} {}", scenario.name, scenario.purpose);
        }
        return ExitCode::SUCCESS;
    }
    match run::run(&args) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("turnstile bench: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
