//! Capacity at the objective in two runs: brackets against brackets.

use super::both::Both;
use super::line::{Finding, Line, Side};
use crate::data::{Capacity, Pass, Trial, Validity};
use crate::metric::Metric;
use crate::primary;
use crate::run::{Row, Run};
use crate::stats::{Comparison, Evidence, INFINITE_LOG, Spread, verdict_of_span};

/// What the lines are called.
const FIGURE: &str = "capacity at the objective";

/// Searches of fewer than these show about half of their spread.
const SEARCHES_MIN: usize = 3;

/// Every row whose capacity was searched for in the earlier run, where the later one searched too.
pub fn lines(both: &Both<'_>, scenario: &str) -> Vec<Line> {
    let searched = both.after.scenarios_of(Pass::Capacity);
    if !searched.iter().any(|name| name == scenario) {
        return Vec::new();
    }
    let rows = both.before.contenders();
    rows.filter_map(|row| line(both, row, scenario)).collect()
}

/// `None` where the earlier run found nothing.
fn line(both: &Both<'_>, row: &Row, scenario: &str) -> Option<Line> {
    let ours = searches(both.before, row, scenario);
    if ours.is_empty() {
        return None;
    }
    let theirs = searches(both.after, row, scenario);
    let choice = primary::of(both.before, scenario, Metric::Throughput);
    let zone = both.zone(scenario, choice);
    let mut line = Line {
        model: row.label.clone(),
        scenario: scenario.to_owned(),
        load: "search".to_owned(),
        figure: FIGURE,
        before: side(&ours),
        after: side(&theirs),
        zone: Some(zone.exp()),
        ..Line::empty(Some(Metric::Throughput))
    };
    let objective = |found: &[&Capacity]| {
        let first = found.first();
        first.map(|each| (each.objective_p99_us, each.objective_percentile.clone()))
    };
    if theirs.is_empty() {
        let trials = || both.after.pass(Pass::Capacity, &row.label, scenario);
        let reasons = trials().flat_map(|trial| trial.reasons.iter());
        let mut texts: Vec<&str> = reasons.map(|reason| reason.text.as_str()).collect();
        texts.dedup();
        let say = |_| format!("not found after: {}", texts.join("; "));
        let of_server =
            |trial: &Trial| trial.validity == Validity::Blocks || trial.faults().next().is_some();
        (line.finding, line.reason) = if trials().next().is_none() {
            both.missing(|_| "not searched for after".to_owned())
        } else if trials().any(of_server) {
            (Finding::Lost, say(()))
        } else {
            (Finding::NotComparable, say(()))
        };
    } else if objective(&ours) != objective(&theirs) {
        line.reason = "another objective".to_owned();
    } else if both.evidence != Evidence::Figures {
        line.judge(compared(&theirs, &ours, zone));
    } else {
        line.judge(None);
    }
    Some(line)
}

fn searches<'a>(run: &'a Run, row: &'a Row, scenario: &'a str) -> Vec<&'a Capacity> {
    run.pass(Pass::Capacity, &row.label, scenario)
        .filter(|trial| trial.validity != Validity::Invalid)
        .filter_map(|trial| trial.capacity.as_ref())
        .filter(|found| found.highest_ok_rps.is_some() || found.lowest_failed_rps.is_some())
        .collect()
}

/// The bracket as logarithmic costs, the better end first; an end that was not found is infinite.
fn ends(found: &Capacity) -> (f64, f64) {
    let cost = |rate: f64| Metric::Throughput.cost(rate);
    (
        found.lowest_failed_rps.map_or(-INFINITE_LOG, cost),
        found.highest_ok_rps.map_or(INFINITE_LOG, cost),
    )
}

/// The middle of the bracket on a logarithmic scale; of half a one, the end that was found.
fn middle(found: &Capacity) -> f64 {
    let (best, worst) = ends(found);
    match (best <= -INFINITE_LOG, worst >= INFINITE_LOG) {
        (true, _) => worst,
        (_, true) => best,
        _ => f64::midpoint(best, worst),
    }
}

