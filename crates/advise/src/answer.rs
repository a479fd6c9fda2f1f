//! The answer, as `turnstile pick --json` writes it.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The choice; `None` where no variant can serve the workload.
    pub recommended: Option<Recommended>,
    /// Why there is none.
    pub refused: Option<String>,
    /// All variants, the best first, those that cannot last.
    pub candidates: Vec<CandidateLine>,
    /// At which inputs the choice would be another.
    pub would_change: Vec<String>,
    /// What the answer rests on.
    pub rests_on: Vec<String>,
    /// The sizes that go with the choice.
    pub sizing: Option<Sizing>,
    /// Machines for a peak, where it was asked for.
    pub plan: Option<Plan>,
}

/// The choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recommended {
    /// Model.
    pub model: String,
    /// Variant.
    pub variant: String,
    /// `--workers`; `None` for the default.
    pub workers: Option<u32>,
    /// Threads or processes that serve.
    pub threads: usize,
    /// Why this one of its tier.
    pub because: String,
    /// Whether it keeps the objective at the asked load.
    pub holds_load: bool,
    /// The best of another model.
    pub runner_up: Option<String>,
}

/// A variant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CandidateLine {
    /// Model.
    pub model: String,
    /// Variant.
    pub variant: String,
    /// `--workers`; `None` for the default.
    pub workers: Option<u32>,
    /// From 1; 0 where it was not ranked.
    pub tier: u32,
    /// Requests per second at which the objective is just kept.
    pub capacity_rps: Option<Interval>,
    /// The response at the asked load; `None` where it does not keep up.
    pub response_us: Option<Response>,
    /// Requests per second answered at the asked load.
    #[serde(default)]
    pub throughput_rps: Option<f64>,
    /// CPU per request at the asked load, µs.
    #[serde(default)]
    pub cpu_us: Option<f64>,
    /// With all connections open.
    pub memory_mib: Option<f64>,
    /// Why it is out.
    pub disqualified: Option<String>,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Estimate.
    pub expected: f64,
    /// Upper end.
    pub high: f64,
}

/// Percentiles of the response, µs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    #[serde(default)]
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// `--workers`, and the capacity with half and twice as many.
    pub workers: Vec<WorkersLine>,
    /// Requests or connections that may wait: more than that, and the last of them is late.
    pub queue_max: u64,
    /// `--queue-delay-ms` at which a request that waits so long would be late; 0 where the default is as long.
    #[serde(default)]
    pub queue_delay_ms: u64,
    /// Descriptors of the process or of each of them.
    pub descriptors: u64,
}

/// A number of workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkersLine {
    /// Workers.
    pub workers: u32,
    /// Requests per second at which the objective is just kept.
    pub capacity_rps: f64,
}

/// Machines for a peak.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Requests per second at the peak.
    pub peak_rps: f64,
    /// Machines that may fail.
    pub failed: u32,
    /// Machines in all.
    pub machines: u64,
    /// Price of a million requests at the peak, where a price was given.
    pub price_per_million: Option<f64>,
    /// On what this rests.
    pub assumptions: Vec<String>,
}
