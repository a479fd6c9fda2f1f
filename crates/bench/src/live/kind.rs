//! What is compared of A and B, and what may be said of it.

use report::stats::sequential::Bounds;
use serde::Serialize;

use super::slice::Rotation;

/// A difference counts when its interval lies wholly beyond this...
const LEAST: f64 = 0.005;
/// ...and its estimate beyond this: a per cent that is certain is still worth no alarm.
const WORTH: f64 = 0.01;
/// A 99th percentile of a slice is as rough as that.
const P99_WIDER: f64 = 3.0;

/// The figures that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// CPU of the server per request, at the offered rate.
    Cpu,
    /// Requests per second in the closed loop.
    Throughput,
    /// Median response at the offered rate.
    P50,
    /// 99th percentile of the response at the offered rate.
    P99,
}

impl Kind {
    /// In the order in which they are shown.
    pub const ALL: [Kind; 4] = [Kind::Cpu, Kind::Throughput, Kind::P50, Kind::P99];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "CPU per request",
            Kind::Throughput => "throughput",
            Kind::P50 => "p50 response",
            Kind::P99 => "p99 response",
        }
    }

    /// The figure of A and of B in a rotation.
    pub fn of(self, rotation: &Rotation) -> [Option<f64>; 2] {
        match self {
            Kind::Cpu => rotation.open.map(|slice| slice.cpu_us),
            Kind::Throughput => rotation.closed.map(|slice| slice.throughput_rps),
            Kind::P50 => rotation.open.map(|slice| slice.p50_us),
            Kind::P99 => rotation.open.map(|slice| slice.p99_us),
        }
    }

    /// The value as a logarithmic cost: smaller is better.
    pub fn cost(self, value: f64) -> f64 {
        match self {
            Kind::Throughput => -value.ln(),
            Kind::Cpu | Kind::P50 | Kind::P99 => value.ln(),
        }
    }

    /// When two are equal, and when they differ; `within` in per cent.
    pub fn bounds(self, within: f64) -> Bounds {
        let wider = if self == Kind::P99 { P99_WIDER } else { 1.0 };
        Bounds {
            least: LEAST,
            zone: WORTH,
            within: (within * wider / 100.0).ln_1p(),
        }
    }
}

/// What is said of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// B is worse.
    Slower,
    /// B is better.
    Faster,
    /// They differ by less than was asked for.
    Equal,
    /// Counted: it may be less, and is no more than what happens to differ.
    NotMore,
    /// Neither was shown.
    Undecided,
    /// It was not measured, or is the generator's and not the server's.
    NotJudged,
}
