//! Figures without noise in two runs: they are counted, not timed, so a neighbour on the machine does not
//! change them, and a gate in CI may rest on them alone.

use super::both::Both;
use super::line::{Finding, Line, Side};
use crate::data::{Figures, Pass, Trial, Validity};
use crate::run::{Row, Run};

/// A figure that is counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// What its lines are called.
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    /// What happens to differ between trials of one build, as a share.
    share_least: f64,
}

const COUNTED: [Counted; 2] = [
    // Replies happen to share a wait, or not.
    Counted {
        name: "system calls per request",
        of: |figures| figures.system_calls_per_request,
        share_least: 0.02,
    },
    // A server that was held up finds the next request there and does not wait for it.
    Counted {
        name: "wake-ups per request",
        of: |figures| figures.wakeups_per_request,
        share_least: 0.05,
    },
];

/// The same for servers that do next to nothing of it.
const COUNT_LEAST: f64 = 0.01;

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
    let (before, after) = (side(&ours)?, side(&theirs)?);
    let (was, is) = (before.median?, after.median?);
    let (low, high) = (
        is_least(&theirs) / is_most(&ours),
        is_most(&theirs) / is_least(&ours),
    );
    let least = counted.share_least.max(COUNT_LEAST / was);
    let smallest = is_most(&ours) / was * (1.0 + least);
    let finding = match () {
        () if low > 1.0 + least => Finding::Worse,
        () if high < 1.0 / (1.0 + least) => Finding::Better,
        () if (1.0 / (1.0 + least)..=1.0 + least).contains(&low) && high <= 1.0 + least => {
            Finding::Equivalent
        }
        () => Finding::TooClose,
    };
    Some(Line {
        model: row.label.clone(),
        scenario: scenario.to_owned(),
        load: "counted".to_owned(),
        figure: counted.name,
        before: Some(before),
        after: Some(after),
        ratio: Some(is / was),
        low: Some(low),
        high: Some(high),
        zone: Some(1.0 + least),
        smallest_slowdown: Some(smallest),
        finding,
        exact: true,
        ..Line::empty(None)
    })
}

fn is_least(sorted: &[f64]) -> f64 {
    sorted.first().copied().unwrap_or(f64::NAN)
}

fn is_most(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or(f64::NAN)
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

fn side(sorted: &[f64]) -> Option<Side> {
    Some(Side {
        median: Some(crate::stats::median(sorted)?),
        n: sorted.len(),
    })
}
