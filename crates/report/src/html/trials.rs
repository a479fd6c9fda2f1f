//! Every trial with its command lines, folded, where each number leads to.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::anchor;
use crate::cell::State;
use crate::data::{Trial, Validity};
use crate::format;
use crate::metric::Metric;
use crate::run::{Row, Run, Window};

const METRICS: [(&str, Metric); 9] = [
    ("req/s", Metric::Throughput),
    ("p50 µs", Metric::P50),
    ("p99 µs", Metric::P99),
    ("p99.9 µs", Metric::P999),
    ("service p99 µs", Metric::ServiceP99),
    ("server CPU µs/req", Metric::ServerCpu),
    ("switches/req", Metric::Switches),
    ("PSS KiB", Metric::Pss),
    ("late p99 µs", Metric::Lateness),
];

/// The section, folded by scenario.
pub fn section(run: &Run) -> Markup {
    html! {
        section #trials {
            h2 { "Trials" }
            p.note { "Every window of every trial, with the commands that repeat it." }
            @for scenario in &run.scenarios {
                details {
                    summary { (scenario) }
                    @for row in &run.rows {
                        @for window in run.windows(scenario) { (group(run, row, scenario, window)) }
                    }
                }
            }
        }
    }
}

fn group(run: &Run, row: &Row, scenario: &str, window: Window) -> Markup {
    let cell = run.cell(&row.label, scenario, window);
    if cell.state == State::Missing {
        return html! {};
    }
    let commands = |of: fn(&Trial) -> &str| -> BTreeSet<&str> {
        cell.trials
            .iter()
            .map(|trial| of(trial))
            .filter(|text| !text.is_empty())
            .collect()
    };
    html! {
        div.group id=(anchor(scenario, &row.label, window)) {
            h3 { (row.label) span.m { " · " (scenario) ", " (window.describe()) } }
            @for command in commands(|trial| &trial.server_command) { code { (command) } }
            @for command in commands(|trial| &trial.load_command) { code { (command) } }
            div.scroll {
                table.figures {
                    thead { tr {
                        th { "trial" } th { "block" }
                        @for (head, _) in METRICS { th { (head) } }
                        th { "errors" } th.l { "validity" }
                    } }
                    tbody { @for trial in &cell.trials { (line(trial)) } }
                }
            }
        }
    }
}

fn line(trial: &Trial) -> Markup {
    let errors: u64 = trial
        .figures
        .iter()
        .flat_map(|figures| figures.errors.values())
        .sum();
    // An excluded trial's figures appear nowhere, or somebody would quote them.
    let figures = trial
        .figures
        .as_ref()
        .filter(|_| trial.validity != Validity::Invalid);
    html! {
        tr {
            td { (trial.id) }
            td { (trial.block) }
            @for (_, metric) in METRICS {
                td { (figures.and_then(|each| metric.value(each)).map_or("–".to_owned(), format::number)) }
            }
            td { (errors) }
            td.l.why { (validity(trial.validity)) @if !trial.reasons.is_empty() { ": " (trial.reasons.join("; ")) } }
        }
    }
}

fn validity(validity: Validity) -> &'static str {
    match validity {
        Validity::Valid => "VALID",
        Validity::Limited => "LIMITED",
        Validity::Invalid => "INVALID",
        Validity::Blocks => "BLOCKS",
    }
}
