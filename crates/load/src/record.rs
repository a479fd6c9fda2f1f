//! The record of a run: exact counts and whole histograms, which add up.

mod shape;

use schema::load::RequestsFile;
use schema::{Code, Effect, Reason, Reasons};
use serde::{Deserialize, Serialize};

pub(crate) use self::shape::NANO;
use self::shape::{Offer, Shape, offers};
use crate::counts::Counts;
use crate::extra_clients::ExtraCounts;
use crate::plan::Plan;
use crate::thread_result::{ThreadResult, Usage};

/// The record of one run, or of several added up: what was asked for, and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub(crate) shape: Shape,
    /// When each run started, nanoseconds since 1970: it tells one run from another.
    #[serde(rename = "begun_unix_ns")]
    pub(crate) started_unix_ns: Vec<u64>,
    /// When the window of each run started; absent in old files.
    #[serde(default)]
    windows_unix_ns: Vec<u64>,
    /// Seed of the first run.
    pub(crate) seed: u64,
    /// Seeds of the other runs.
    #[serde(default)]
    other_seeds: Vec<u64>,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// One for each step of the profile, or one; none in a closed loop.
    pub(crate) offers: Vec<Offer>,
    #[serde(rename = "books")]
    pub(crate) counts: Counts,
    pub(crate) usage: Usage,
    /// CPU time of the busiest thread, billionths of the elapsed time.
    busiest_thread_nano: u64,
    pub(crate) alive: u64,
    pub(crate) lost: u64,
    #[serde(default)]
    pub(crate) closed: u64,
    #[serde(default)]
    pub(crate) closed_idle: u64,
    pub(crate) silent: u64,
    /// The file of the requests, which all runs share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests_file: Option<RequestsFile>,
    #[serde(flatten)]
    pub(crate) extra: ExtraCounts,
    /// Why the runs are not valid, each by itself.
    #[serde(flatten)]
    pub(crate) reasons: Reasons,
}

/// When a run started, nanoseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StartTimes {
    pub(crate) run_unix_ns: u64,
    pub(crate) window_unix_ns: u64,
}

impl RunRecord {
    /// The record of a run: the sum of its threads.
    pub(crate) fn new(
        plan: &Plan,
        results: Vec<ThreadResult>,
        extra: ExtraCounts,
        started: StartTimes,
        interrupted: bool,
    ) -> Self {
        let sum = |of: fn(&ThreadResult) -> u64| results.iter().map(of).sum::<u64>();
        let (alive, lost) = (sum(|r| r.alive), sum(|r| r.lost));
        let (closed, silent) = (sum(|r| r.closed), sum(|r| r.silent));
        let closed_idle = sum(|r| r.closed_idle);
        let busy = results.iter().map(|result| result.usage.busy_share());
        let busiest_thread_nano = (busy.fold(0.0, f64::max) * NANO).round() as u64;
        let mut results = results.into_iter();
        let first = results.next().expect("a plan has at least one thread");
        let (mut counts, mut usage) = (first.counts, first.usage);
        for result in results {
            counts.merge(&result.counts);
            usage.merge(&result.usage);
        }
        let interruption = || Reason::new(Code::Interrupted, Effect::Invalidates, "interrupted");
        let reasons: Vec<Reason> = interrupted.then(interruption).into_iter().collect();
        Self {
            shape: Shape::new(plan),
            started_unix_ns: vec![started.run_unix_ns],
            windows_unix_ns: vec![started.window_unix_ns],
            seed: plan.seed,
            other_seeds: Vec::new(),
            connections: plan.connections,
            threads: plan.threads,
            offers: offers(plan),
            counts,
            usage,
            busiest_thread_nano,
            alive,
            lost,
            closed,
            closed_idle,
            silent,
            requests_file: plan.script.as_ref().map(|script| script.counts()),
            extra,
            reasons: reasons.into(),
        }
    }

