//! What the generator answers: `load --json`, as far as it is used here.

use std::collections::BTreeMap;

use report::data::{IdleFigures, Latency, PoisonFigures, SlowFigures};
use serde::Deserialize;

/// `load --json`, as far as it is used here. What a generator does not tell is not guessed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Requests answered correctly.
    pub requests: u64,
    /// Requests scheduled: the sum of all outcomes.
    pub scheduled: u64,
    /// The window it measured, s.
    pub duration_s: f64,
    /// Correct answers a second.
    pub rate_achieved: f64,
    /// Intended start to done.
    pub response_us: Latency,
    /// Actual send to done.
    pub service_us: Latency,
    /// Intended to actual send.
    pub slip_us: Latency,
    /// Connection set-up.
    pub connect_us: Latency,
    /// Outcomes other than a correct answer, by class.
    pub errors: BTreeMap<String, u64>,
    /// What the generator itself cost.
    pub generator: Cost,
    /// Its own verdict; a report without one is not trusted.
    pub valid: bool,
    /// A sentence for each of its gates that did not pass; `limited:` in front when it is the limit.
    pub reasons: Vec<String>,
    /// Connections that got no reply in the window.
    pub silent_connections: Option<u64>,
    /// Connections that broke within the window.
    pub connections_lost: u64,
    /// Connections that were to be kept and that the server closed behind a reply.
    pub connections_closed: u64,
    /// Mean time from a reply to the end of its connection, µs (a connection a request).
    pub closing_mean_us: f64,
    /// How long due requests waited for a free connection, p99, µs.
    pub no_connection_p99_us: f64,
    /// The steps of a load in steps.
    pub phases: Vec<Phase>,
    /// The window in slices.
    pub timeline: Vec<Moment>,
    /// The kinds of a mix.
    pub kinds: Vec<Kind>,
    /// Connections held without a request.
    pub idle: Option<IdleFigures>,
    /// Slow clients.
    pub slow: Option<SlowFigures>,
    /// The poisoned request.
    pub poison: Option<PoisonFigures>,
}

/// A step of `phases`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// Offered requests a second at its beginning.
    pub rate_from: f64,
    /// Its beginning, s from that of the window.
    pub start_s: f64,
    /// Its length, s.
    pub duration_s: f64,
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Of those, within the objective that was asked about.
    pub within_objective: Option<u64>,
    /// Outcomes other than a correct answer.
    pub errors: Errors,
    /// Intended start to done.
    pub response_us: Latency,
}

/// A slice of `timeline`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// Its beginning, s from that of the window.
    pub start_s: f64,
    /// Its length, s.
    pub duration_s: f64,
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Outcomes other than a correct answer.
    pub errors_total: u64,
    /// Median response, µs.
    pub p50_us: Option<f64>,
    /// 99th percentile of the response, µs.
    pub p99_us: Option<f64>,
}

/// A kind of `kinds`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Kind {
    /// `GET`.
    pub method: String,
    /// `/kv/{n:1000}`.
    pub path: String,
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Outcomes other than a correct answer.
    pub errors: Errors,
    /// Intended start to done.
    pub response_us: Latency,
}

/// Errors, by class or all together.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Errors {
    /// All together.
    Total(u64),
    /// By class.
    Classes(BTreeMap<String, u64>),
}

impl Default for Errors {
    fn default() -> Self {
        Self::Total(0)
    }
}

impl Errors {
    /// All together.
    pub fn total(&self) -> u64 {
        match self {
            Self::Total(total) => *total,
            Self::Classes(classes) => classes.values().sum(),
        }
    }
}

/// `generator` of `load --json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// CPU, µs a request.
    pub cpu_us_per_request: Option<f64>,
    /// How late it sent what was due, p99, µs.
    pub late_p99_us: Option<f64>,
    /// CPU seconds a second, all threads, polling for the next due moment included.
    pub cpu_share: Option<f64>,
    /// Of that, spent polling.
    pub spin_share: f64,
    /// CPU seconds a second of the busiest thread, polling left out.
    pub busiest_thread_share: Option<f64>,
}

impl Cost {
    /// CPU seconds a second, all threads, without the polling: that gives way to work.
    pub fn busy_share(&self) -> Option<f64> {
        self.cpu_share
            .map(|share| (share - self.spin_share).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_percentile_and_unknown_fields_are_read() {
        let report: Report = serde_json::from_str(
            r#"{"requests": 5, "response_us": {"count": 5, "mean": 1.5, "p50": 1, "p99": null},
                "generator": {"cpu_us_per_request": 2.5}, "valid": true, "later": [1],
                "kinds": [{"errors": {"reset": 2, "timeout": 1}}, {"errors": 5}]}"#,
        )
        .expect("the contract's shape");
        assert_eq!(report.response_us.p99, None);
        assert_eq!(report.generator.cpu_us_per_request, Some(2.5));
        assert!(report.valid);
        let errors: Vec<u64> = report
            .kinds
            .iter()
            .map(|kind| kind.errors.total())
            .collect();
        assert_eq!(errors, [3, 5]);
    }
}
