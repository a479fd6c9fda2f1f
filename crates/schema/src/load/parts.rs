//! The parts of a result: percentiles, steps, slices, kinds of request, and what ran in addition to
//! the load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The percentiles of a histogram of times, microseconds.
///
/// Each percentile is taken over the whole population: requests that failed or were never answered
/// rank as infinite, and a percentile that falls among them is `None` (JSON `null`); so is `max`
/// as soon as one request failed. With nothing recorded all are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Finite values recorded.
    pub count: u64,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// 99.9th percentile.
    pub p999: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

/// A step of the profile. A request belongs to the step of its intended start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseFigures {
    /// Requests per second offered at its beginning.
    pub rate_from: f64,
    /// Requests per second offered at its end.
    pub rate_to: f64,
    /// When it began, seconds from the start of the window.
    pub start_s: f64,
    /// How long it lasted, seconds.
    pub duration_s: f64,
    /// Requests due in it.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// Of those, within the objective, exactly; `None` without one.
    pub within_objective: Option<u64>,
    /// The others, by class.
    pub errors: BTreeMap<String, u64>,
    /// From the intended start to the end of the reply.
    pub response_us: Latency,
    /// The same of the correct replies alone: how long those waited that a server which refuses some
    /// did serve.
    pub served_us: Latency,
    /// From the actual send to the end of the reply.
    pub service_us: Latency,
    /// From the intended start to the actual send.
    pub slip_us: Latency,
}

/// A slice of the window. A request belongs to the slice of its intended start; percentiles that
/// fall among requests not answered correctly are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceFigures {
    /// When it began, seconds from the start of the window.
    pub start_s: f64,
    /// How long it lasted, seconds.
    pub duration_s: f64,
    /// Requests due in it.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// Of those, within the objective, exactly; `None` without one.
    pub within_objective: Option<u64>,
    /// The others.
    pub errors_total: u64,
    /// Median of the response, microseconds.
    pub p50_us: Option<f64>,
    /// Its 99th percentile.
    pub p99_us: Option<f64>,
    /// Its largest value.
    pub max_us: Option<f64>,
}

/// A kind of request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindFigures {
    /// Request method.
    pub method: String,
    /// Path, with its placeholder.
    pub path: String,
    /// How often it was drawn, relative to the others.
    pub weight: u32,
    /// Requests due.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// The others, by class.
    pub errors: BTreeMap<String, u64>,
    /// From the intended start to the end of the reply.
    pub response_us: Latency,
}

/// The connections held idle, which are not part of the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdleFigures {
    /// Connections asked for.
    pub asked: u64,
    /// Of them, opened, and their one request answered correctly.
    pub opened: u64,
    /// Of those, still open when the run was over.
    pub open_at_end: u64,
    /// The rest of those.
    pub closed_by_server: u64,
}

/// The slow clients, which are not part of the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlowFigures {
    /// Those that sent their request slowly.
    pub senders: SlowClients,
    /// Those that read their reply slowly.
    pub readers: SlowClients,
}

/// The slow clients of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlowClients {
    /// Clients asked for at any time.
    pub asked: u64,
    /// Connections they opened, replacements included.
    pub opened: u64,
    /// Of those, closed by the server.
    pub closed_by_server: u64,
    /// Requests that got their whole reply.
    pub finished: u64,
    /// Connections open when the run was over.
    pub open_at_end: u64,
    /// How long the connections that the server closed had lasted. An orderly close is only seen
    /// behind the bytes before it, which a slow reader has yet to read.
    pub life_us: Latency,
}

/// The poisoned requests, which are not part of the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoisonFigures {
    /// Requests sent, or tried.
    pub sent: u64,
    /// Of them, answered with whatever status.
    pub answered: u64,
    /// The rest: without a reply after the time-out or when the run was over.
    pub lost: u64,
    /// From the intended start to the end of the reply; lost ones rank as infinite.
    pub response_us: Latency,
}

impl PhaseFigures {
    /// Requests that were not answered correctly.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl KindFigures {
    /// Requests that were not answered correctly.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The file from which the requests of a run come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestsFile {
    /// Requests taken from it.
    pub requests: u64,
    /// Of them, how many differ from each other.
    pub different: u64,
    /// Lines or entries that are no request.
    pub broken: u64,
    /// The number of the first of these, from 1.
    pub broken_first: Option<u64>,
    /// What is wrong with it.
    pub broken_why: Option<String>,
    /// Requests of a HAR to another host than its first, which were left out.
    pub elsewhere: u64,
}

/// A percentile that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PercentileFigures {
    /// As it was asked for: `95`, or `95@0..3` of three kinds of the mix.
    pub asked: String,
    /// Requests that it is about.
    pub scheduled: u64,
    /// Its value, microseconds; `None` is infinite.
    pub response_us: Option<f64>,
}
