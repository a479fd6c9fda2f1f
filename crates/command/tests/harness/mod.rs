//! What the tests of the command share: servers as child processes, a client that never trusts,
//! and a view of processes from outside.

// Each test target uses its own part of this.
#![allow(dead_code, unused_imports)]

mod client;
mod column;
pub mod inetd;
mod metrics;
pub mod process;
mod server;

pub use client::{Client, Reply};
pub use column::{Column, columns, with_fronts};
pub use metrics::{MISTAKES, Page, metrics};
pub use server::{Exit, PATIENCE, Server, logs_of_this_thread, run};

use std::time::{Duration, Instant};

/// The command under test.
pub const TURNSTILE: &str = env!("CARGO_BIN_EXE_turnstile");

/// Looks again and again until `holds`, for things that announce themselves only in `/proc`.
pub fn eventually(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let end = Instant::now() + within;
    while !holds() {
        anyhow::ensure!(Instant::now() < end, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Shorthand for durations, which tests are full of.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
