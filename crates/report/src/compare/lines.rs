//! The figures that two runs share, each judged.

use std::collections::BTreeSet;

use serde::Serialize;

use super::capacity;
use crate::cell::{Cell, State};
use crate::data::{MemoryStep, Pass, Role};
use crate::metric::Metric;
use crate::noise;
use crate::primary::{self, Choice};
use crate::run::{Row, Run, Window};
use crate::stats::{self, Comparison, Evidence, INFINITE_LOG, Spread, Verdict};
use crate::words;

/// What a line is about that is of no figure.
pub const VALIDITY: &str = "validity";

/// What is said of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The server has no figure any more, or lost trials where it lost none, by its own fault.
    Lost,
    /// The later run is worse, beyond the zone and decided.
    Worse,
    /// It is better.
    Better,
    /// It is neither told apart nor shown to be equivalent.
    TooClose,
    /// The difference lies within the zone.
    Equivalent,
    /// The earlier run has a figure and the machine or the generator spoilt the later one.
    NotComparable,
    /// There is nothing to compare; the reason says why.
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

/// Every figure that both runs hold, and what one of them lost, in the order of the reports.
pub fn all(before: &Run, after: &Run, evidence: Evidence, partial: bool) -> Vec<Line> {
    let both = Both {
        before,
        after,
        evidence,
        partial,
    };
    let mut lines = Vec::new();
    for scenario in before
        .scenarios
        .iter()
        .filter(|name| after.scenarios.contains(name))
    {
        lines.extend(both.scenario(scenario));
    }
    for row in before.contenders() {
        lines.extend(both.memory(row));
    }
    for scenario in before.scenarios_of(Pass::Capacity) {
        lines.extend(capacity::lines(&both, &scenario));
    }
    lines
}

/// Two runs, and what may be said of them.
pub struct Both<'a> {
    pub before: &'a Run,
    pub after: &'a Run,
    pub evidence: Evidence,
    /// The later run measured a part on purpose.
    pub partial: bool,
}

