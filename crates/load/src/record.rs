//! The raw result of a run: exact counts and whole histograms, which add up.

mod shape;

use schema::{Code, Effect, Reason, Reasons};
use serde::{Deserialize, Serialize};

use self::shape::{NANO, Offer, Shape, offers};
use crate::beside::Beside;
use crate::books::Books;
use crate::plan::Plan;
use crate::thread_result::{Report, Usage};

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
    #[serde(flatten)]
    pub(crate) beside: Beside,
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
            beside,
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
        let alike = self.beside.is_like(&other.beside) && self.offers.len() == other.offers.len();
        (!alike).then(|| "other connections ran beside the load".to_owned())
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
            sum.add(offer);
        }
        self.books.merge(&other.books);
        self.usage.merge(&other.usage);
        self.busiest_thread_nano = self.busiest_thread_nano.max(other.busiest_thread_nano);
        self.alive += other.alive;
        self.lost += other.lost;
        self.closed += other.closed;
        self.silent += other.silent;
        self.beside.merge(&other.beside);
        for reason in other.reasons.iter() {
            self.add_reason(reason.clone());
        }
    }
}
