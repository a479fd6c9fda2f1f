//! Further figures of a trial: phases, slices, kinds of requests, what was sent beside them, passes.

use schema::load::Latency;
use serde::{Deserialize, Serialize};

use super::kinds::Validity;

/// A phase of a load in steps; requests belong to the phase of their intended start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseFigures {
    /// What the scenario calls it: `half`, `twice`, `recovery`.
    pub name: String,
    /// Offered requests per second.
    pub rate: f64,
    /// Its beginning, seconds from that of the window.
    pub start_s: f64,
    /// Its length, seconds.
    pub duration_s: f64,
    /// Requests scheduled: the sum of all outcomes.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Outcomes other than a correct answer.
    pub errors: u64,
    /// Intended start to done.
    pub response_us: Latency,
    /// Correct answers within the objective's time per second of the phase, where the scenario has an
    /// objective (a lower bound, read off the percentiles); else correct answers per second.
    pub goodput_rps: f64,
}

/// A slice of the window; requests belong to the slice of their intended start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slice {
    /// Its beginning, seconds from that of the window.
    pub start_s: f64,
    /// Its length, seconds.
    pub duration_s: f64,
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Outcomes other than a correct answer.
    pub errors: u64,
    /// Median response, µs; `None` is infinite or without a request.
    pub p50_us: Option<f64>,
    /// 99th percentile of the response, µs; `None` is infinite or without a request.
    pub p99_us: Option<f64>,
}

/// One kind of request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindFigures {
    /// `GET /kv/{n:1000}`.
    pub name: String,
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Outcomes other than a correct answer.
    pub errors: u64,
    /// Intended start to done.
    pub response_us: Latency,
}

/// The highest offered rate at which the objective is kept, as a bracket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// The objective: p99 of the response at most so many µs.
    pub objective_p99_us: f64,
    /// The objective's percentile, where it is not the p99 of all requests: `95`, or `95@0..3` of kinds of
    /// the mix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective_percentile: Option<String>,
    /// The objective: outcomes other than a correct answer at most this share of all.
    pub errors_max_share: f64,
    /// Highest offered rate that kept it; `None`: not even the lowest that was tried.
    pub highest_ok_rps: Option<f64>,
    /// Lowest offered rate above it that did not; `None`: none was found up to the generator's limit.
    pub lowest_failed_rps: Option<f64>,
    /// `true` when the lower end kept it twice and the upper end broke it twice.
    pub confirmed: bool,
    /// Every step, in the order in which they were run.
    pub steps: Vec<CapacityStep>,
}

/// One window of a capacity search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityStep {
    /// Offered requests per second.
    pub rate: f64,
    /// p50 of the response, µs; `None` is infinite.
    #[serde(default)]
    pub p50_us: Option<f64>,
    /// p99 of the response, or the percentile of its objective, µs; `None` is infinite.
    pub p99_us: Option<f64>,
    /// Outcomes other than a correct answer, as a share of all.
    pub errors_share: f64,
    /// `true` when the objective was kept.
    pub ok: bool,
    /// The verdict of the gates; an INVALID step decides nothing.
    pub validity: Validity,
}

/// Memory and tasks of a server that holds so many connections, each of which was served once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStep {
    /// Connections open.
    pub connections: u64,
    /// Proportional set size of the tree, KiB.
    pub pss_kib: Option<u64>,
    /// Memory that no other process has, KiB; absent in runs that did not keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_kib: Option<u64>,
    /// Resident set size, KiB: counts pages that processes share once for each.
    pub rss_kib: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u32>,
    /// `false`: the model does not hold so many.
    pub held: bool,
    /// Why it does not, by design or as seen; empty when held.
    pub reason: String,
}

/// What is not written: most trials have none of it.
pub(super) fn nothing<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
