//! The result of a run, and its machine-readable form.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::class::Class;
use crate::clock::SECOND_NS;
use crate::gates;
use crate::ledger::Ledger;
use crate::plan::{BodyCheck, Pace, Plan};
use crate::schedule::Arrivals;
use crate::spread::Spread;
use crate::worker::{Report, Usage};

/// What a run measured. Serialised, it is the object that `--json` writes.
///
/// A request belongs to the run if its intended start lies in the measured window; `scheduled` is
/// their number and equals `requests` plus the sum of `errors`. In the percentiles of
/// `response_us`, requests that were not answered correctly rank as infinite (`null`); `service_us`
/// covers correct answers only, `slip_us` what was sent.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The URL, which never holds credentials.
    pub url: String,
    /// `closed` or `open`.
    pub mode: &'static str,
    /// Spacing of the arrivals of an open loop.
    pub arrivals: Option<Arrivals>,
    /// Seed of the arrivals.
    pub seed: u64,
    /// Connections asked for.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Requests in flight on a connection.
    pub pipeline: usize,
    /// Every request opened its connection.
    pub new_connection: bool,
    /// What was compared of the bodies.
    pub body_check: BodyCheck,
    /// Requests answered correctly.
    pub requests: u64,
    /// Requests due in the window: the exact sum of all outcomes.
    pub scheduled: u64,
    /// Requests actually written.
    pub sent: u64,
    /// Length of the window, seconds.
    pub duration_s: f64,
    /// Requests a second asked for (open loop).
    pub rate_offered: Option<f64>,
    /// Correct replies that finished within the window, a second.
    pub rate_achieved: f64,
    /// Intended start to done, microseconds.
    pub response_us: Spread,
    /// Actual send to done, microseconds.
    pub service_us: Spread,
    /// Intended start to actual send, microseconds.
    pub slip_us: Spread,
    /// Time to connect, microseconds: of the connections held, or of the window's requests.
    pub connect_us: Spread,
    /// The part of the slip spent waiting for a free connection, 99th percentile, microseconds.
    pub no_connection_p99_us: f64,
    /// Requests waiting or in flight, averaged over the window.
    pub mean_in_flight: f64,
    /// Mean time from a reply to the server's end of its connection, microseconds
    /// (a connection a request); the slot is not free before.
    pub closing_mean_us: f64,
    /// Outcomes other than a correct answer, by class; those that did not occur are absent.
    pub errors: BTreeMap<&'static str, u64>,
    /// Connections open when fewest were, of the beginning and the end of the window.
    pub connections_alive: u64,
    /// Connections that broke within the window, unannounced.
    pub connections_lost: u64,
    /// Connections that got no reply in the window.
    pub silent_connections: u64,
    /// Returns from `epoll_pwait2` within the window, fruitless polls left out.
    pub wakeups: u64,
    /// Bytes received within the window.
    pub bytes_received: u64,
    /// What the generator itself cost.
    pub generator: Generator,
    /// Every gate was passed.
    pub valid: bool,
    /// One line a gate that was not. Lines beginning with `limited:` say that the generator, not
    /// the server, may have set the figures; any other line makes the run invalid.
    pub reasons: Vec<String>,
}

/// The generator's own cost within the window.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Generator {
    /// CPU a reply, microseconds, without the polling that waits for a due request.
    pub cpu_us_per_request: f64,
    /// How late due requests were noticed, 99th percentile, microseconds; 0 in a closed loop.
    pub late_p99_us: f64,
    /// CPU seconds a second of the window, all threads, polling included.
    pub cpu_share: f64,
    /// Of that, spent polling for the moment a request is due.
    pub spin_share: f64,
    /// CPU seconds a second of the busiest thread, polling left out.
    pub busiest_thread_share: f64,
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, reports: Vec<Report>, interrupted: bool) -> Self {
        let busiest_thread_share = reports
            .iter()
            .map(|report| report.usage.busy_share())
            .fold(0.0, f64::max);
        let usages: Vec<Usage> = reports.iter().map(|report| report.usage).collect();
        let total = |of: fn(&Usage) -> u64| usages.iter().map(of).sum::<u64>();
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let (alive, lost, silent) = (sum(|r| r.alive), sum(|r| r.lost), sum(|r| r.silent));
        let mut ledgers = reports.into_iter().map(|report| report.ledger);
        let mut ledger = ledgers.next().expect("a plan has at least one thread");
        ledgers.for_each(|other| ledger.merge(&other));

        let duration_s = (ledger.window.end_ns - ledger.window.start_ns) as f64 / SECOND_NS as f64;
        let wall_ns = usages.iter().map(|usage| usage.wall_ns).max().unwrap_or(0);
        let busy_ns = total(|u| u.cpu_ns.saturating_sub(u.spin_ns));
        let finished = ledger.finished_in_window;
        let (rate_offered, arrivals) = match plan.pace {
            Pace::Closed => (None, None),
            Pace::Open { rate, arrivals } => (Some(rate), Some(arrivals)),
        };
        let mut outcome = Self {
            url: plan.target.to_string(),
            mode: if arrivals.is_some() { "open" } else { "closed" },
            arrivals,
            seed: plan.seed,
            connections: plan.connections,
            threads: plan.threads,
            pipeline: plan.pipeline,
            new_connection: plan.new_connection,
            body_check: plan.body_check,
            requests: ledger.answered,
            scheduled: ledger.scheduled,
            sent: ledger.sent,
            duration_s,
            rate_offered,
            rate_achieved: ratio(finished as f64, duration_s),
            response_us: ledger.response().spread(ledger.failures()),
            service_us: ledger.service().spread(0),
            slip_us: ledger.slip().spread(0),
            connect_us: ledger.connect.spread(0),
            no_connection_p99_us: ledger.no_connection().spread(0).p99.unwrap_or(0.0),
            mean_in_flight: ratio(ledger.occupied_ns as f64 / SECOND_NS as f64, duration_s),
            closing_mean_us: ratio(total(|u| u.closing_ns) as f64 / 1e3, finished as f64),
            errors: errors(&ledger),
            connections_alive: alive,
            connections_lost: lost,
            silent_connections: silent,
            wakeups: total(|u| u.wakeups),
            bytes_received: total(|u| u.received_bytes),
            generator: Generator {
                cpu_us_per_request: ratio(busy_ns as f64 / 1e3, finished as f64),
                late_p99_us: ledger.late().spread(0).p99.unwrap_or(0.0),
                cpu_share: ratio(total(|u| u.cpu_ns) as f64, wall_ns as f64),
                spin_share: ratio(total(|u| u.spin_ns) as f64, wall_ns as f64),
                busiest_thread_share,
            },
            valid: false,
            reasons: Vec::new(),
        };
        outcome.reasons = gates::reasons(&outcome);
        if interrupted {
            outcome.reasons.insert(0, "interrupted".to_owned());
        }
        outcome.valid = outcome.reasons.is_empty();
        outcome
    }

    /// The outcome as one JSON object, on several lines.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings always serialise")
    }

    /// Requests that were not answered correctly.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Usage {
    fn busy_share(&self) -> f64 {
        ratio(
            self.cpu_ns.saturating_sub(self.spin_ns) as f64,
            self.wall_ns as f64,
        )
    }
}

fn errors(ledger: &Ledger) -> BTreeMap<&'static str, u64> {
    let counted = Class::ALL
        .iter()
        .map(|&class| (class.name(), ledger.failed[class as usize]));
    counted.filter(|&(_, n)| n > 0).collect()
}

/// A quotient that is 0 where there is nothing to divide by.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