fn side(found: &[&Capacity]) -> Option<Side> {
    let rates = found.iter().map(|each| (-middle(each)).exp());
    Spread::of(rates, Evidence::Ranges).map(Side::of)
}

/// A capacity is known as a bracket, and its searches are few: what decides is the span of all
/// differences, each taken between the ends that are furthest apart, as ranges are compared within a
/// session. Fewer than three searches must be apart by a bracket more; an end that was not confirmed
/// decides nothing.
fn compared(one: &[&Capacity], other: &[&Capacity], zone: f64) -> Option<Comparison> {
    let best = |found: &[&Capacity]| found.iter().map(|each| ends(each).0).reduce(f64::min);
    let worst = |found: &[&Capacity]| found.iter().map(|each| ends(each).1).reduce(f64::max);
    let median = |found: &[&Capacity]| {
        let middles = found.iter().map(|each| middle(each));
        Spread::of(middles, Evidence::Ranges).map(|spread| spread.median)
    };
    let width = |found: &&Capacity| {
        let (best, worst) = ends(found);
        Some(worst - best).filter(|width| *width < INFINITE_LOG / 2.0)
    };
    let all = || one.iter().chain(other);
    let unseen = if one.len().min(other.len()) < SEARCHES_MIN {
        all().filter_map(width).fold(0.0, f64::max)
    } else {
        0.0
    };
    let (low, high) = (best(one)? - worst(other)?, worst(one)? - best(other)?);
    let log = median(one)? - median(other)?;
    let sure = all().all(|each| each.confirmed || each.lowest_failed_rps.is_none());
    let unseen = if sure { unseen } else { INFINITE_LOG };
    Some(Comparison {
        log,
        low,
        high,
        pairs: one.len().min(other.len()),
        verdict: verdict_of_span((low, high), zone, unseen),
        smallest: zone + unseen + (log - low),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Verdict, floor};

    fn bracket(low: f64, high: Option<f64>, confirmed: bool) -> Capacity {
        Capacity {
            highest_ok_rps: Some(low),
            lowest_failed_rps: high,
            confirmed,
            ..Capacity::default()
        }
    }

    fn verdict(after: &[Capacity], before: &[Capacity]) -> Verdict {
        let (after, before): (Vec<_>, Vec<_>) = (after.iter().collect(), before.iter().collect());
        compared(&after, &before, floor())
            .expect("searches")
            .verdict
    }

    #[test]
    fn disjoint_brackets_decide_and_touching_ones_do_not() {
        let three = |low: f64| vec![bracket(low, Some(low * 1.05), true); 3];
        assert_eq!(verdict(&three(8_000.0), &three(10_000.0)), Verdict::Slower);
        assert_eq!(verdict(&three(10_000.0), &three(8_000.0)), Verdict::Faster);
        assert_eq!(
            verdict(&three(9_600.0), &three(10_000.0)),
            Verdict::TooClose
        );
        assert_eq!(
            verdict(&three(10_000.0), &three(10_000.0)),
            Verdict::TooClose
        );
    }

    #[test]
    fn one_search_must_be_apart_by_a_bracket_more_and_be_confirmed() {
        let one = |low: f64| vec![bracket(low, Some(low * 1.25), true)];
        assert_eq!(verdict(&one(7_500.0), &one(10_000.0)), Verdict::TooClose);
        assert_eq!(verdict(&one(5_000.0), &one(10_000.0)), Verdict::Slower);
        let unsure = vec![bracket(5_000.0, Some(6_250.0), false)];
        assert_eq!(verdict(&unsure, &one(10_000.0)), Verdict::TooClose);
        // Kept up to the generator's limit, and now it is not.
        let bound = vec![bracket(20_000.0, None, true)];
        assert_eq!(verdict(&one(5_000.0), &bound), Verdict::Slower);
        assert_eq!(verdict(&one(18_000.0), &bound), Verdict::TooClose);
    }
}
