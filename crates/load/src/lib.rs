//! A load generator that never hides a late reply.
//!
//! There are two loops. *Closed*: every connection always has its requests in flight, and a reply
//! lets the next request be sent. *Open*: requests are due on a schedule that does not depend on
//! the replies; a request that finds no free connection waits, and the time it waits counts.
//!
//! ```text
//!   intended start          sent                     done
//!        |------- slip -------|------ service ---------|
//!        |----------------- response ------------------|
//! ```
//!
//! The gap between response and service is what generators that wait for slow replies leave out
//! (Tene's "coordinated omission"). Slip has two parts: the generator was late, or no connection
//! was free. Every request counts: one that fails or is never answered is counted by its
//! [`ErrorClass`] and ranks as infinite in the percentiles of the response.
//!
//! Every reply is checked: framing, status, and the body against the first correct one of its kind
//! and status.
//!
//! Figures are kept by slice of the window, by step of the profile and by kind of request; each of
//! these divides the same requests. Extra clients (idle connections, slow clients, poisoned
//! requests) have counts of their own. A run leaves a [`RunRecord`] of exact counts and whole
//! histograms; records of several machines add up. The [`LoadResult`] is made from it and judged by
//! gates, which say why a run may not be believed.
//!
//! Each thread owns an epoll instance, its connections and its share of the schedule. A request
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
mod checker;
mod choice;
mod chunked;
mod clock;
mod command;
mod counts;
mod csv;
mod durations;
mod edges;
mod error_class;
mod exit;
mod extra_clients;
mod fail_on;
mod gates;
mod head;
mod headline;
mod kind;
mod malformed;
mod merge;
mod mix;
mod named;
mod percentile;
mod plan;
mod plan_check;
mod poller;
mod preview;
mod profile;
mod random;
mod record;
mod record_file;
mod recorder;
mod reply;
mod request_bytes;
mod result;
mod run;
mod schedule;
mod script;
mod share;
mod shared;
mod sink;
mod slices;
mod slot;
mod socket;
mod sockets;
mod table;
mod target;
mod thread_result;
mod timeline;
mod window;
mod words;
mod worker;

pub use args::{Args, Protocol};
pub use command::main;
pub use edges::Edge;
pub use error_class::ErrorClass;
pub use fail_on::FailOn;
pub use kind::{KINDS_MAX, Kind};
pub use merge::Merge;
pub use percentile::Percentile;
pub use plan::{
    CONNECTIONS_MAX, PIPELINE_MAX, Pace, Plan, Poison, STEPS_MAX, Slow, THINK_MAX, UNP_BYTES_MAX,
};
pub use profile::{RATE_MAX, Step};
pub use record::RunRecord;
pub use run::{Observer, run_observed};
pub use schema::load::{Arrivals, BodyCheck, LoadResult};
pub use script::Script;
pub use share::Share;
pub use shared::SoFar;
pub use target::Target;

/// Runs a plan to its end, and checkers the result.
///
/// # Errors
/// An unusable plan, a target that refuses every connection, or a lack of descriptors: nothing was
/// measured then. All other failures are counted in the result.
pub fn run(plan: &Plan) -> anyhow::Result<LoadResult> {
    let observer = Observer {
        progress: &mut |_| {},
        edge: None,
    };
    let mut record = run_observed(plan, &AtomicBool::new(false), observer)?;
    Ok(gates::apply(&mut record))
}
