//! Memory of each model, idle and under load, in the scenario that holds the most connections.

use super::panel::sample;
use super::rows::Rows;
use crate::cell::Cell;
use crate::format;
use crate::metric::Metric;
use crate::palette;
use crate::primary;
use crate::session::Session;
use crate::stats::{Evidence, Spread};
use crate::svg::Svg;

/// The panel; `None` where no memory was measured.
pub fn draw(session: &Session) -> Option<Svg> {
    let run = &session.run;
    let connections = |scenario: &&String| {
        let here = run.trials_of(scenario);
        here.map(|trial| trial.shape.connections).max().unwrap_or(0)
    };
    // The first of those with the most, since max_by_key would take the last.
    let scenario = run.scenarios.iter().rev().max_by_key(connections)?;
    let window = primary::of(run, scenario, Metric::Pss).window;
    let evidence = Evidence::of(run.blocks);
    let of = |cell: &Cell<'_>, metric| Spread::of(cell.values(metric).into_values(), evidence);
    let rows: Vec<_> = session
        .drawn(scenario)
        .into_iter()
        .filter_map(|row| {
            let cell = run.cell(&row.label, scenario, window);
            Some((row, of(&cell, Metric::PssIdle), of(&cell, Metric::Pss)?))
        })
        .collect();
    let both = || {
        rows.iter()
            .flat_map(|(_, idle, load)| idle.iter().chain([load]))
    };
    let values: Vec<f64> = both().map(|spread| spread.median).collect();
    let title = format!(
        "memory, {scenario} ({} connections)",
        connections(&scenario)
    );
    let first = "PSS of the server's process tree, log axis, lower is better";
    let second = format!(
        "hollow: idle, solid: under load; median, {}",
        sample(both().copied())
    );
    let heading = (title.as_str(), title.as_str(), [first, second.as_str()]);
    let mut plot = Rows::new(heading, &values, rows.len(), |tick| {
        format::number(tick / 1000.0)
    })?;
    for (index, (row, idle, load)) in rows.iter().enumerate() {
        let y = plot.name(index, row);
        let (class, mark) = (palette::class(&row.family), palette::of(&row.family).mark);
        let end = (plot.axis.at(load.median), y);
        if let Some(idle) = idle {
            let start = (plot.axis.at(idle.median), y);
            plot.svg.line(start, end, &format!("bar s{class}"));
            let hover = format!("{}: idle {}", row.label, format::kib(idle.median));
            plot.svg.mark(start, mark, true, class, &hover);
        }
        let hover = format!("{}: under load {}", row.label, format::kib(load.median));
        plot.svg.mark(end, mark, false, class, &hover);
        plot.figure(y, &format::kib(load.median));
    }
    Some(plot.finish("thousand KiB"))
}
