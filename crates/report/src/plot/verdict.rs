//! The figure that decides a scenario: one point per model with its interval, on a logarithmic axis.

use super::panel::{WIDTH, bars, sample};
use crate::cell::State;
use crate::format;
use crate::matrix::Entry;
use crate::metric::Metric;
use crate::palette;
use crate::run::Row;
use crate::scale::{Log, is_drawn};
use crate::session::Session;
use crate::svg::{Anchor, Svg};
use crate::words;

const LEFT: f64 = 132.0;
const RIGHT: f64 = 346.0;
const TOP: f64 = 62.0;
const ROW_HEIGHT: f64 = 22.0;

/// The panel of `scenario`; `None` where no model has a figure.
pub fn draw(session: &Session, scenario: &str) -> Option<Svg> {
    let matrix = &session.verdict;
    let column = matrix
        .columns
        .iter()
        .find(|column| column.scenario == scenario)?;
    let metric = column.choice.metric;
    let shown = session.drawn(scenario);
    let rows: Vec<(&Row, &Entry)> = matrix
        .rows
        .iter()
        .zip(&column.entries)
        .filter(|(row, _)| shown.contains(row))
        .collect();
    let drawn = || {
        rows.iter()
            .map(|(_, entry)| *entry)
            .filter(|entry| !entry.overloaded)
    };
    let spreads = || drawn().filter_map(|entry| entry.spread);
    let values: Vec<f64> = spreads()
        .flat_map(|each| [each.low, each.median, each.high])
        .collect();
    let axis = Log::over(&values, LEFT + 6.0, RIGHT)?;
    let bottom = TOP + ROW_HEIGHT * rows.len() as f64;

    let mut svg = Svg::new(
        WIDTH,
        bottom + 42.0,
        &format!("{scenario}: {}", column.describe()),
    );
    svg.text(10.0, 20.0, Anchor::Start, "t", scenario);
    svg.text(
        10.0,
        36.0,
        Anchor::Start,
        "m n",
        &format!("{}, {}", column.describe(), metric.direction()),
    );
    let sample = format!("log axis; {}; {}", bars(matrix.evidence), sample(spreads()));
    svg.text(10.0, 50.0, Anchor::Start, "m n", &sample);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.line((x, TOP), (x, bottom), "grid");
        svg.text(
            x,
            bottom + 15.0,
            Anchor::Middle,
            "m n",
            &tick_label(metric, tick),
        );
    }
    for (index, (row, entry)) in rows.into_iter().enumerate() {
        let y = TOP + ROW_HEIGHT * (index as f64 + 0.5);
        svg.text(
            LEFT - 8.0,
            y + 4.0,
            Anchor::End,
            &format!("n f{}", palette::class(&row.family)),
            &row.label,
        );
        draw_entry(&mut svg, row, entry, metric, &axis, y);
    }
    let unit = match metric {
        Metric::Throughput => "requests per second",
        _ => metric.name(),
    };
    svg.text(
        f64::midpoint(LEFT, RIGHT),
        bottom + 31.0,
        Anchor::Middle,
        "m n",
        unit,
    );
    Some(svg)
}

fn draw_entry(svg: &mut Svg, row: &Row, entry: &Entry, metric: Metric, axis: &Log, y: f64) {
    let spread = match entry.spread {
        Some(spread) if !entry.overloaded => spread,
        other => {
            let text = match other {
                Some(_) => format!("overloaded, {}", words::answered(entry)),
                None => words::state(entry.state).to_owned(),
            };
            svg.text(LEFT + 6.0, y + 4.0, Anchor::Start, "m n", &text);
            return;
        }
    };
    let class = palette::class(&row.family);
    let limited = entry.state == State::Limited;
    let shown = metric.show(spread.median);
    if is_drawn(spread.median) {
        if spread.n > 1 {
            svg.line(
                (axis.at(spread.low), y),
                (axis.at(spread.high), y),
                &format!("bar s{class}"),
            );
        }
        let hover = format!(
            "{}: {shown} ({}–{}), n = {}",
            row.label,
            metric.show(spread.low),
            metric.show(spread.high),
            spread.n
        );
        let unserved = entry.unserved.map(words::unserved);
        let hover = hover + &unserved.map_or(String::new(), |text| format!(", {text}"));
        let mark = palette::of(&row.family).mark;
        svg.mark(
            (axis.at(spread.median), y),
            mark,
            limited || row.is_aside(),
            class,
            &hover,
        );
    }
    let shown = if limited {
        words::bound(metric, &shown) + " LIMITED"
    } else {
        shown
    };
    svg.text(WIDTH - 6.0, y + 4.0, Anchor::End, "n", &shown);
}

fn tick_label(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Throughput | Metric::Goodput => format::number(value),
        _ => format::micros_round(value),
    }
}
