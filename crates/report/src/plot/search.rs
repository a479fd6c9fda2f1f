//! p99 against the offered rate, from the steps of the search for the capacity.

use std::collections::BTreeMap;

use super::panel::{self, LEFT, Panel, Point, RIGHT};
use crate::data::{Pass, Validity};
use crate::format;
use crate::run::{Row, Run};
use crate::scale::Log;
use crate::session::Session;
use crate::stats::{Evidence, Spread};
use crate::svg::Svg;

/// The panel of `scenario`; `None` where its capacity was not searched for.
pub fn draw(session: &Session, scenario: &str) -> Option<Svg> {
    let run = &session.run;
    let mut rows: Vec<(&Row, Vec<(f64, Spread)>)> = session
        .drawn(scenario)
        .into_iter()
        .map(|row| (row, steps(run, row, scenario)))
        .filter(|(_, steps)| !steps.is_empty())
        .collect();
    // Most end at the top at once; their labels then stand in the order of what they held.
    rows.sort_by(|a, b| held(&b.1).total_cmp(&held(&a.1)));
    let steps = || rows.iter().flat_map(|(_, steps)| steps);
    let rates: Vec<f64> = steps().map(|(rate, _)| *rate).collect();
    let across = Log::over(&rates, LEFT + 6.0, RIGHT)?;
    let objective = panel::objective(run, scenario);
    let values: Vec<f64> = steps()
        .map(|(_, spread)| spread.median)
        .chain(objective.map(|objective| objective.p99_us))
        .collect();
    let sample = panel::sample(steps().map(|(_, spread)| *spread));
    let second = format!("one point per offered rate that was tried; {sample} per point");
    let name = objective.unwrap_or_default().name();
    let first = format!("{name} response time, log axes, lower is better");
    let lines = [first.as_str(), second.as_str()];
    let mut panel = Panel::new(scenario, lines, &values)?;
    panel.objective(objective);
    for tick in across.ticks() {
        panel.tick(across.at(tick), &format::rate_round(tick));
    }
    for (row, steps) in &rows {
        let point = |(rate, spread): &(f64, Spread)| Point {
            x: across.at(*rate),
            spread: *spread,
            limited: false,
        };
        let points: Vec<Point> = steps.iter().map(point).collect();
        panel.series(row, &points, false, true);
        panel.end(row, &points);
    }
    Some(panel.finish("offered requests per second", &[]))
}

/// The highest rate whose p99 came at all.
fn held(steps: &[(f64, Spread)]) -> f64 {
    let finite = steps.iter().filter(|(_, spread)| spread.median.is_finite());
    finite.map(|(rate, _)| *rate).fold(0.0, f64::max)
}

/// p99 by offered rate, over every search; rates to the nearest request.
fn steps(run: &Run, row: &Row, scenario: &str) -> Vec<(f64, Spread)> {
    let trials = run.pass(Pass::Capacity, &row.label, scenario);
    let usable = trials.filter(|trial| trial.validity != Validity::Invalid);
    let mut by_rate: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for step in usable
        .filter_map(|trial| trial.capacity.as_ref())
        .flat_map(|each| &each.steps)
    {
        if step.validity != Validity::Invalid {
            let p99 = step.p99_us.unwrap_or(f64::INFINITY);
            by_rate
                .entry(step.rate.max(0.0).round() as u64)
                .or_default()
                .push(p99);
        }
    }
    let spread = |(rate, values): (u64, Vec<f64>)| {
        Some((rate as f64, Spread::of(values, Evidence::Ranges)?))
    };
    by_rate.into_iter().filter_map(spread).collect()
}
