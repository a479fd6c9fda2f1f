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
//! # What is read when
//!
//! The server is warmed up by a call of the generator of its own, in which its memory and tasks are
//! read (reading them during a window would disturb it). Each window is one more call, without
//! warm-up: it opens its connections, measures, and closes them. The counters of the server's
//! process tree are read before and after this call, when the tree is at rest, so that their
//! difference is what this call made the server do, and is divided by the answers of this call.
//! Nothing of the bench runs in between: it sleeps in poll(2).
//!
//! # How CPU and context switches are accounted
//!
//! CPU of a tree is the sum of the CPU clocks of its living processes (nanoseconds, ended threads
//! included) and of the `cutime + cstime` of the living (children that ended and were waited for, in
//! ticks of 10 ms). The first part is exact; the second changes only where children end within a
//! window, and is then off by 20 ms at most. Context switches are those of living tasks; where tasks
//! ended within the window, the average over the whole visit, which wait4(2) tells. Where children
//! are not waited for (SIGCHLD ignored), neither is known, and none is given.
//!
//! CPU of the machine comes from `/proc/stat`, stolen time too, for the CPUs that the trial uses.
//!
//! # A second attempt
//!
//! A window that is INVALID because of noise alone (stolen time, a late generator) is measured once
//! more on a fresh server. Both lines are kept, the INVALID one first; the second has an `r` behind
//! its id.

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
