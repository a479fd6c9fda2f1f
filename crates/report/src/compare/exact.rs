//! Figures without noise in two runs: they are counted, not timed, so a neighbour on the machine does not
//! change them, and a gate in CI may rest on them alone.

use super::both::Both;
use super::line::{Finding, Line, Side};
use crate::data::{Pass, Trial, Validity};
use crate::run::{Row, Run};

/// What the lines are called.
pub const FIGURE: &str = "system calls per request";

/// Replies that happen to share a wait or not make a count differ by so much between trials of one
/// build.
const SHARE_LEAST: f64 = 0.02;
/// The same for servers that make next to no calls.
const CALLS_LEAST: f64 = 0.01;

/// Every row whose system calls both runs counted.
pub fn lines(both: &Both<'_>, scenario: &str) -> Vec<Line> {
    let rows = both.before.contenders();
    rows.filter_map(|row| line(both, row, scenario)).collect()
}

fn line(both: &Both<'_>, row: &Row, scenario: &str) -> Option<Line> {
    let ours = counts(both.before, row, scenario);
    let theirs = counts(both.after, row, scenario);
    let (before, after) = (side(&ours)?, side(&theirs)?);
    let (was, is) = (before.median?, after.median?);
    let (low, high) = (
        is_least(&theirs) / is_most(&ours),
        is_most(&theirs) / is_least(&ours),
    );
    let least = SHARE_LEAST.max(CALLS_LEAST / was);
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
        figure: FIGURE,
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
fn counts(run: &Run, row: &Row, scenario: &str) -> Vec<f64> {
    let usable = |trial: &&Trial| trial.validity != Validity::Invalid;
    let trials = run.pass(Pass::SystemCalls, &row.label, scenario);
    let mut counts: Vec<f64> = trials
        .filter(usable)
        .filter_map(|trial| trial.figures.as_ref()?.system_calls_per_request)
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
