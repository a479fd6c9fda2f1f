//! The exposition format: families, samples, histograms.

use std::fmt::{Display, Write};

use crate::observe::figures::{BOUNDS_US, Total};

/// The text that is being made.
#[derive(Debug, Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Writing to a string does not fail.
    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{line}");
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    /// A sample for each value of one label.
    pub(super) fn by<L: Display, V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        self.family(name, kind, help);
        for (value, sample) in samples {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {sample}"));
        }
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, total: &Total) {
        self.family(name, "histogram", help);
        let mut below = 0;
        for (bound, count) in BOUNDS_US.iter().zip(total.counts) {
            below += count;
            let bound = *bound as f64 / 1e6;
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {below}"));
        }
        below += total.counts[BOUNDS_US.len()];
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {below}"));
        self.line(format_args!("{name}_sum {}", seconds(total.sum_ns)));
        self.line(format_args!("{name}_count {below}"));
    }
}

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
