//! The figures that two runs share, each judged.

use serde::Serialize;

use crate::cell::{Cell, State};
use crate::data::{MemoryStep, Role};
use crate::metric::Metric;
use crate::noise;
use crate::primary::{self, Choice};
use crate::run::{Row, Run, Window};
use crate::stats::{self, Comparison, Evidence, INFINITE_LOG, Spread, Verdict};
use crate::words;

/// What is said of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The later run is worse, beyond the zone and decided.
    Worse,
    /// It is better.
    Better,
    /// It is neither told apart nor shown to be equivalent.
    TooClose,
    /// The difference lies within the zone.
    Equivalent,
    /// It cannot be compared; the reason says why.
    NotCompared,
}

/// A figure over the trials of one run, in its own unit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Side {
    /// Median; `null` is infinite.
    pub median: Option<f64>,
    /// Trials.
    pub n: usize,
}

/// One figure of one model in one load of one scenario, in both runs.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The model, as the reports call it.
    pub model: String,
    /// The scenario.
    pub scenario: String,
    /// The load: `closed loop`, `at 5,000/s`, `10,000 connections`.
    pub load: String,
    /// `throughput`, `server CPU a request`...
    pub figure: &'static str,
    /// The earlier run.
    pub before: Option<Side>,
    /// The later run.
    pub after: Option<Side>,
    /// How many times worse the later one is; 1.1 is 10 % worse in every figure.
    pub ratio: Option<f64>,
    /// Lower end of its interval, or span.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Indifference zone as a ratio: 1.03 is 3 %.
    pub zone: Option<f64>,
    /// What follows.
    pub finding: Finding,
    /// Why it is not compared; else empty.
    pub reason: String,
    #[serde(skip)]
    pub metric: Metric,
}

/// Every figure that both runs hold, in the order of the reports.
pub fn all(before: &Run, after: &Run, evidence: Evidence) -> Vec<Line> {
    let mut lines = Vec::new();
    let both = Both {
        before,
        after,
        evidence,
    };
    for scenario in before
        .scenarios
        .iter()
        .filter(|name| after.scenarios.contains(name))
    {
        for choice in both.choices(scenario) {
            let zone = both.zone(scenario, choice);
            let rows = before.contenders().filter(|row| after.has(&row.label));
            lines.extend(rows.filter_map(|row| both.line(row, scenario, choice, zone)));
        }
    }
    for row in before.contenders().filter(|row| after.has(&row.label)) {
        lines.extend(both.memory(row));
    }
    lines
}

struct Both<'a> {
    before: &'a Run,
    after: &'a Run,
    evidence: Evidence,
}

