//! The result of a run of the load generator: what `load --json` writes and `bench` reads.
//!
//! Every field may be absent when it is read: a result of another version, or of another
//! generator, is read as far as it goes.

mod parts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::parts::{
    IdleFigures, KindFigures, Latency, PercentileFigures, PhaseFigures, PoisonFigures,
    RequestsFile, SliceFigures, SlowClients, SlowFigures,
};
use crate::reasons::Reasons;

/// What a run measured.
///
/// A request belongs to the run if its intended start lies in the measured window; `scheduled` is
/// their number and equals `requests` plus the sum of `errors`. In the percentiles of
/// `response_us`, requests that were not answered correctly rank as infinite (`null`); `service_us`
/// covers correct replies only, `slip_us` the requests that were sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadResult {
    /// The URL, which never holds credentials.
    pub url: String,
    /// Closed or open loop.
    pub mode: Mode,
    /// Spacing of the arrivals of an open loop.
    pub arrivals: Option<Arrivals>,
    /// Seed of the arrivals and of the mix; of several runs merged, that of the first.
    pub seed: u64,
    /// Number of runs that are added up: 1, unless merged.
    pub runs: u64,
    /// The share of the window that is common to all of them.
    pub overlap_share: f64,
    /// Connections asked for.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Requests in flight per connection.
    pub pipeline: usize,
    /// Every request opened its connection.
    pub new_connection: bool,
    /// The share of requests on a connection of their own, where others share those that are kept.
    #[serde(skip_serializing_if = "is_nothing")]
    pub churn: f64,
    /// How long each client of a closed loop thinks after a reply, milliseconds.
    #[serde(skip_serializing_if = "is_nothing")]
    pub think_ms: f64,
    /// What was compared of the bodies, where a kind of request does not say otherwise.
    pub body_check: BodyCheck,
    /// Requests answered correctly.
    pub requests: u64,
    /// Requests due in the window: the exact sum of all outcomes.
    pub scheduled: u64,
    /// Requests actually written.
    pub sent: u64,
    /// Length of the window, seconds.
    pub duration_s: f64,
    /// Requests per second asked for (open loop), averaged over the window.
    pub rate_offered: Option<f64>,
    /// Correct replies per second that finished within the window.
    pub rate_achieved: f64,
    /// From the intended start to the end of the reply, microseconds.
    pub response_us: Latency,
    /// The percentile of it that was asked for beside the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile: Option<PercentileFigures>,
    /// From the actual send to the end of the reply, microseconds.
    pub service_us: Latency,
    /// From the intended start to the actual send, microseconds.
    pub slip_us: Latency,
    /// The part of the slip that is the generator's own lateness, microseconds; of an open loop. Where
    /// clients think, by how much longer they thought because the generator was late: responses
    /// count from the send, and do not hold it.
    pub late_us: Latency,
    /// The part of the slip spent waiting for a free connection, microseconds; of an open loop.
    pub no_connection_us: Latency,
    /// Time to connect, microseconds: of the connections held, or of the window's requests.
    pub connect_us: Latency,
    /// The 99th percentile of `no_connection_us`, 0 where there is none.
    pub no_connection_p99_us: f64,
    /// Requests waiting or in flight, averaged over the window.
    pub mean_in_flight: f64,
    /// Clients that thought, averaged over the window.
    #[serde(skip_serializing_if = "is_nothing")]
    pub mean_thinking: f64,
    /// Mean time from a reply until the server closed its connection, microseconds (one connection
    /// per request); the connection cannot be replaced before.
    pub closing_mean_us: f64,
    /// Outcomes other than a correct reply, by class; classes that did not occur are absent.
    pub errors: BTreeMap<String, u64>,
    /// Whole replies by status, right and wrong ones; empty where replies have none.
    pub statuses: BTreeMap<String, u64>,
    /// Connections whose bytes were no reply, by the reason; empty when there was none.
    pub malformed: BTreeMap<String, u64>,
    /// The file from which the requests come, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_file: Option<RequestsFile>,
    /// The steps of the profile; empty without one.
    pub phases: Vec<PhaseFigures>,
    /// The window in slices of a hundredth of it, but at least 100 ms.
    pub timeline: Vec<SliceFigures>,
    /// The kinds of request of a mix; empty without one.
    pub kinds: Vec<KindFigures>,
    /// Connections open at the beginning or at the end of the window, whichever were fewer.
    pub connections_alive: u64,
    /// Connections that broke within the window, unannounced.
    pub connections_lost: u64,
    /// Connections that were to be kept and that the server closed within the window behind a
    /// reply, as it announced, or while they were idle. Each was replaced, which is another load than
    /// the one asked for.
    pub connections_closed: u64,
    /// Of them, those that had answered before and had no request: the server ended idle ones.
    pub connections_closed_idle: u64,
    /// Connections that got no reply in the window; `None` when the generator does not tell.
    pub silent_connections: Option<u64>,
    /// The connections held idle, if any were asked for.
    pub idle: Option<IdleFigures>,
    /// The slow clients, if any were asked for.
    pub slow: Option<SlowFigures>,
    /// The poisoned requests, if any were asked for.
    pub poison: Option<PoisonFigures>,
    /// Returns from `epoll_pwait2` within the window; polls that found nothing are left out.
    pub wakeups: u64,
    /// Bytes received within the window.
    pub bytes_received: u64,
    /// What the generator itself cost.
    pub generator: GeneratorCost,
    /// The histogram of the response times in nanoseconds, in the text form of HdrHistogram's logs
    /// (version 2, deflated, base 64); in the record of a slice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_hdr: Option<String>,
    /// Connections that were opened again before a slice.
    #[serde(skip_serializing_if = "is_zero")]
    pub connections_reopened: u64,
    /// Every gate was passed. A result that does not say so is not valid.
    pub valid: bool,
    /// Why it is not.
    #[serde(flatten)]
    pub reasons: Reasons,
}

