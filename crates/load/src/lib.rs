//! A load generator that never hides a late answer.
//!
//! Two loops. *Closed*: every connection always has its requests in flight, and a reply makes room
//! for the next. *Open*: requests are due on a schedule that does not look at the replies; one that
//! finds no free connection waits, and its waiting counts.
//!
//! ```text
//!   intended start          sent                     done
//!        |------- slip -------|------ service ---------|
//!        |----------------- response ------------------|
//! ```
//!
//! The gap between response and service is what generators that wait for slow replies leave out
//! (Tene's "coordinated omission"). Slip is told apart further: the generator was late, or no
//! connection was free. Nothing leaves the population: what fails or is never answered is counted
//! by [`Class`] and ranks as infinite in the percentiles of the response.
//!
//! Every reply is checked: framing, status, and the body against the first correct one of its kind
//! and status.
//!
//! Figures are kept by slice of the window, by step of the profile and by kind of request; these
//! are partitions of the same population. What runs beside the load (idle connections, slow
//! clients, poisoned requests) is counted apart from it. A run's raw result is a [`Record`] of
//! exact counts and whole histograms; records of several machines add up.
//!
//! Each thread owns an epoll instance, its connections and its part of the schedule; a request
//! costs one receive, one send, one reading of the clock and no `epoll_ctl`.
//!
//! ```no_run
//! let mut plan = load::Plan::new("http://127.0.0.1:8080/".parse()?);
//! plan.connections = 64;
//! plan.pace = load::Pace::Open { rate: 2000.0, arrivals: load::Arrivals::Poisson };
//! let result = load::run(&plan)?;
//! println!("{} requests, {} failures", result.requests, result.failures());
//! # anyhow::Ok(())
//! ```

#![forbid(unsafe_code)]

use std::sync::atomic::AtomicBool;

mod args;
mod beside;
mod books;
mod choice;
mod chunked;
mod class;
mod clock;
mod command;
mod duration;
mod edges;
mod gates;
mod head;
mod judge;
mod kind;
mod ledger;
mod merge;
mod mix;
mod plan;
mod plan_check;
mod poller;
mod profile;
mod random;
mod record;
mod record_file;
mod reply;
mod request_bytes;
mod result;
mod run;
mod schedule;
mod shared;
mod sink;
mod slot;
mod socket;
mod spread;
mod table;
mod target;
mod thread_result;
mod timeline;
mod window;
mod worker;

pub use args::{Args, Protocol};
pub use class::Class;
pub use command::main;
pub use edges::Edge;
pub use kind::{KINDS_MAX, Kind};
pub use merge::Merge;
pub use plan::{CONNECTIONS_MAX, PIPELINE_MAX, Pace, Plan, Poison, STEPS_MAX, Slow, UNP_BYTES_MAX};
pub use profile::{RATE_MAX, Step};
pub use record::Record;
pub use run::{Watch, run_watched};
pub use schema::load::{Arrivals, BodyCheck, LoadResult};
pub use target::Target;

/// Runs a plan to its end, and judges the result.
///
/// # Errors
/// An unusable plan, a target that refuses every connection, or a lack of descriptors: nothing was
/// measured then. All other failures are counted in the result.
pub fn run(plan: &Plan) -> anyhow::Result<LoadResult> {
    let nobody = Watch {
        progress: &mut |_, _| {},
        edge: None,
    };
    let mut record = run_watched(plan, &AtomicBool::new(false), nobody)?;
    Ok(gates::judge(&mut record))
}
