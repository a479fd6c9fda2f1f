//! The columns of a scenario's tables, the same in Markdown and HTML.

use crate::cell::{Cell, State};
use crate::data::{Pass, Role};
use crate::format;
use crate::metric::Metric;
use crate::run::{Row, Run, Window};
use crate::stats::{Evidence, Spread};
use crate::words;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The row's name.
    Label,
    /// Median of a figure.
    Figure(Metric),
    /// Its interval or range.
    Range(Metric),
    /// System calls per request, from their own pass.
    Calls,
    /// Workers given.
    Workers,
    /// Connections that got no reply in the window.
    Unserved,
    /// Trials it rests on.
    Trials,
    /// State and reasons.
    Validity,
}

const COLUMNS: [(&str, Field); 22] = [
    ("model", Field::Label),
    ("requests/s", Field::Figure(Metric::Throughput)),
    ("interval", Field::Range(Metric::Throughput)),
    ("p50 µs", Field::Figure(Metric::P50)),
    ("p90 µs", Field::Figure(Metric::P90)),
    ("p99 µs", Field::Figure(Metric::P99)),
    ("interval", Field::Range(Metric::P99)),
    ("p99.9 µs", Field::Figure(Metric::P999)),
    ("service p99 µs", Field::Figure(Metric::ServiceP99)),
    (
        "server CPU µs per request",
        Field::Figure(Metric::ServerCpu),
    ),
    ("interval", Field::Range(Metric::ServerCpu)),
    (
        "machine CPU µs per request",
        Field::Figure(Metric::MachineCpu),
    ),
    ("switches per request", Field::Figure(Metric::Switches)),
    ("calls per request", Field::Calls),
    ("PSS KiB", Field::Figure(Metric::Pss)),
    ("PSS idle KiB", Field::Figure(Metric::PssIdle)),
    ("tasks", Field::Figure(Metric::Tasks)),
    ("drain ms", Field::Figure(Metric::Drain)),
    ("workers", Field::Workers),
    ("unserved", Field::Unserved),
    ("n", Field::Trials),
    ("validity", Field::Validity),
];

/// The columns of a table for `window` of `scenario`, or those of the cost table.
///
/// Latency belongs to the open loop, where waiting counts; throughput to the closed one; what a
/// request costs to both.
pub fn columns(run: &Run, scenario: &str, window: Option<Window>) -> Vec<(&'static str, Field)> {
    use Metric::{P50, P90, P99, P999, ServiceP99, Throughput};
    let shown = |field: Field| match field {
        Field::Figure(P50 | P90 | P99 | P999 | ServiceP99) | Field::Range(P99) => {
            window.is_some_and(|window| window != Window::Closed)
        }
        Field::Range(Throughput) => window == Some(Window::Closed),
        Field::Unserved => window.is_some_and(|window| is_unserved(run, scenario, window)),
        Field::Calls => window.is_none() && !run.scenarios_of(Pass::SystemCalls).is_empty(),
        Field::Figure(Throughput) | Field::Validity => window.is_some(),
        _ => true,
    };
    let columns = COLUMNS.into_iter();
    columns.filter(|(_, field)| shown(*field)).collect()
}

/// `true` where a connection of some row got no reply.
pub fn is_unserved(run: &Run, scenario: &str, window: Window) -> bool {
    let mut rows = run.rows.iter();
    rows.any(|row| {
        let cell = run.cell(&row.label, scenario, window);
        cell.unserved().is_some()
    })
}

/// The text of one cell of a table; `None` where there is none.
pub fn text(run: &Run, row: &Row, cell: &Cell<'_>, field: Field) -> Option<String> {
    let evidence = Evidence::of(run.blocks);
    let spread = |metric| cell.spread(metric, evidence);
    Some(match field {
        Field::Label if row.role == Role::Null => "null server (ceiling)".to_owned(),
        Field::Label => row.label.clone(),
        Field::Figure(metric) => {
            let limited = cell.state_for(metric) == State::Limited && metric.more_is_better();
            let bound = if limited { "≥ " } else { "" };
            format!("{bound}{}", format::number(spread(metric)?.median))
        }
        Field::Range(metric) => {
            let each = spread(metric).filter(|each| each.n > 1)?;
            format!("{}–{}", format::number(each.low), format::number(each.high))
        }
        Field::Calls => {
            let scenario = &cell.trials.first()?.scenario;
            let trials = run.pass(Pass::SystemCalls, &row.label, scenario);
            let figures = trials.filter_map(|trial| trial.figures.as_ref());
            let counts = figures.filter_map(|each| each.system_calls_per_request);
            format::number(Spread::of(counts, Evidence::Ranges)?.median)
        }
        Field::Workers => words::workers(cell),
        Field::Unserved => {
            let (silent, connections) = cell.unserved()?;
            format!("{silent}/{connections}")
        }
        Field::Trials => words::trials(cell),
        Field::Validity => words::validity(cell),
    })
}
