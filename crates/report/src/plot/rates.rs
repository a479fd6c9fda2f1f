//! p99 response time against the offered rate, one panel per scenario.

use super::panel::{self, LEFT, Panel, Point, RIGHT};
use crate::format;
use crate::metric::Metric;
use crate::run::Window;
use crate::session::Session;
use crate::stats::Evidence;
use crate::svg::Svg;

/// Shift between models at one rate, so that their bars stand side by side.
const DODGE: f64 = 3.5;

/// The panel of `scenario`; `None` without an open-loop figure.
pub fn draw(session: &Session, scenario: &str) -> Option<Svg> {
    let run = &session.run;
    let windows: Vec<(Window, f64)> = run
        .windows(scenario)
        .into_iter()
        .filter_map(|window| Some((window, window.rate()?)))
        .collect();
    let highest = windows.last()?.1.max(1.0);
    let drawn = session.drawn(scenario);
    let margin = DODGE * drawn.len() as f64 / 2.0 + 4.0;
    let place = |rate: f64| LEFT + (RIGHT - margin - LEFT) * rate / highest;

    let mut series = Vec::new();
    for (index, row) in drawn.iter().copied().enumerate() {
        let shift = DODGE * (index as f64 - (drawn.len() as f64 - 1.0) / 2.0);
        let point = |&(window, rate): &(Window, f64)| {
            let (spread, limited) = panel::figure(run, row, scenario, window, Metric::P99)?;
            Some(Point {
                x: place(rate) + shift,
                spread,
                limited,
            })
        };
        let points: Vec<Point> = windows.iter().filter_map(point).collect();
        if !points.is_empty() {
            series.push((row, points));
        }
    }
    let points = || series.iter().flat_map(|(_, points)| points);
    let spreads = || points().map(|point| point.spread);
    let objective = panel::objective_p99(run, scenario);
    let values: Vec<f64> = spreads()
        .flat_map(|each| [each.low, each.median, each.high])
        .chain(objective.map(|objective| objective.p99_us))
        .collect();
    let sample = format!(
        "{}; {} per point",
        panel::bars(Evidence::of(run.blocks)),
        panel::sample(spreads())
    );
    let lines = [
        "p99 response time, log axis, lower is better",
        sample.as_str(),
    ];
    let mut panel = Panel::new(scenario, lines, &values)?;
    panel.objective(objective);
    for (_, rate) in &windows {
        panel.tick(place(*rate), &format::number(*rate));
    }
    for (row, points) in &series {
        panel.series(row, points, false, true);
        panel.end(row, points);
    }
    let mut notes = panel::absent(session, scenario, windows.last()?.0);
    if values.iter().any(|value| !value.is_finite()) {
        notes.push("∞: more than 1 % of the requests were never answered".to_owned());
    }
    Some(panel.finish("offered requests per second", &notes))
}
