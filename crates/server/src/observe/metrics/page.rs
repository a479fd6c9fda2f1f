//! The exposition format: families, samples, histograms.

use std::fmt::{Display, Write};

use crate::observe::figures::{BOUNDS_US, Total};

/// Adds families to a page, each with its kind, its name, its one sample or those `by` a label, and its
/// help.
macro_rules! families {
    ($page:ident: $($kind:ident $name:literal $(by $label:literal)? = $value:expr, $help:literal;)*) => {$(
        $page.family($name, stringify!($kind), $help);
        families!(@ $page, $name, $($label,)? $value);
    )*};
    (@ $page:ident, $name:literal, $value:expr) => { $page.sample($name, $value) };
    (@ $page:ident, $name:literal, $label:literal, $value:expr) => { $page.samples($name, $label, $value) };
}

pub(super) use families;

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

    pub(super) fn sample(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name} {value}"));
    }

    /// A sample for each value of one label.
    pub(super) fn samples<L: Display, V: Display>(
        &mut self,
        name: &str,
        label: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
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
