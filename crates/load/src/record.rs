//! The raw result of a run: exact counts and whole histograms, which add up.

mod file;

use schema::load::{Arrivals, BodyCheck, IdleFigures};
use schema::{Code, Effect, Reason, Reasons};
use serde::{Deserialize, Serialize};

use crate::books::{Books, Poison, Slow};
use crate::clock::duration_ns;
use crate::mix::Kind;
use crate::plan::{Pace, Plan};
use crate::worker::{Report, Usage};

/// Parts in which rates and shares are kept: whole numbers add up, and are read back, exactly.
const NANO: f64 = 1e9;

/// What must be equal in runs that are added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) url: String,
    pub(crate) arrivals: Option<Arrivals>,
    pub(crate) pipeline: usize,
    pub(crate) new_connection: bool,
    pub(crate) unp_bytes: Option<u32>,
    pub(crate) method: String,
    pub(crate) headers: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) body_bytes: usize,
    pub(crate) expect_status: Vec<u16>,
    pub(crate) body_check: Option<BodyCheck>,
    #[serde(default)]
    pub(crate) objective_ns: Option<u64>,
    pub(crate) duration_ns: u64,
    pub(crate) timeout_ns: u64,
    pub(crate) drain_ns: u64,
    /// Lengths of the profile's steps; empty without a profile.
    pub(crate) steps_ns: Vec<u64>,
    pub(crate) slow_bytes_per_s: u32,
    pub(crate) slow_path: String,
    pub(crate) poison_path: Option<String>,
}

/// What was offered in a step, in billionths of a request a second, of all generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    from_nano: u64,
    to_nano: u64,
}

impl Offer {
    pub(crate) fn from(self) -> f64 {
        self.from_nano as f64 / NANO
    }

    pub(crate) fn to(self) -> f64 {
        self.to_nano as f64 / NANO
    }
}

/// The raw result of one run, or of several added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub(crate) shape: Shape,
    /// When each run began, nanoseconds since 1970: what tells one from another.
    pub(crate) begun_unix_ns: Vec<u64>,
    /// When the window of each began; absent in old files.
    #[serde(default)]
    windows_unix_ns: Vec<u64>,
    /// Of the first run.
    pub(crate) seed: u64,
    /// Of the other runs.
    #[serde(default)]
    other_seeds: Vec<u64>,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// One for each step of the profile, or one; none in a closed loop.
    pub(crate) offers: Vec<Offer>,
    pub(crate) books: Books,
    pub(crate) usage: Usage,
    /// CPU time of the busiest thread, billionths of its time.
    busiest_thread_nano: u64,
    pub(crate) alive: u64,
    pub(crate) lost: u64,
    #[serde(default)]
    pub(crate) closed: u64,
    pub(crate) silent: u64,
    pub(crate) idle: Option<IdleFigures>,
    pub(crate) slow: Option<Slow>,
    pub(crate) poison: Option<Poison>,
    /// Why the runs are not valid, each for itself.
    #[serde(flatten)]
    pub(crate) reasons: Reasons,
}

/// When a run began, nanoseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Begun {
    pub(crate) run_unix_ns: u64,
    pub(crate) window_unix_ns: u64,
}

/// What became of the connections beside the load.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) idle: Option<IdleFigures>,
    pub(crate) slow: Option<Slow>,
    pub(crate) poison: Option<Poison>,
}

impl Record {
    /// The result of the plan's threads together.
    pub(crate) fn new(
        plan: &Plan,
        reports: Vec<Report>,
        beside: Beside,
        begun: Begun,
        interrupted: bool,
    ) -> Self {
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let (alive, lost) = (sum(|r| r.alive), sum(|r| r.lost));
        let (closed, silent) = (sum(|r| r.closed), sum(|r| r.silent));
        let busy = reports.iter().map(|report| report.usage.busy_share());
        let busiest_thread_nano = (busy.fold(0.0, f64::max) * NANO).round() as u64;
        let mut reports = reports.into_iter();
        let first = reports.next().expect("a plan has at least one thread");
        let (mut books, mut usage) = (first.books, first.usage);
        for report in reports {
            books.merge(&report.books);
            usage.merge(&report.usage);
        }
        let interruption = || Reason::new(Code::Interrupted, Effect::Invalidates, "interrupted");
        let reasons: Vec<Reason> = interrupted.then(interruption).into_iter().collect();
        Self {
            shape: Shape::new(plan),
            begun_unix_ns: vec![begun.run_unix_ns],
            windows_unix_ns: vec![begun.window_unix_ns],
            seed: plan.seed,
            other_seeds: Vec::new(),
            connections: plan.connections,
            threads: plan.threads,
            offers: offers(plan),
            books,
            usage,
            busiest_thread_nano,
            alive,
            lost,
            closed,
            silent,
            idle: beside.idle,
            slow: beside.slow,
            poison: beside.poison,
            reasons: reasons.into(),
        }
    }

    /// Adds a reason why the figures may not be believed, unless it is known.
    pub(crate) fn add_reason(&mut self, reason: Reason) {
        let known = |known: &Reason| known.code == reason.code && known.text == reason.text;
        if !self.reasons.iter().any(known) {
            self.reasons.push(reason);
        }
    }

