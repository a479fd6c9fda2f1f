//! The result of a run, and its machine-readable form.

mod parts;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::parts::{
    IdleOutcome, KindOutcome, PhaseOutcome, PoisonOutcome, SliceOutcome, SlowOutcome,
    SlowSideOutcome,
};
use crate::clock::SECOND_NS;
use crate::gates;
use crate::plan::BodyCheck;
use crate::record::Record;
use crate::schedule::Arrivals;
use crate::spread::Spread;

/// What a run measured. Serialised, it is the object that `--json` writes.
///
/// A request belongs to the run if its intended start lies in the measured window; `scheduled` is
/// their number and equals `requests` plus the sum of `errors`. In the percentiles of
/// `response_us`, requests that were not answered correctly rank as infinite (`null`); `service_us`
/// covers correct answers only, `slip_us` what was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The URL, which never holds credentials.
    pub url: String,
    /// `closed` or `open`.
    pub mode: &'static str,
    /// Spacing of the arrivals of an open loop.
    pub arrivals: Option<Arrivals>,
    /// Seed of the arrivals and of the mix; of several runs merged, that of the first.
    pub seed: u64,
    /// Runs that are added up: 1, unless merged.
    pub runs: u64,
    /// The share of the window that is common to all of them.
    pub overlap_share: f64,
    /// Connections asked for.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Requests in flight on a connection.
    pub pipeline: usize,
    /// Every request opened its connection.
    pub new_connection: bool,
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
    /// Requests a second asked for (open loop), averaged over the window.
    pub rate_offered: Option<f64>,
    /// Correct replies that finished within the window, a second.
    pub rate_achieved: f64,
    /// Intended start to done, microseconds.
    pub response_us: Spread,
    /// Actual send to done, microseconds.
    pub service_us: Spread,
    /// Intended start to actual send, microseconds.
    pub slip_us: Spread,
    /// The part of the slip that is the generator's own lateness, microseconds; of an open loop.
    pub late_us: Spread,
    /// The part of the slip spent waiting for a free connection, microseconds; of an open loop.
    pub no_connection_us: Spread,
    /// Time to connect, microseconds: of the connections held, or of the window's requests.
    pub connect_us: Spread,
    /// The 99th percentile of `no_connection_us`, 0 where there is none.
    pub no_connection_p99_us: f64,
    /// Requests waiting or in flight, averaged over the window.
    pub mean_in_flight: f64,
    /// Mean time from a reply to the server's end of its connection, microseconds
    /// (a connection a request); the slot is not free before.
    pub closing_mean_us: f64,
    /// Outcomes other than a correct answer, by class; those that did not occur are absent.
    pub errors: BTreeMap<&'static str, u64>,
    /// The steps of the profile; empty without one.
    pub phases: Vec<PhaseOutcome>,
    /// The window in slices of a hundredth of it, but at least 100 ms.
    pub timeline: Vec<SliceOutcome>,
    /// The kinds of request of a mix; empty without one.
    pub kinds: Vec<KindOutcome>,
    /// Connections open when fewest were, of the beginning and the end of the window.
    pub connections_alive: u64,
    /// Connections that broke within the window, unannounced.
    pub connections_lost: u64,
    /// Connections that were to be kept and that the server closed within the window behind a
    /// reply, as it announced. Each was replaced, which is another load than the one asked for.
    pub connections_closed: u64,
    /// Connections that got no reply in the window.
    pub silent_connections: u64,
    /// The connections held idle, if any were asked for.
    pub idle: Option<IdleOutcome>,
    /// The slow clients, if any were asked for.
    pub slow: Option<SlowOutcome>,
    /// The poisoned requests, if any were asked for.
    pub poison: Option<PoisonOutcome>,
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Generator {
    /// Threads that sent the load.
    pub threads: usize,
    /// CPU a reply, microseconds, without the polling that waits for a due request.
    pub cpu_us_per_request: f64,
    /// How late due requests were noticed, 99th percentile, microseconds; 0 in a closed loop.
    pub late_p99_us: f64,
    /// How late a due request was noticed at worst, microseconds; 0 in a closed loop.
    pub max_late_us: f64,
    /// CPU seconds a second of the window, all threads, polling included.
    pub cpu_share: f64,
    /// Of that, spent polling for the moment a request is due.
    pub spin_share: f64,
    /// CPU seconds a second of the busiest thread, polling left out.
    pub busiest_thread_share: f64,
}

impl Outcome {
    /// The figures of a record, and whether they may be believed.
    pub(crate) fn new(record: &Record) -> Self {
        let (shape, books, usage) = (&record.shape, &record.books, &record.usage);
        let duration_s = books.length_ns as f64 / SECOND_NS as f64;
        let finished = books.finished_in_window as f64;
        let late_us = books.late.spread(0);
        let no_connection_us = books.no_connection.spread(0);
        let busy_ns = usage.cpu_ns.saturating_sub(usage.spin_ns) as f64;
        let failed = books.failed();
        let mut outcome = Self {
            url: shape.url.clone(),
            mode: if shape.arrivals.is_some() {
                "open"
            } else {
                "closed"
            },
            arrivals: shape.arrivals,
            seed: record.seed,
            runs: record.begun_unix_ns.len() as u64,
            overlap_share: record.overlap_share(),
            connections: record.connections,
            threads: record.threads,
            pipeline: shape.pipeline,
            new_connection: shape.new_connection,
            body_check: shape.body_check.unwrap_or(BodyCheck::Exact),
            requests: books.answered(),
            scheduled: books.scheduled(),
            sent: books.sent,
            duration_s,
            rate_offered: parts::rate_offered(record),
            rate_achieved: ratio(finished, duration_s),
            response_us: books.response(|_| true).spread(failed.total()),
            service_us: books.service().spread(0),
            slip_us: books.slip().spread(0),
            late_us,
            no_connection_us,
            connect_us: books.connect.spread(0),
            no_connection_p99_us: no_connection_us.p99.unwrap_or(0.0),
            mean_in_flight: ratio(books.occupied_ns as f64 / SECOND_NS as f64, duration_s),
            closing_mean_us: ratio(usage.closing_ns as f64 / 1e3, finished),
            errors: failed.occurred().collect(),
            phases: parts::phases(record),
            timeline: parts::timeline(record),
            kinds: parts::kinds(record),
            connections_alive: record.alive,
            connections_lost: record.lost,
            connections_closed: record.closed,
            silent_connections: record.silent,
            idle: record.idle.as_ref().map(IdleOutcome::new),
            slow: record.slow.as_ref().map(SlowOutcome::new),
            poison: record.poison.as_ref().map(PoisonOutcome::new),
            wakeups: usage.wakeups,
            bytes_received: usage.received_bytes,
            generator: Generator {
                threads: record.threads,
                cpu_us_per_request: ratio(busy_ns / 1e3, finished),
                late_p99_us: late_us.p99.unwrap_or(0.0),
                max_late_us: late_us.max.unwrap_or(0.0),
                cpu_share: ratio(usage.cpu_ns as f64, usage.wall_ns as f64),
                spin_share: ratio(usage.spin_ns as f64, usage.wall_ns as f64),
                busiest_thread_share: record.busiest_thread_share(),
            },
            valid: false,
            reasons: record.reasons.clone(),
        };
        for reason in gates::reasons(&outcome) {
            if !outcome.reasons.contains(&reason) {
                outcome.reasons.push(reason);
            }
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

/// A quotient that is 0 where there is nothing to divide by.
pub(crate) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
