//! Percentiles at the common rate: response solid, service dotted. The gap between the two is
//! coordinated omission, made visible.

use super::panel::{self, LEFT, Panel, Point, RIGHT};
use crate::metric::Metric;
use crate::primary;
use crate::run::Window;
use crate::session::Session;
use crate::svg::Svg;

const RESPONSE: [Metric; 4] = [Metric::P50, Metric::P90, Metric::P99, Metric::P999];
const SERVICE: [Metric; 4] = [
    Metric::ServiceP50,
    Metric::ServiceP90,
    Metric::ServiceP99,
    Metric::ServiceP999,
];

/// The panel of `scenario`; `None` where no offered rate was measured.
pub fn draw(session: &Session, scenario: &str) -> Option<Svg> {
    let run = &session.run;
    let window = primary::of(run, scenario, Metric::P99).window;
    if window == Window::Closed {
        return None;
    }
    // Equal steps per nine, with p50 where -log10(1 - 0.5) puts it.
    let place = |nines: f64| LEFT + 8.0 + (RIGHT - LEFT - 14.0) * (nines - 0.3) / 2.7;
    let places = [0.3, 1.0, 2.0, 3.0].map(place);

    let mut series = Vec::new();
    for row in session.drawn(scenario) {
        let points = |metrics: [Metric; 4]| -> Vec<Point> {
            let point = |(metric, x): (Metric, f64)| {
                let (spread, limited) = panel::figure(run, row, scenario, window, metric)?;
                Some(Point { x, spread, limited })
            };
            metrics.into_iter().zip(places).filter_map(point).collect()
        };
        let (response, service) = (points(RESPONSE), points(SERVICE));
        if !response.is_empty() {
            series.push((row, response, service));
        }
    }
    let both = || {
        series
            .iter()
            .flat_map(|(_, response, service)| response.iter().chain(service))
    };
    let values: Vec<f64> = both().map(|point| point.spread.median).collect();
    let first = format!("{}, log axis, lower is better", window.describe());
    let sample = panel::sample(both().map(|point| point.spread));
    let second = format!("solid: response, dotted: service; median over trials, {sample}");
    let mut panel = Panel::new(scenario, [&first, &second], &values)?;
    for (x, label) in places.into_iter().zip(["p50", "p90", "p99", "p99.9"]) {
        panel.tick(x, label);
    }
    for (row, response, service) in &series {
        panel.series(row, service, true, false);
        panel.series(row, response, false, false);
        panel.end(row, response);
    }
    let notes = panel::absent(session, scenario, window);
    Some(panel.finish("percentile of requests", &notes))
}
