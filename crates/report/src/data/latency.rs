//! Times over many requests.

use serde::{Deserialize, Serialize};

/// Percentiles of one histogram, microseconds; an unanswered request ranks as infinite (`null`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Recorded values.
    pub count: u64,
    /// Arithmetic mean of the recorded values, µs.
    pub mean: Option<f64>,
    /// Median, µs.
    pub p50: Option<f64>,
    /// 90th percentile, µs.
    pub p90: Option<f64>,
    /// 99th percentile, µs.
    pub p99: Option<f64>,
    /// 99.9th percentile, µs.
    pub p999: Option<f64>,
    /// Largest value, µs.
    pub max: Option<f64>,
}
