//! Memory of each model, idle and under load, in the scenario that holds the most connections.

use super::panel::{WIDTH, sample};
use crate::cell::Cell;
use crate::format;
use crate::metric::Metric;
use crate::palette;
use crate::primary;
use crate::scale::Log;
use crate::session::Session;
use crate::stats::{Evidence, Spread};
use crate::svg::{Anchor, Svg};

const LEFT: f64 = 132.0;
const RIGHT: f64 = 346.0;
const TOP: f64 = 62.0;
const ROW_HEIGHT: f64 = 22.0;

/// The panel; `None` where no memory was measured.
pub fn draw(session: &Session) -> Option<Svg> {
    let run = &session.run;
    let connections = |scenario: &&String| {
        let here = run
            .trials
            .iter()
            .filter(|trial| trial.scenario == **scenario);
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
    let axis = Log::over(&values, LEFT + 6.0, RIGHT)?;
    let bottom = TOP + ROW_HEIGHT * rows.len() as f64;

    let title = format!(
        "memory, {scenario} ({} connections)",
        connections(&scenario)
    );
    let mut svg = Svg::new(WIDTH, bottom + 42.0, &title);
    svg.text(10.0, 20.0, Anchor::Start, "t", &title);
    svg.text(
        10.0,
        36.0,
        Anchor::Start,
        "m n",
        "PSS of the server's process tree, log axis, lower is better",
    );
    let second = format!(
        "hollow: idle, solid: under load; median, {}",
        sample(both().copied())
    );
    svg.text(10.0, 50.0, Anchor::Start, "m n", &second);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.line((x, TOP), (x, bottom), "grid");
        svg.text(
            x,
            bottom + 15.0,
            Anchor::Middle,
            "m n",
            &format::number(tick / 1000.0),
        );
    }
    for (index, (row, idle, load)) in rows.iter().enumerate() {
        let y = TOP + ROW_HEIGHT * (index as f64 + 0.5);
        let (class, mark) = (palette::class(&row.family), palette::of(&row.family).mark);
        svg.text(
            LEFT - 8.0,
            y + 4.0,
            Anchor::End,
            &format!("n f{class}"),
            &row.label,
        );
        let end = axis.at(load.median);
        if let Some(idle) = idle {
            let start = axis.at(idle.median);
            svg.line((start, y), (end, y), &format!("bar s{class}"));
            svg.mark(
                (start, y),
                mark,
                true,
                class,
                &format!("{}: idle {}", row.label, format::kib(idle.median)),
            );
        }
        svg.mark(
            (end, y),
            mark,
            false,
            class,
            &format!("{}: under load {}", row.label, format::kib(load.median)),
        );
        svg.text(
            WIDTH - 6.0,
            y + 4.0,
            Anchor::End,
            "n",
            &format::kib(load.median),
        );
    }
    svg.text(
        f64::midpoint(LEFT, RIGHT),
        bottom + 31.0,
        Anchor::Middle,
        "m n",
        "thousand KiB",
    );
    Some(svg)
}