impl Both<'_> {
    /// Throughput in the closed loop, CPU and p99 at each offered rate, memory at the common one, as
    /// far as both runs have that load.
    fn choices(&self, scenario: &str) -> Vec<Choice> {
        let shared = self.after.windows(scenario);
        let memory = primary::of(self.before, scenario, Metric::Pss).window;
        let mut choices = Vec::new();
        for window in self.before.windows(scenario) {
            if !shared.contains(&window) {
                continue;
            }
            let metrics: &[Metric] = match window {
                Window::Closed => &[Metric::Throughput],
                Window::Open { .. } => &[Metric::ServerCpu, Metric::P99],
            };
            let memory = (window == memory).then_some(Metric::Pss);
            let all = metrics.iter().copied().chain(memory);
            choices.extend(all.map(|metric| Choice { metric, window }));
        }
        choices
    }

    fn zone(&self, scenario: &str, choice: Choice) -> f64 {
        let of = |run| noise::ratios_95(run, scenario, choice, self.evidence).unwrap_or(0.0);
        let noises = [
            of(self.before),
            of(self.after),
            self.drift(scenario, choice),
        ];
        stats::zone_of_sessions(&noises)
    }

    /// What the null server, which is no model, moved between the sessions.
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

    /// `None` where neither run has a trial, or the model blocks in both.
    fn line(&self, row: &Row, scenario: &str, choice: Choice, zone: f64) -> Option<Line> {
        let Choice { metric, window } = choice;
        let (ours, theirs) = (
            self.before.cell(&row.label, scenario, window),
            self.after.cell(&row.label, scenario, window),
        );
        let nothing = |cell: &Cell<'_>| matches!(cell.state, State::Missing | State::Blocks);
        if nothing(&ours) && nothing(&theirs) {
            return None;
        }
        let costs = |cell: &Cell<'_>| cell.costs(metric).into_values().collect::<Vec<f64>>();
        let mut line = Line {
            model: row.label.clone(),
            scenario: scenario.to_owned(),
            load: window.describe(),
            before: side(&ours, metric),
            after: side(&theirs, metric),
            zone: Some(zone.exp()),
            ..Line::empty(metric)
        };
        if ours.state != State::Valid || theirs.state != State::Valid {
            let states = [("before", &ours), ("after", &theirs)]
                .iter()
                .filter(|(_, cell)| cell.state != State::Valid)
                .map(|(when, cell)| format!("{} {when}", words::state_word(cell.state)))
                .collect::<Vec<_>>();
            line.reason = states.join(", ");
            return Some(line);
        }
        let said = stats::compare_sessions(&costs(&theirs), &costs(&ours), zone, self.evidence);
        line.judge(said);
        Some(line)
    }

    /// Memory of `row` at each number of connections that both runs tried.
    fn memory(&self, row: &Row) -> Vec<Line> {
        let (ours, theirs) = (
            self.before.memory(&row.label),
            self.after.memory(&row.label),
        );
        let mut lines = Vec::new();
        for (connections, ours) in &ours {
            let Some(theirs) = theirs.get(connections) else {
                continue;
            };
            let logs = |steps: &[&MemoryStep]| -> Vec<f64> {
                let held = steps.iter().filter(|step| step.held);
                let values = held.filter_map(|step| step.pss_kib);
                values.map(|kib| Metric::Pss.cost(kib as f64)).collect()
            };
            let (ours, theirs) = (logs(ours), logs(theirs));
            if ours.is_empty() && theirs.is_empty() {
                continue;
            }
            let side = |logs: &[f64]| {
                let spread = Spread::of(logs.iter().map(|log| log.exp()), Evidence::Ranges)?;
                Some(Side {
                    median: Some(spread.median),
                    n: spread.n,
                })
            };
            let mut line = Line {
                model: row.label.clone(),
                scenario: "memory".to_owned(),
                load: words::count(*connections as usize, "connection"),
                before: side(&ours),
                after: side(&theirs),
                zone: Some(stats::floor().exp()),
                ..Line::empty(Metric::Pss)
            };
            if ours.is_empty() || theirs.is_empty() {
                let when = if ours.is_empty() { "before" } else { "after" };
                line.reason = format!("not held {when}");
            } else {
                let said = stats::compare_sessions(&theirs, &ours, stats::floor(), self.evidence);
                line.judge(said);
            }
            lines.push(line);
        }
        lines
    }
}

impl Line {
    fn empty(metric: Metric) -> Self {
        Self {
            model: String::new(),
            scenario: String::new(),
            load: String::new(),
            figure: metric.name(),
            before: None,
            after: None,
            ratio: None,
            low: None,
            high: None,
            zone: None,
            finding: Finding::NotCompared,
            reason: String::new(),
            metric,
        }
    }

    fn judge(&mut self, said: Option<Comparison>) {
        let Some(said) = said else {
            self.reason = "too few trials".to_owned();
            return;
        };
        let ratio = |log: f64| (log.abs() < INFINITE_LOG / 2.0).then(|| log.exp());
        (self.ratio, self.low, self.high) = (ratio(said.log), ratio(said.low), ratio(said.high));
        self.finding = match said.verdict {
            Verdict::Slower => Finding::Worse,
            Verdict::Faster => Finding::Better,
            Verdict::Equivalent => Finding::Equivalent,
            Verdict::TooClose => Finding::TooClose,
        };
    }
}

fn side(cell: &Cell<'_>, metric: Metric) -> Option<Side> {
    let spread = Spread::of(cell.values(metric).into_values(), Evidence::Ranges)?;
    Some(Side {
        median: spread.median.is_finite().then_some(spread.median),
        n: spread.n,
    })
}

fn finite(cell: &Cell<'_>, metric: Metric) -> Vec<f64> {
    let costs = cell.costs(metric).into_values();
    costs.filter(|cost| cost.abs() < INFINITE_LOG).collect()
}
