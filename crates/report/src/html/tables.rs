//! The cost tables and the tables of every figure.

use maud::{Markup, html};

use crate::anchor;
use crate::cell::{Cell, State};
use crate::data::Pass;
use crate::figures::{self as fields, Field};
use crate::html_table::figures;
use crate::metric::Metric;
use crate::palette;
use crate::primary;
use crate::run::{Row, Run, Window};
use crate::words;

/// What a request costs at the common rate, one table per scenario.
pub fn cost(run: &Run) -> Markup {
    html! {
        section #cost {
            h2 { "Cost" }
            p.note {
                "Medians over trials at the common rate; lower is better throughout. Server CPU counts the \
                 whole process tree, dead children included; machine CPU also counts what the \
                 generator uses and what the kernel spends on the loopback. Each name links to its trials."
            }
            @for scenario in &run.scenarios {
                @let window = primary::of(run, scenario, Metric::ServerCpu).window;
                h3 { (scenario) span.m { " · " (window.describe()) } }
                (table(run, scenario, window, &fields::columns(run, scenario, None)))
            }
        }
    }
}

/// Every figure of every window.
pub fn every_figure(run: &Run) -> Markup {
    html! {
        section #figures {
            h2 { "Every figure" }
            p.note { "Medians over trials. Throughput: higher is better; all else: lower is better. Each name links to its trials." }
            @for scenario in &run.scenarios {
                details {
                    summary { (scenario) }
                    p.note { (words::scenario(run, scenario)) }
                    @for window in run.windows(scenario) {
                        h3 { (scenario) ", " (window.describe()) }
                        (table(run, scenario, window, &fields::columns(run, scenario, Some(window))))
                        @if fields::is_unserved(run, scenario, window) { p.note { (words::UNSERVED) } }
                    }
                }
            }
        }
    }
}

fn table(run: &Run, scenario: &str, window: Window, columns: &[(&str, Field)]) -> Markup {
    let rows: Vec<(&Row, Cell<'_>)> = run
        .rows
        .iter()
        .map(|row| (row, run.cell(&row.label, scenario, window)))
        .filter(|(_, cell)| cell.state != State::Missing)
        .collect();
    let heads =
        html! { @for (head, field) in columns { th.l[left(*field)] scope="col" { (head) } } };
    let rows = html! {
        @for (row, cell) in &rows {
            tr class=[state_class(cell.state)] {
                @for (_, field) in columns { (entry(run, row, cell, scenario, window, *field)) }
            }
        }
    };
    figures(&heads, &rows)
}

fn entry(
    run: &Run,
    row: &Row,
    cell: &Cell<'_>,
    scenario: &str,
    window: Window,
    field: Field,
) -> Markup {
    let text = fields::text(run, row, cell, field);
    let is_told = text.is_some();
    let text = text.as_deref().unwrap_or("–");
    match field {
        Field::Label => html! {
            th scope="row" {
                i class={ "key b" (palette::class(&row.family)) } {}
                a href={ "#" (anchor::trials(run, scenario, &row.label, window)) } { (text) }
            }
        },
        Field::Validity => html! { td.l.why { (text) } },
        Field::Calls if is_told => html! {
            td { a href={ "#" (anchor::pass(run, Pass::SystemCalls, scenario, &row.label)) } { (text) } }
        },
        Field::Unserved => html! { td.differs[is_told] { (text) } },
        Field::Range(_) => html! { td.m { (text) } },
        Field::Figure(_) | Field::Trials | Field::Workers | Field::Calls => {
            html! { td { (text) } }
        }
    }
}

fn left(field: Field) -> bool {
    matches!(field, Field::Label | Field::Validity)
}

fn state_class(state: State) -> Option<&'static str> {
    match state {
        State::Limited => Some("limited"),
        State::Blocks => Some("blocks"),
        State::Invalid | State::NotOffered | State::Missing => Some("gone"),
        State::Valid => None,
    }
}
