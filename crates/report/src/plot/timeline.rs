//! A load in steps, slice by slice: p99 and correct answers per second.

use super::panel::{self, LEFT, Panel, Point, RIGHT, Text};
use crate::data::{Figures, Slice};
use crate::format;
use crate::metric::Metric;
use crate::primary;
use crate::run::Row;
use crate::session::Session;
use crate::stats::{Evidence, Spread};
use crate::svg::Svg;

/// What is drawn of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// p99 response.
    P99,
    /// Correct answers per second.
    Answers,
}

/// The panel of `scenario`; `None` where it has no phases.
pub fn draw(session: &Session, scenario: &str, side: Side) -> Option<Svg> {
    let run = &session.run;
    let window = primary::of(run, scenario, Metric::Goodput).window;
    let figures = |row: &Row| -> Vec<&Figures> {
        let cell = run.cell(&row.label, scenario, window);
        let has_phases = |each: &&Figures| !each.phases.is_empty();
        cell.figures().filter(has_phases).collect()
    };
    let rows: Vec<(&Row, Vec<(f64, Spread)>)> = session
        .drawn(scenario)
        .into_iter()
        .map(|row| (row, slices(&figures(row), side)))
        .filter(|(_, slices)| !slices.is_empty())
        .collect();
    let points = || rows.iter().flat_map(|(_, points)| points);
    let last = points().map(|(at, _)| *at).max_by(f64::total_cmp);
    let end = last?.max(0.001);
    let place = |at: f64| LEFT + 4.0 + (RIGHT - LEFT - 8.0) * at / end;
    let objective = (side == Side::P99)
        .then(|| panel::objective_p99(run, scenario))
        .flatten();
    let values: Vec<f64> = points()
        .map(|(_, spread)| spread.median)
        .chain(objective.map(|objective| objective.p99_us))
        .collect();
    let first = match side {
        Side::P99 => "p99 response time, log axis, lower is better",
        Side::Answers => "correct answers per second, log axis, higher is better",
    };
    let second = format!(
        "median over trials, {}",
        panel::sample(points().map(|(_, spread)| *spread))
    );
    let texts: (Text, Text) = match side {
        Side::P99 => (format::micros_round, format::micros),
        Side::Answers => (format::rate_round, format::rate),
    };
    let mut panel = Panel::of(scenario, [first, &second], &values, texts)?;
    panel.objective(objective);
    let example = rows
        .iter()
        .find_map(|(row, _)| figures(row).first().copied())?;
    for phase in &example.phases {
        panel.boundary(place(phase.start_s), &phase.name);
        panel.tick(
            place(phase.start_s),
            &format!("{} s", format::number(phase.start_s)),
        );
    }
    for (row, slices) in &rows {
        let point = |(at, spread): &(f64, Spread)| Point {
            x: place(*at),
            spread: *spread,
            limited: false,
        };
        let points: Vec<Point> = slices.iter().map(point).collect();
        panel.series(row, &points, false, false);
        panel.end(row, &points);
    }
    Some(panel.finish("seconds into the window", &[]))
}

/// Each slice's middle and its value over the trials.
fn slices(figures: &[&Figures], side: Side) -> Vec<(f64, Spread)> {
    let longest = figures.iter().max_by_key(|each| each.timeline.len());
    let value = |slice: &Slice| match side {
        Side::P99 if slice.scheduled == 0 => None,
        Side::P99 => Some(slice.p99_us.unwrap_or(f64::INFINITY)),
        Side::Answers => Some(slice.requests as f64 / slice.duration_s.max(1e-9)),
    };
    let of = |(index, slice): (usize, &Slice)| {
        let values = figures
            .iter()
            .filter_map(|each| value(each.timeline.get(index)?));
        Some((
            slice.start_s + slice.duration_s / 2.0,
            Spread::of(values, Evidence::Ranges)?,
        ))
    };
    longest
        .into_iter()
        .flat_map(|each| each.timeline.iter().enumerate())
        .filter_map(of)
        .collect()
}
