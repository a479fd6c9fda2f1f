//! The figures that two runs share, each judged.

use std::collections::BTreeSet;

use super::both::Both;
use super::line::{Finding, Line, Side};
use super::{capacity, exact, memory};
use crate::cell::{Cell, State};
use crate::data::Pass;
use crate::metric::Metric;
use crate::primary::{self, Choice};
use crate::run::{Row, Run, Window};
use crate::stats::{self, Evidence, INFINITE_LOG};
use crate::words;

/// Every figure that both runs hold, and what one of them lost, in the order of the reports.
pub fn all(before: &Run, after: &Run, evidence: Evidence, partial: bool) -> Vec<Line> {
    let both = Both {
        before,
        after,
        evidence,
        partial,
    };
    let mut lines = Vec::new();
    let in_both = |name: &&String| after.scenarios.contains(name);
    for scenario in before.scenarios.iter().filter(in_both) {
        lines.extend(of_scenario(&both, scenario));
    }
    for row in before.contenders() {
        lines.extend(memory::lines(&both, row));
    }
    for scenario in before.scenarios_of(Pass::SystemCalls) {
        lines.extend(exact::lines(&both, &scenario));
    }
    for scenario in before.scenarios_of(Pass::Capacity) {
        lines.extend(capacity::lines(&both, &scenario));
    }
    lines
}

/// Every row of a scenario: what it lost, and its figures one by one.
fn of_scenario(both: &Both<'_>, scenario: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let deciding = primary::choose(both.before, scenario);
    let shared = both.after.windows(scenario);
    let windows = both.before.windows(scenario).into_iter();
    for window in windows.filter(|window| shared.contains(window)) {
        let figures: Vec<(Choice, f64)> = metrics(both, scenario, window)
            .into_iter()
            .map(|metric| Choice { metric, window })
            .map(|choice| (choice, both.zone(scenario, choice)))
            .collect();
        for row in both.before.contenders() {
            let cells = (
                both.before.cell(&row.label, scenario, window),
                both.after.cell(&row.label, scenario, window),
            );
            let validity = validity(both, &cells.0, &cells.1);
            let comparable = validity.is_none() || cells.1.state == State::Valid;
            lines.extend(validity.map(|(finding, reason)| Line {
                model: row.label.clone(),
                scenario: scenario.to_owned(),
                load: window.describe(),
                finding,
                reason,
                ..Line::empty(None)
            }));
            if comparable && cells.0.state == State::Valid {
                let figures = figures.iter();
                lines.extend(figures.map(|(choice, zone)| Line {
                    decides: *choice == deciding,
                    ..line(both, row, scenario, (&cells.0, &cells.1), *choice, *zone)
                }));
            }
        }
    }
    lines
}

/// What is compared in a window: throughput in the closed loop; CPU and p99 at an offered rate,
/// memory at the common one; and the figure that decides the scenario in either run.
fn metrics(both: &Both<'_>, scenario: &str, window: Window) -> Vec<Metric> {
    let mut metrics = match window {
        Window::Closed => vec![Metric::Throughput],
        // Of a load in steps one percentile means little, and nothing holds its highest rate.
        Window::Open { .. } if both.before.is_stepped(scenario) => Vec::new(),
        Window::Open { .. } => vec![Metric::ServerCpu, Metric::P99],
    };
    for run in [both.before, both.after] {
        let deciding = primary::choose(run, scenario);
        let same_loop = (deciding.window == Window::Closed) == (window == Window::Closed);
        if same_loop && !metrics.contains(&deciding.metric) {
            metrics.push(deciding.metric);
        }
    }
    if window == primary::of(both.before, scenario, Metric::Pss).window {
        metrics.push(Metric::Pss);
    }
    metrics
}

/// Whether a row may be compared at all: `None` when it stands in both runs as it did, or has
/// nothing in the earlier one.
///
/// A server that had a figure and has none, or lost trials where it lost none, is worse than any
/// slower one where the reason is about the server. Where it is about the machine, nothing is known.
fn validity(both: &Both<'_>, before: &Cell<'_>, after: &Cell<'_>) -> Option<(Finding, String)> {
    let had = matches!(before.state, State::Valid | State::Limited);
    let of_server = |cell: &Cell<'_>| -> BTreeSet<String> {
        let faults = cell.trials.iter().flat_map(|trial| trial.faults());
        faults.map(|reason| reason.text.clone()).collect()
    };
    let faults = of_server(after);
    let new_faults = !faults.is_empty() && of_server(before).is_empty();
    let say = |reasons: Vec<String>| {
        let mut text = format!("{} before, {} after", trials(before), trials(after));
        if !reasons.is_empty() {
            text.push_str(": ");
            text.push_str(&reasons.join("; "));
        }
        text
    };
    let reasons = || after.reasons.clone();
    match after.state {
        _ if new_faults && had => Some((Finding::Lost, say(faults.into_iter().collect()))),
        _ if new_faults => Some((Finding::NotComparable, say(reasons()))),
        State::Missing if had => Some(both.missing(say)),
        State::Blocks | State::NotOffered if had => Some((Finding::Lost, say(reasons()))),
        State::Invalid | State::Limited if before.state == State::Valid => {
            Some((Finding::NotComparable, say(reasons())))
        }
        State::Valid if before.state == State::Valid => None,
        _ if had || !matches!(after.state, State::Missing) && before.state != after.state => {
            Some((Finding::NotCompared, say(Vec::new())))
        }
        _ => None,
    }
}

/// One figure of a row that is VALID in both.
fn line(
    both: &Both<'_>,
    row: &Row,
    scenario: &str,
    (ours, theirs): (&Cell<'_>, &Cell<'_>),
    Choice { metric, window }: Choice,
    zone: f64,
) -> Line {
    let costs = |cell: &Cell<'_>| Vec::from_iter(cell.costs_by_block(metric).into_values());
    let (ours_costs, theirs_costs) = (costs(ours), costs(theirs));
    let mut line = Line {
        model: row.label.clone(),
        scenario: scenario.to_owned(),
        load: window.describe(),
        before: side(ours, metric),
        after: side(theirs, metric),
        zone: Some(zone.exp()),
        ..Line::empty(Some(metric))
    };
    let overloaded = |costs: &[f64]| costs.iter().all(|cost| *cost >= INFINITE_LOG);
    if ours_costs.is_empty() || theirs_costs.is_empty() {
        line.reason = "not measured in both".to_owned();
    } else if overloaded(&ours_costs) && overloaded(&theirs_costs) {
        line.reason = "overloaded in both".to_owned();
    } else {
        let comparison = stats::compare_sessions(&theirs_costs, &ours_costs, zone, both.evidence);
        line.judge(comparison);
    }
    line
}

/// `VALID 10/10`: the state of a cell, with the trials that it rests on.
fn trials(cell: &Cell<'_>) -> String {
    let word = words::state_word(cell.state);
    match cell.state {
        State::Valid | State::Limited | State::Invalid => {
            format!("{word} {}/{}", cell.used_count(), cell.trials.len())
        }
        State::Blocks | State::NotOffered | State::Missing => word.to_owned(),
    }
}

fn side(cell: &Cell<'_>, metric: Metric) -> Option<Side> {
    cell.spread(metric, Evidence::Ranges).map(Side::of)
}