/// The generator's own cost within the window; `None` when the generator does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratorCost {
    /// Threads that sent the load.
    pub threads: usize,
    /// CPU time per reply, microseconds, without the polling that waits for a due request.
    pub cpu_us_per_request: Option<f64>,
    /// How late due requests were noticed, 99th percentile, microseconds; 0 in a closed loop.
    pub late_p99_us: Option<f64>,
    /// How late a due request was noticed at worst, microseconds; 0 in a closed loop.
    pub max_late_us: Option<f64>,
    /// CPU seconds per second of the window, all threads, polling included.
    pub cpu_share: Option<f64>,
    /// Of that, spent polling for the moment a request is due.
    pub spin_share: f64,
    /// CPU seconds per second of the busiest thread, polling left out.
    pub busiest_thread_share: Option<f64>,
}

/// What makes the next request leave.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The reply to the previous request of its connection.
    #[default]
    Closed,
    /// A schedule that does not depend on the replies.
    Open,
}

/// How the arrivals of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Exponential gaps, as independent users make them.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// How much of a reply's body is compared with the first correct one, in ascending order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyCheck {
    /// Nothing; framing and status still are checked.
    None,
    /// Its length.
    Length,
    /// Every byte (up to 64 MiB, and the length beyond).
    #[default]
    Exact,
}

impl LoadResult {
    /// Requests that were not answered correctly.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl GeneratorCost {
    /// CPU seconds per second, all threads, without the polling: it gives way to work.
    pub fn busy_share(&self) -> Option<f64> {
        self.cpu_share
            .map(|share| (share - self.spin_share).max(0.0))
    }
}

/// A figure that is not written.
fn is_nothing(figure: &f64) -> bool {
    *figure == 0.0
}

/// A count that is not written.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Code, Effect, Reason};

    #[test]
    fn a_partial_result_is_read_as_far_as_it_goes() {
        let result: LoadResult = serde_json::from_str(
            r#"{"requests": 5, "response_us": {"count": 5, "mean": 1.5, "p50": 1, "p99": null},
                "generator": {"cpu_us_per_request": 2.5}, "valid": true, "later": [1],
                "kinds": [{"errors": {"reset": 2, "timeout": 1}}],
                "reasons": ["limited: generator CPU 90 % is above 85 %"]}"#,
        )
        .unwrap();
        assert_eq!(result.response_us.p99, None);
        assert_eq!(result.generator.cpu_us_per_request, Some(2.5));
        assert_eq!((result.valid, result.silent_connections), (true, None));
        assert_eq!(result.kinds[0].failures(), 3);
        assert!(result.reasons.has(Code::GeneratorCpu) && result.reasons.any(Effect::Limits));
    }

    #[test]
    fn a_written_result_reads_back_as_itself() {
        let reason = Reason::new(Code::LittlesLaw, Effect::Invalidates, "text").with("n", 2.5);
        let result = LoadResult {
            mode: Mode::Open,
            arrivals: Some(Arrivals::Poisson),
            timeline: vec![SliceFigures::default()],
            phases: vec![PhaseFigures::default()],
            slow: Some(SlowFigures::default()),
            silent_connections: Some(3),
            reasons: vec![reason].into(),
            ..LoadResult::default()
        };
        let json = serde_json::to_value(&result).unwrap();
        assert_eq!(
            (&json["mode"], &json["arrivals"], &json["body_check"]),
            (&"open".into(), &"poisson".into(), &"exact".into())
        );
        assert_eq!(json["reasons"], serde_json::json!(["text"]));
        assert_eq!(serde_json::from_value::<LoadResult>(json).unwrap(), result);
    }
}
