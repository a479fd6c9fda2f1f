//! Two readings, and how much figures have grown in between.

use crate::top::page::{Histogram, Page};

/// Two readings, one after the other.
pub(super) struct Interval<'a> {
    pub(super) before: &'a Page,
    pub(super) now: &'a Page,
    pub(super) seconds: f64,
    /// Another process answers: its counters began at 0.
    pub(super) restarted: bool,
}

impl<'a> Interval<'a> {
    pub(super) fn new(before: &'a Page, now: &'a Page) -> Interval<'a> {
        let started = "process_start_time_seconds";
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        Interval {
            before,
            now,
            seconds: seconds.max(1e-3),
            restarted: before.get(started) != now.get(started),
        }
    }

    /// How much a counter has grown per second.
    pub(super) fn growth(&self, before: f64, now: f64) -> f64 {
        let from = if self.restarted { 0.0 } else { before };
        (now - from).max(0.0) / self.seconds
    }

    pub(super) fn rate(&self, name: &str) -> f64 {
        self.growth(self.before.get(name), self.now.get(name))
    }

    pub(super) fn rate_with(&self, name: &str, label: &str, value: &str) -> f64 {
        let of = |page: &Page| page.with(name, label, value);
        self.growth(of(self.before), of(self.now))
    }

    /// The rates of a counter by this label.
    pub(super) fn rates(&self, name: &str, label: &'static str) -> Vec<(&'a str, f64)> {
        let all = self.now.by(name, label);
        let before = |value| self.before.with(name, label, value);
        all.map(|(value, now)| (value, self.growth(before(value), now)))
            .collect()
    }

    pub(super) fn histogram(&self, name: &str) -> Histogram {
        let now = self.now.histogram(name);
        match self.restarted {
            true => now,
            false => now.since(&self.before.histogram(name)),
        }
    }
}
