//! System calls, fairness (of requests and of connections) and the time to drain: one figure per scenario.

use super::table::{Entry, Line, Sheet, figure, median, middle, sample};
use crate::anchor;
use crate::cell::State;
use crate::data::{Figures, Pass};
use crate::format;
use crate::metric::Metric;
use crate::primary;
use crate::run::{Row, Run};
use crate::stats::{Evidence, Spread};

/// Rows by `scenarios`, a cell each.
fn by_scenario(run: &Run, scenarios: &[String], of: impl Fn(&Row, &str) -> Entry) -> Vec<Line> {
    let line = |row: &Row| Line {
        row: row.clone(),
        entries: scenarios.iter().map(|scenario| of(row, scenario)).collect(),
    };
    run.contenders().map(line).collect()
}

pub fn system_calls(run: &Run) -> Option<Sheet> {
    let scenarios = run.scenarios_of(Pass::SystemCalls);
    let of = |row: &Row, scenario: &str| {
        let trials = run.pass(Pass::SystemCalls, &row.label, scenario);
        let figures: Vec<&Figures> = trials.filter_map(|trial| trial.figures.as_ref()).collect();
        let totals = figures
            .iter()
            .filter_map(|each| each.system_calls_per_request);
        let spread = Spread::of(totals, Evidence::Ranges);
        let text = spread.map(|spread| format!("{:.2}{}", spread.median, names(&figures)));
        let link = anchor::pass(run, Pass::SystemCalls, scenario, &row.label);
        Entry::of(text, link)
    };
    Some(Sheet {
        id: "calls",
        title: "System calls per request".to_owned(),
        note: "System calls of the whole process tree per correct answer, with the most frequent ones by name; lower is better. A tracer counts them in a pass of its own, in which no speed is measured; n = 1 pass per figure.".to_owned(),
        lines: by_scenario(run, &scenarios, of),
        heads: scenarios,
    })
}

/// ` (recvfrom 1.00, sendto 1.00)`: the most frequent three.
fn names(figures: &[&Figures]) -> String {
    let Some(first) = figures.first() else {
        return String::new();
    };
    let mut calls: Vec<(&String, &f64)> = first.system_calls.iter().collect();
    calls.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    let shown: Vec<String> = calls
        .iter()
        .take(3)
        .map(|(name, rate)| format!("{name} {rate:.2}"))
        .collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown.join(", "))
    }
}

pub fn fairness(run: &Run) -> Option<Sheet> {
    let of = |row: &Row, scenario: &str| {
        let window = primary::of(run, scenario, Metric::Jain).window;
        let cell = run.cell(&row.label, scenario, window);
        let workers = cell
            .trials
            .iter()
            .filter_map(|trial| trial.figures.as_ref());
        let workers = workers.map(|figures| figures.workers_served.len()).max();
        let both = median(run, &cell, Metric::Jain).zip(workers);
        let text = both.map(|(spread, workers)| format!("{:.2} of {workers}", spread.median));
        Entry::of(text, anchor::trials(run, scenario, &row.label, window))
    };
    Some(Sheet {
        id: "fairness",
        title: "Fairness between workers: requests".to_owned(),
        note: format!(
            "Jain's index of the requests that each worker served, and how many workers there are: 1.00 is even, 1/n means that one worker does everything; higher is fairer. Median, {}.",
            sample(run)
        ),
        heads: run.scenarios.clone(),
        lines: by_scenario(run, &run.scenarios, of),
    })
}

pub fn connections(run: &Run) -> Option<Sheet> {
    let of = |row: &Row, scenario: &str| {
        let window = primary::of(run, scenario, Metric::Jain).window;
        let cell = run.cell(&row.label, scenario, window);
        let counts = || cell.usable().map(|trial| &trial.workers_connections);
        let Some(workers) = counts().map(Vec::len).max().filter(|workers| *workers > 0) else {
            return Entry::default();
        };
        let each = || counts().flatten();
        let (fewest, most) = (each().min().copied(), each().max().copied());
        let jains = cell.usable().filter_map(|trial| trial.jain_connections);
        let jain = Spread::of(jains, Evidence::Ranges);
        Entry::new(
            format!(
                "{} ({} on {})",
                jain.map_or("–".to_owned(), |spread| format!("{:.2}", spread.median)),
                range(fewest.unwrap_or(0), most.unwrap_or(0)),
                format::number(workers as f64),
            ),
            anchor::trials(run, scenario, &row.label, window),
        )
    };
    Some(Sheet {
        id: "fairness-connections",
        title: "Fairness between workers: connections".to_owned(),
        note: format!(
            "Jain's index of the connections that each worker serves; in brackets the fewest and the most connections per worker, and how many workers there are. 1.00 is even, 1/n means that one worker serves all; higher is fairer. After the last window the generator opens as many connections as the scenario has (where each carries one request, eight times as many, one after the other). Median, {}.",
            sample(run)
        ),
        heads: run.scenarios.clone(),
        lines: by_scenario(run, &run.scenarios, of),
    })
}

/// `31–33`, or `1` where all are the same.
fn range(fewest: u64, most: u64) -> String {
    let (low, high) = (format::number(fewest as f64), format::number(most as f64));
    if low == high {
        low
    } else {
        format!("{low}–{high}")
    }
}

pub fn drain(run: &Run) -> Option<Sheet> {
    let of = |row: &Row, scenario: &str| {
        let window = primary::of(run, scenario, Metric::Drain).window;
        let cell = run.cell(&row.label, scenario, window);
        if !matches!(cell.state, State::Valid | State::Limited) {
            return Entry::default();
        }
        let mut entry = figure(run, row, scenario, window, Metric::Drain);
        if let Some(spread) = median(run, &cell, Metric::Drain) {
            entry.text = format::number(spread.median);
            let held = cell.usable().filter_map(|trial| trial.drain_connections);
            if let Some(held) = middle(held.map(f64::from)) {
                entry.text.push_str(&format!(" ({held})"));
            }
        }
        entry
    };
    let mut trials = run.trials.iter();
    let held = if trials.any(|trial| trial.drain_connections.is_some()) {
        "In brackets the connections that were open at that time, each served once and idle since: those of the scenario, as far as they could be opened within one second. "
    } else {
        ""
    };
    Some(Sheet {
        id: "drain",
        title: "Time to drain".to_owned(),
        note: format!(
            "Milliseconds from SIGTERM to the end of the last process; lower is better. {held}Medians, {}.",
            sample(run)
        ),
        heads: run.scenarios.clone(),
        lines: by_scenario(run, &run.scenarios, of),
    })
}
