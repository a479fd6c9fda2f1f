//! Two runs, and what holds for every figure of both.

use super::line::Finding;
use crate::cell::Cell;
use crate::data::Role;
use crate::metric::Metric;
use crate::noise;
use crate::primary::Choice;
use crate::run::Run;
use crate::stats::{self, Evidence, INFINITE_LOG};

/// Two runs, and how they are compared.
pub struct Both<'a> {
    pub before: &'a Run,
    pub after: &'a Run,
    pub evidence: Evidence,
    /// The later run measured a part on purpose.
    pub partial: bool,
}

impl Both<'_> {
    /// The zone of a figure between the two runs.
    pub fn zone(&self, scenario: &str, choice: Choice) -> f64 {
        let of = |run| noise::of_column(run, scenario, choice, Some(self.evidence));
        let noises = [of(self.before), of(self.after)];
        stats::zone_of_sessions(&noises, self.drift(scenario, choice))
    }

    /// By how much the figure of the null server, which is no model, changed between the sessions.
    fn drift(&self, scenario: &str, choice: Choice) -> f64 {
        if !matches!(choice.metric, Metric::Throughput | Metric::ServerCpu) {
            return 0.0;
        }
        let of = |run: &Run| -> Vec<f64> {
            let null = run.rows.iter().find(|row| row.role == Role::Null);
            let cell = null.map(|row| run.cell(&row.label, scenario, choice.window));
            cell.map_or_else(Vec::new, |cell| finite(&cell, choice.metric))
        };
        stats::shift(&of(self.after), &of(self.before)).map_or(0.0, f64::abs)
    }

    /// What follows where the later run does not hold a row.
    pub fn missing(&self, say: impl Fn(Vec<String>) -> String) -> (Finding, String) {
        match (self.partial, self.after.env.complete) {
            (true, _) => (Finding::NotCompared, say(Vec::new())),
            (false, false) => (
                Finding::NotComparable,
                say(vec!["the later run is not complete".to_owned()]),
            ),
            (false, true) => (Finding::Lost, say(Vec::new())),
        }
    }
}

fn finite(cell: &Cell<'_>, metric: Metric) -> Vec<f64> {
    let costs = cell.costs(metric).into_values();
    costs.filter(|cost| cost.abs() < INFINITE_LOG).collect()
}