    /// The histogram of the response times of correct replies, nanoseconds, as text: HdrHistogram
    /// version 2, deflated, base 64.
    pub(crate) fn response_hdr(&self) -> String {
        let response = serde_json::to_value(self.counts.response(|_| true));
        let text = response.expect("a histogram always serialises");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Adds a reason why the figures may not be believed, unless it is known.
    pub(crate) fn add_reason(&mut self, reason: Reason) {
        let known = |known: &Reason| known.code == reason.code && known.text == reason.text;
        if !self.reasons.iter().any(known) {
            self.reasons.push(reason);
        }
    }

    /// CPU seconds per second of the busiest thread, polling left out.
    pub(crate) fn busiest_thread_share(&self) -> f64 {
        self.busiest_thread_nano as f64 / NANO
    }

    /// What keeps another record from being added, in a few words; `None` when nothing does.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        let fields = |record: &Self| {
            let value = serde_json::to_value(&record.shape).expect("a shape always serialises");
            value.as_object().cloned().unwrap_or_default()
        };
        let others = fields(other);
        let differing = fields(self)
            .into_iter()
            .find(|(name, value)| others.get(name) != Some(value));
        if let Some((name, value)) = differing {
            let other = others.get(&name).cloned().unwrap_or_default();
            return Some(format!("{name} is {value}, not {other}"));
        }
        let parts = |record: &Self| {
            let counts = &record.counts;
            (
                counts.length_ns,
                counts.slices.len(),
                counts.phases.len(),
                counts.kinds.len(),
            )
        };
        if parts(self) != parts(other) {
            let seconds = |record: &Self| record.counts.length_ns as f64 / NANO;
            let (found, expected) = (seconds(self), seconds(other));
            return Some(format!("it measured {found} s, not {expected} s"));
        }
        let alike = self.extra.is_like(&other.extra) && self.offers.len() == other.offers.len();
        (!alike).then(|| "it had other extra clients (idle, slow or poison)".to_owned())
    }

    /// Whether both contain the same run.
    pub(crate) fn shares_a_run_with(&self, other: &Self) -> bool {
        let started = &self.started_unix_ns;
        started.iter().any(|ns| other.started_unix_ns.contains(ns))
    }

    /// A seed from which both drew their arrivals: their requests then come in pairs, which is not
    /// the load of one generator at the sum of their rates.
    pub(crate) fn shared_seed(&self, other: &Self) -> Option<u64> {
        let seeds = |record: &Self| {
            let others = record.other_seeds.iter().copied();
            others.chain([record.seed]).collect::<Vec<_>>()
        };
        self.shape.arrivals?;
        let others = seeds(other);
        seeds(self).into_iter().find(|seed| others.contains(seed))
    }

    /// The share of the window that is common to the windows of all runs: rates may be added if
    /// they were measured at the same time. Old files hold only the start of the run, which is
    /// taken instead.
    pub(crate) fn overlap_share(&self) -> f64 {
        let started = if self.windows_unix_ns.len() == self.started_unix_ns.len() {
            &self.windows_unix_ns
        } else {
            &self.started_unix_ns
        };
        let (Some(first), Some(last)) = (started.iter().min(), started.iter().max()) else {
            return 1.0;
        };
        let length_ns = self.counts.length_ns;
        length_ns.saturating_sub(last - first) as f64 / length_ns.max(1) as f64
    }

    /// Adds a record in which nothing differs.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.started_unix_ns
            .extend_from_slice(&other.started_unix_ns);
        self.windows_unix_ns
            .extend_from_slice(&other.windows_unix_ns);
        self.other_seeds.push(other.seed);
        self.other_seeds.extend_from_slice(&other.other_seeds);
        self.connections += other.connections;
        self.threads += other.threads;
        for (sum, offer) in self.offers.iter_mut().zip(&other.offers) {
            sum.add(offer);
        }
        self.counts.merge(&other.counts);
        self.usage.merge(&other.usage);
        self.busiest_thread_nano = self.busiest_thread_nano.max(other.busiest_thread_nano);
        self.alive += other.alive;
        self.lost += other.lost;
        self.closed += other.closed;
        self.closed_idle += other.closed_idle;
        self.silent += other.silent;
        self.extra.merge(&other.extra);
        for reason in other.reasons.iter() {
            self.add_reason(reason.clone());
        }
    }
}
