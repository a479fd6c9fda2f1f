//! The figure that decides a scenario: one point per model with its interval, on a logarithmic axis.

use super::panel::{bars, sample};
use super::rows::Rows;
use crate::cell::State;
use crate::format;
use crate::matrix::Entry;
use crate::metric::Metric;
use crate::palette;
use crate::run::Row;
use crate::scale::is_drawn;
use crate::session::Session;
use crate::svg::Svg;
use crate::words;

/// The panel of `scenario`; `None` where no model has a figure.
pub fn draw(session: &Session, scenario: &str) -> Option<Svg> {
    let matrix = &session.verdict;
    let mut columns = matrix.columns.iter();
    let column = columns.find(|column| column.scenario == scenario)?;
    let metric = column.choice.metric;
    let shown = session.drawn(scenario);
    let rows: Vec<(&Row, &Entry)> = matrix
        .rows
        .iter()
        .zip(&column.entries)
        .filter(|(row, _)| shown.contains(row))
        .collect();
    let held = || rows.iter().filter(|(_, entry)| !entry.overloaded);
    let spreads = || held().filter_map(|(_, entry)| entry.spread);
    let values: Vec<f64> = spreads()
        .flat_map(|each| [each.low, each.median, each.high])
        .collect();
    let title = format!("{scenario}: {}", column.describe());
    let first = format!("{}, {}", column.describe(), metric.direction());
    let second = format!("log axis; {}; {}", bars(matrix.evidence), sample(spreads()));
    let heading = (title.as_str(), scenario, [first.as_str(), &second]);
    let mut plot = Rows::new(heading, &values, rows.len(), |tick| {
        tick_label(metric, tick)
    })?;
    for (index, (row, entry)) in rows.into_iter().enumerate() {
        let y = plot.name(index, row);
        draw_entry(&mut plot, row, entry, metric, y);
    }
    Some(plot.finish(match metric {
        Metric::Throughput => "requests per second",
        _ => metric.name(),
    }))
}

fn draw_entry(plot: &mut Rows, row: &Row, entry: &Entry, metric: Metric, y: f64) {
    let spread = match entry.spread {
        Some(spread) if !entry.overloaded => spread,
        Some(_) => return plot.remark(y, &format!("overloaded, {}", words::answered(entry))),
        None => return plot.remark(y, words::state(entry.state)),
    };
    let class = palette::class(&row.family);
    let limited = entry.state == State::Limited;
    if is_drawn(spread.median) {
        let at = |value| (plot.axis.at(value), y);
        let (low, median, high) = (at(spread.low), at(spread.median), at(spread.high));
        if spread.n > 1 {
            plot.svg.line(low, high, &format!("bar s{class}"));
        }
        let mut hover = format!(
            "{}: {}",
            row.label,
            format::spread(spread, |each| metric.show(each))
        );
        if let Some(unserved) = entry.unserved {
            hover.push_str(&format!(", {}", words::unserved(unserved)));
        }
        let mark = palette::of(&row.family).mark;
        let hollow = limited || row.is_aside();
        plot.svg.mark(median, mark, hollow, class, &hover);
    }
    let shown = metric.show(spread.median);
    plot.figure(
        y,
        &if limited {
            words::bound(metric, &shown) + " LIMITED"
        } else {
            shown
        },
    );
}

fn tick_label(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Throughput | Metric::Goodput => format::number(value),
        _ => format::micros_round(value),
    }
}