impl Both<'_> {
    /// Every row of a scenario: what it lost, and its figures one by one.
    fn scenario(&self, scenario: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let shared = self.after.windows(scenario);
        let windows = self.before.windows(scenario).into_iter();
        for window in windows.filter(|window| shared.contains(window)) {
            let figures: Vec<(Choice, f64)> = self
                .metrics(scenario, window)
                .into_iter()
                .map(|metric| Choice { metric, window })
                .map(|choice| (choice, self.zone(scenario, choice)))
                .collect();
            for row in self.before.contenders() {
                let cells = (
                    self.before.cell(&row.label, scenario, window),
                    self.after.cell(&row.label, scenario, window),
                );
                let standing = self.standing(&cells.0, &cells.1);
                let comparable = standing.is_none() || cells.1.state == State::Valid;
                lines.extend(standing.map(|(finding, reason)| Line {
                    model: row.label.clone(),
                    scenario: scenario.to_owned(),
                    load: window.describe(),
                    figure: VALIDITY,
                    finding,
                    reason,
                    ..Line::empty(Metric::Throughput)
                }));
                if comparable && cells.0.state == State::Valid {
                    let figures = figures.iter();
                    lines.extend(figures.map(|(choice, zone)| {
                        self.line(row, scenario, (&cells.0, &cells.1), *choice, *zone)
                    }));
                }
            }
        }
        lines
    }

    /// What is compared in a window: throughput in the closed loop; CPU and p99 at an offered rate,
    /// memory at the common one; and the figure that decides the scenario in either run.
    fn metrics(&self, scenario: &str, window: Window) -> Vec<Metric> {
        let mut metrics = match window {
            Window::Closed => vec![Metric::Throughput],
            // Of a load in steps one percentile means little, and nothing holds its highest rate.
            Window::Open { .. } if self.before.is_stepped(scenario) => Vec::new(),
            Window::Open { .. } => vec![Metric::ServerCpu, Metric::P99],
        };
        for run in [self.before, self.after] {
            let deciding = primary::choose(run, scenario);
            let same_loop = (deciding.window == Window::Closed) == (window == Window::Closed);
            if same_loop && !metrics.contains(&deciding.metric) {
                metrics.push(deciding.metric);
            }
        }
        if window == primary::of(self.before, scenario, Metric::Pss).window {
            metrics.push(Metric::Pss);
        }
        metrics
    }

    /// The zone of a figure between the two runs.
    pub fn zone(&self, scenario: &str, choice: Choice) -> f64 {
        let of = |run| noise::of_column(run, scenario, choice, self.evidence);
        let noises = [of(self.before), of(self.after)];
        stats::zone_of_sessions(&noises, self.drift(scenario, choice))
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

    /// Whether a row may be compared at all: `None` when it stands in both runs as it did, or has
    /// nothing in the earlier one.
    ///
    /// What had a figure and has none, or lost trials where it lost none, for a reason of the
    /// server's, is worse than any slower figure. For a reason of the machine's, nothing is known.
    fn standing(&self, before: &Cell<'_>, after: &Cell<'_>) -> Option<(Finding, String)> {
        let had = matches!(before.state, State::Valid | State::Limited);
        let said = |cell: &Cell<'_>| -> BTreeSet<String> {
            let faults = cell.trials.iter().flat_map(|trial| trial.faults());
            faults.map(|reason| reason.text.clone()).collect()
        };
        let faults = said(after);
        let new_faults = !faults.is_empty() && said(before).is_empty();
        let listed = |reasons: Vec<String>| {
            let mut text = format!("{} before, {} after", stand(before), stand(after));
            if !reasons.is_empty() {
                text.push_str(": ");
                text.push_str(&reasons.join("; "));
            }
            text
        };
        let reasons = || after.reasons.clone();
        match after.state {
            _ if new_faults && had => Some((Finding::Lost, listed(faults.into_iter().collect()))),
            _ if new_faults => Some((Finding::NotComparable, listed(reasons()))),
            State::Missing if had => Some(self.missing(listed)),
            State::Blocks | State::NotOffered if had => Some((Finding::Lost, listed(reasons()))),
            State::Invalid | State::Limited if before.state == State::Valid => {
                Some((Finding::NotComparable, listed(reasons())))
            }
            State::Valid if before.state == State::Valid => None,
            _ if had || !matches!(after.state, State::Missing) && before.state != after.state => {
                Some((Finding::NotCompared, listed(Vec::new())))
            }
            _ => None,
        }
    }

    /// What a row is that the later run does not hold.
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

    /// One figure of a row that is VALID in both.
    fn line(
        &self,
        row: &Row,
        scenario: &str,
        (ours, theirs): (&Cell<'_>, &Cell<'_>),
        Choice { metric, window }: Choice,
        zone: f64,
    ) -> Line {
        let costs = |cell: &Cell<'_>| cell.costs(metric).into_values().collect::<Vec<f64>>();
        let (ours_costs, theirs_costs) = (costs(ours), costs(theirs));
        let mut line = Line {
            model: row.label.clone(),
            scenario: scenario.to_owned(),
            load: window.describe(),
            before: side(ours, metric),
            after: side(theirs, metric),
            zone: Some(zone.exp()),
            ..Line::empty(metric)
        };
        let hopeless = |costs: &[f64]| costs.iter().all(|cost| *cost >= INFINITE_LOG);
        if ours_costs.is_empty() || theirs_costs.is_empty() {
            line.reason = "not measured in both".to_owned();
        } else if hopeless(&ours_costs) && hopeless(&theirs_costs) {
            line.reason = "overloaded in both".to_owned();
        } else {
            let said = stats::compare_sessions(&theirs_costs, &ours_costs, zone, self.evidence);
            line.judge(said);
        }
        line
    }

    /// Memory of `row` at each number of connections that both runs tried.
    fn memory(&self, row: &Row) -> Vec<Line> {
        let (ours, theirs) = (
            self.before.memory(&row.label),
            self.after.memory(&row.label),
        );
        let held = |steps: &[&MemoryStep]| -> Vec<f64> {
            let held = steps.iter().filter(|step| step.held);
            let values = held.filter_map(|step| step.pss_kib);
            values.map(|kib| Metric::Pss.cost(kib as f64)).collect()
        };
        let side = |logs: &[f64]| {
            let spread = Spread::of(logs.iter().map(|log| log.exp()), Evidence::Ranges)?;
            Some(Side {
                median: Some(spread.median),
                n: spread.n,
            })
        };
        let tried = |connections: &u64| {
            let mut rows = self.after.contenders();
            rows.any(|row| self.after.memory(&row.label).contains_key(connections))
        };
        let mut lines = Vec::new();
        for (connections, ours) in ours.iter().filter(|(connections, _)| tried(connections)) {
            let steps = theirs.get(connections);
            let (ours, theirs) = (held(ours), held(steps.map_or(&[][..], Vec::as_slice)));
            if ours.is_empty() && theirs.is_empty() {
                continue;
            }
            let mut line = Line {
                model: row.label.clone(),
                scenario: "memory".to_owned(),
                load: words::count(*connections as usize, "connection"),
                before: side(&ours),
                after: side(&theirs),
                zone: Some(stats::floor().exp()),
                ..Line::empty(Metric::Pss)
            };
            match steps {
                _ if ours.is_empty() => line.reason = "not held before".to_owned(),
                None => {
                    (line.finding, line.reason) = self.missing(|_| "not measured after".to_owned());
                }
                Some(steps) if theirs.is_empty() => {
                    let why = steps.iter().map(|step| step.reason.as_str());
                    let why: BTreeSet<&str> = why.filter(|why| !why.is_empty()).collect();
                    let why: Vec<&str> = why.into_iter().collect();
                    line.finding = Finding::Lost;
                    line.reason = format!("not held after: {}", why.join("; "));
                }
                Some(_) => line.judge(stats::compare_sessions(
                    &theirs,
                    &ours,
                    stats::floor(),
                    self.evidence,
                )),
            }
            lines.push(line);
        }
        lines
    }
}

/// `VALID 10/10`: how a cell stands, with the trials that the state rests on.
fn stand(cell: &Cell<'_>) -> String {
    let word = words::state_word(cell.state);
    match cell.state {
        State::Valid | State::Limited | State::Invalid => {
            format!("{word} {}/{}", cell.used_count(), cell.trials.len())
        }
        State::Blocks | State::NotOffered | State::Missing => word.to_owned(),
    }
}

impl Line {
    /// A line about `metric` of which nothing is said yet.
    pub fn empty(metric: Metric) -> Self {
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

    /// Says what follows from a comparison.
    pub fn judge(&mut self, said: Option<Comparison>) {
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
