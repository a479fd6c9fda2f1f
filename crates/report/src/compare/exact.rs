//! Figures without noise in two runs: they are counted, not timed, so a neighbour on the machine does not
//! change them, and a gate in CI may rest on them alone.

use super::both::Both;
use super::line::{Line, Side};
use crate::data::{Figures, Pass, Trial, Validity};
use crate::run::{Row, Run};
use crate::stats::{Evidence, Least, Spread, compare_counts, median};

/// A figure that is counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// What its lines are called.
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    least: Least,
}

const COUNTED: [Counted; 2] = [
    Counted {
        name: "system calls per request",
        of: |figures| figures.system_calls_per_request,
        least: Least::SYSTEM_CALLS,
    },
    Counted {
        name: "wake-ups per request",
        of: |figures| figures.wakeups_per_request,
        least: Least::WAKE_UPS,
    },
];

/// Every row of which both runs counted something.
pub fn lines(both: &Both<'_>, scenario: &str) -> Vec<Line> {
    let rows: Vec<&Row> = both.before.contenders().collect();
    let of = |counted: Counted| {
        let rows = rows.iter();
        let lines = rows.filter_map(move |row| line(both, row, scenario, counted));
        lines.collect::<Vec<Line>>()
    };
    COUNTED.into_iter().flat_map(of).collect()
}

fn line(both: &Both<'_>, row: &Row, scenario: &str, counted: Counted) -> Option<Line> {
    let ours = counts(both.before, row, scenario, counted);
    let theirs = counts(both.after, row, scenario, counted);
    let was = median(&ours)?;
    let told = compare_counts(&ours, &theirs, counted.least)?;
    let mut line = Line {
        model: row.label.clone(),
        scenario: scenario.to_owned(),
        load: "counted".to_owned(),
        figure: counted.name,
        before: Spread::of(ours, Evidence::Figures).map(Side::of),
        after: Spread::of(theirs, Evidence::Figures).map(Side::of),
        zone: Some(1.0 + counted.least.of(was)),
        exact: true,
        ..Line::empty(None)
    };
    line.judge(Some(told));
    Some(line)
}

/// Counts of a row's trials, ascending.
fn counts(run: &Run, row: &Row, scenario: &str, counted: Counted) -> Vec<f64> {
    let usable = |trial: &&Trial| trial.validity != Validity::Invalid;
    let trials = run.pass(Pass::SystemCalls, &row.label, scenario);
    let mut counts: Vec<f64> = trials
        .filter(usable)
        .filter_map(|trial| (counted.of)(trial.figures.as_ref()?))
        .filter(|count| *count > 0.0)
        .collect();
    counts.sort_by(f64::total_cmp);
    counts
}
