//! `turnstile bench`: trials, order, validity and accounting.
//!
//! The bench links no model. It runs a server as a child (`SERVER serve --model M ...`) and the load
//! generator as another (`turnstile load ...`), each on its own CPUs, and leaves a folder with every
//! figure, from which the report is made and can be made again.
//!
//! ```text
//! plan     what will be measured: scenarios, sizes, servers, the order of every trial
//! observe  what is read from outside: child processes and their trees, the machine, replies
//! judge    what the readings amount to: figures, and the reasons why some may not be believed
//! run      the visits to fresh servers under load, and the folder: env.json, plan.json, trials.ndjson
//! envelope what overload protection, restarts and logs cost, as a measurement of its own
//! ```
//!
//! Each of these uses those above it and none below. `run::execute` goes through the plan.
//!
//! * A **block** is one pass over all scenarios and servers. In each scenario of a block the null server
//!   is measured first (the gates need its figure), then all models and the A/A placebo in an order
//!   shuffled from the seed.
//! * A **visit** is a fresh server process: started, verified, warmed up, measured in a closed loop
//!   and at fixed rates, drained by SIGTERM. Processes that are left then are killed, and the trial
//!   says so.
//! * A **trial** is one window of a visit, and one line of `trials.ndjson`.
//! * A **slice** is one, too, but a short one: where servers do not disturb each other they stand side
//!   by side in a block and are loaded in rotations, each once per rotation (`run::slices`). How each of
//!   them ended is a line of the pass *drain*.
//! * A **round** is a block of slices in a run that goes on until its verdicts are settled: it holds the
//!   servers whose verdict is open, and those that they are judged by (`run::rounds`, `run::settle`).
//!
//! # When counters are read
//!
//! The server is warmed up by a call of the generator of its own, in which its memory and tasks are
//! read: reading them during a window would disturb it. Each window is one more call without warm-up.
//! The generator opens its connections, idle ones included, and pauses; it sends the load, and pauses
//! again; then it closes the connections. In both pauses the bench waits until the server's process
//! tree is at rest and reads its counters, so that their difference is what the requests made the
//! server do, and is divided by the number of replies. Opening and closing connections is part of it
//! only where each request has a connection of its own. Where there are idle connections, memory is
//! read in the second pause, while they are open. During the load the bench sleeps in poll(2).
//!
//! When the last window is over the bench opens the scenario's connections itself and holds them, each
//! of them served once: the drain is timed with these connections open.
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
//! # Passes
//!
//! The comparison by speed is the pass *measure*. Three more passes have trials of their own, which are
//! never compared by speed:
//!
//! * *capacity*: the highest offered rate within the scenario's objective, on a grid of rates that is
//!   the same for every model, as a bracket of which each end has come out the same twice.
//! * *memory*: the server holds 0, 100, 1,000 and 10,000 connections, each served once.
//! * *system calls*: a window under strace(1); where there is none, the run says so.
//!
//! # Workers
//!
//! A pool in which a worker holds a connection is sized to hold every connection of the scenario, idle
//! and slow ones included, and the size is kept with the trial; in the size full its own default has a
//! row of its own. What a model cannot do by design is BLOCKED, with the reason, and never zero.
//!
//! # Targets
//!
//! A server that is running already (`--target`) is measured in the same blocks and with the same
//! arrivals. It is asked for every path first, and must take the time that the path says. Where it
//! does not, the trial says that the route is not offered, which is no judgement of the server's
//! design. Where its URL has a path, scenarios that need no more than a small reply ask for that path.
//! It is neither pinned nor stopped, and has no drain.
//!
//! # A second attempt
//!
//! A window that is INVALID because of noise alone (stolen time, others on the CPUs, a late generator) is
//! measured once more on a fresh server. Both lines are kept, the INVALID one first; the id of the second ends in
//! `r`. A rotation with such a slice is measured once more as a whole.
//!
//! # One writer
//!
//! The trials of a folder are locked as long as its bench runs. What was measured is in the file before
//! anything else is measured, and `--resume` goes on after it.

use std::process::ExitCode;

mod args;
mod envelope;
mod failure;
mod judge;
mod live;
mod observe;
mod plan;
mod run;

pub use args::Args;
pub use live::{LiveArgs, live_main};
pub use run::capacities::{Asked, Measured, capacities};
pub use run::capacity_search::Trial;
pub use run::keep::{KeepArgs, keep_main};
pub use run::moment::moment;
pub use run::null::{NullArgs, null_main};
pub use run::paired::{Estimate, Paired, paired};
pub use run::profile::{ProfileArgs, machine as this_machine, profile_main};
pub use run::settings::{Setting, setting_capacities, settings};

/// Runs `turnstile bench`: 0 when done, 2 for arguments that cannot be used, 1 for a failure, 130
/// after Ctrl-C with what was measured kept; one line on standard error for each of the latter.
pub fn main(args: Args) -> ExitCode {
    if args.list_scenarios {
        let mut text = String::new();
        for scenario in plan::scenarios::SCENARIOS {
            let key = if scenario.key { "key" } else { "" };
            let line = format!("{:<15} {key:<4} {}\n", scenario.name, scenario.purpose);
            text.push_str(&line);
        }
        return printed(&text);
    }
    let measured = match args.envelope {
        true => envelope::run(&args),
        false => run::execute::run(&args),
    };
    match measured {
        Ok(folder) => printed(&format!("{}\n", folder.display())),
        Err(failure) => {
            eprintln!("turnstile bench: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn printed(text: &str) -> ExitCode {
    match report::out::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnstile bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