    /// CPU seconds a second of the busiest thread, polling left out.
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
        let cut = |record: &Self| {
            let books = &record.books;
            (
                books.length_ns,
                books.slices.len(),
                books.phases.len(),
                books.kinds.len(),
            )
        };
        if cut(self) != cut(other) {
            let seconds = |record: &Self| record.books.length_ns as f64 / NANO;
            let (found, expected) = (seconds(self), seconds(other));
            return Some(format!("it measured {found} s, not {expected} s"));
        }
        let beside = |record: &Self| {
            let kinds = (&record.idle, &record.slow, &record.poison);
            (kinds.0.is_some(), kinds.1.is_some(), kinds.2.is_some())
        };
        (beside(self) != beside(other) || self.offers.len() != other.offers.len())
            .then(|| "other connections ran beside the load".to_owned())
    }

    /// Whether a run is part of both.
    pub(crate) fn shares_a_run_with(&self, other: &Self) -> bool {
        let begun = &self.begun_unix_ns;
        begun.iter().any(|ns| other.begun_unix_ns.contains(ns))
    }

    /// A seed that both drew their arrivals from: their requests then come in pairs, which is
    /// another load than one generator at the sum of their rates would make.
    pub(crate) fn shared_seed(&self, other: &Self) -> Option<u64> {
        let seeds = |record: &Self| {
            let others = record.other_seeds.iter().copied();
            others.chain([record.seed]).collect::<Vec<_>>()
        };
        self.shape.arrivals?;
        let others = seeds(other);
        seeds(self).into_iter().find(|seed| others.contains(seed))
    }

    /// The share of the window that is common to the windows of all runs: rates may be added for
    /// what happened at the same time. In old files the beginning of the run stands for it.
    pub(crate) fn overlap_share(&self) -> f64 {
        let begun = if self.windows_unix_ns.len() == self.begun_unix_ns.len() {
            &self.windows_unix_ns
        } else {
            &self.begun_unix_ns
        };
        let (Some(first), Some(last)) = (begun.iter().min(), begun.iter().max()) else {
            return 1.0;
        };
        let length_ns = self.books.length_ns;
        length_ns.saturating_sub(last - first) as f64 / length_ns.max(1) as f64
    }

    /// Adds a record that does not differ.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.begun_unix_ns.extend_from_slice(&other.begun_unix_ns);
        self.windows_unix_ns
            .extend_from_slice(&other.windows_unix_ns);
        self.other_seeds.push(other.seed);
        self.other_seeds.extend_from_slice(&other.other_seeds);
        self.connections += other.connections;
        self.threads += other.threads;
        for (sum, offer) in self.offers.iter_mut().zip(&other.offers) {
            sum.from_nano += offer.from_nano;
            sum.to_nano += offer.to_nano;
        }
        self.books.merge(&other.books);
        self.usage.merge(&other.usage);
        self.busiest_thread_nano = self.busiest_thread_nano.max(other.busiest_thread_nano);
        self.alive += other.alive;
        self.lost += other.lost;
        self.closed += other.closed;
        self.silent += other.silent;
        if let (Some(sum), Some(idle)) = (&mut self.idle, &other.idle) {
            sum.asked += idle.asked;
            sum.opened += idle.opened;
            sum.open_at_end += idle.open_at_end;
            sum.closed_by_server += idle.closed_by_server;
        }
        if let (Some(sum), Some(slow)) = (&mut self.slow, &other.slow) {
            sum.merge(slow);
        }
        if let (Some(sum), Some(poison)) = (&mut self.poison, &other.poison) {
            sum.merge(poison);
        }
        for reason in other.reasons.iter() {
            self.add_reason(reason.clone());
        }
    }
}

impl Shape {
    fn new(plan: &Plan) -> Self {
        Self {
            url: plan.target.to_string(),
            arrivals: match plan.pace {
                Pace::Closed => None,
                Pace::Open { arrivals, .. } => Some(arrivals),
            },
            pipeline: plan.pipeline,
            new_connection: plan.new_connection,
            unp_bytes: plan.unp_bytes,
            method: plan.method.clone(),
            headers: plan.headers.clone(),
            kinds: plan.requests.clone(),
            body_bytes: plan.body_bytes,
            expect_status: plan.expect_status.clone(),
            body_check: plan.body_check,
            objective_ns: plan.objective.map(duration_ns),
            duration_ns: duration_ns(plan.duration),
            timeout_ns: duration_ns(plan.timeout),
            drain_ns: duration_ns(plan.drain),
            steps_ns: plan
                .profile
                .iter()
                .map(|s| duration_ns(s.duration))
                .collect(),
            slow_bytes_per_s: plan.slow.bytes_per_s,
            slow_path: plan.slow.path.clone(),
            poison_path: plan.poison.as_ref().map(|poison| poison.path.clone()),
        }
    }
}

fn offers(plan: &Plan) -> Vec<Offer> {
    let nano = |rate: f64| (rate * NANO).round() as u64;
    // The first step is the warm-up, which is not part of the window.
    let steps = plan.steps().into_iter().skip(1);
    let offer = |step: crate::profile::Step| Offer {
        from_nano: nano(step.rate_from),
        to_nano: nano(step.rate_to),
    };
    steps.map(offer).collect()
}

#[cfg(test)]
mod tests;
