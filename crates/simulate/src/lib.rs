//! A simulator of servers: cores, threads, queues, and what holds a worker.
//!
//! A [`Server`] is a few numbers: how many cores it has, how its threads are arranged ([`Topology`]), and
//! what a request costs it beside the work of the handler ([`Costs`]). [`run`] serves a [`Trace`] of
//! requests with it and gives percentiles of the response; [`capacity`] searches the highest load at
//! which an objective is kept.
//!
//! ```text
//! arrivals ──▶ connection ──▶ queue ──▶ thread ──▶ core
//!             (or waits for             (one job    (first come, first served;
//!              a free one)               at a time)  a slice each where threads are more than cores)
//! ```
//!
//! Everything is a thread that takes jobs from one queue, and runs on a core. A loop is a thread with a
//! queue of its own. A worker of a pool shares a queue with the others. A thread per connection has the
//! queue of its connection. First come, first served follows where threads are no more than cores, and
//! sharing in slices where they are more: no discipline is written down anywhere.
//!
//! All of it is deterministic: the same trace and server give the same result on every machine. The
//! same trace serves all candidates, so that they differ by what they are and not by luck.

#![forbid(unsafe_code)]

mod engine;
mod events;
mod goal;
mod histogram;
mod search;
mod server;
mod stalls;
mod steps;
mod threads;
mod trace;

pub use goal::Goal;
pub use histogram::Histogram;
pub use search::{Found, capacity, rate_if_kept};
pub use server::{Costs, STAGES, Scheduler, Server, Spread, Topology};
pub use stalls::{PARTS as STALL_PARTS, Stalls};
pub use trace::{Load, Trace};

/// What a simulation gives.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Response times of all requests after the warm-up, µs.
    pub all: Histogram,
    /// The same of each class.
    pub classes: Vec<Histogram>,
    /// Requests answered per second, from the end of the warm-up to the last arrival.
    pub throughput_rps: f64,
    /// Share of the cores' time that was used.
    pub utilisation: f64,
    /// Threads that ever had work.
    pub threads: usize,
}

/// Serves `trace` under `load` with `server`.
///
/// The first tenth of the requests warms the server up and is not counted.
pub fn run(server: &Server, load: &Load, trace: &Trace) -> Outcome {
    engine::Engine::new(server, load, trace).run()
}
