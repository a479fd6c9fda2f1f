//! Every trial with its command lines, folded, where the figures lead to.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::anchor;
use crate::cell::{Cell, State};
use crate::data::{Pass, Trial, Validity};
use crate::format;
use crate::metric::Metric;
use crate::run::{Row, Run, Window};
use crate::words;

const METRICS: [(&str, Metric); 9] = [
    ("requests/s", Metric::Throughput),
    ("p50 µs", Metric::P50),
    ("p99 µs", Metric::P99),
    ("p99.9 µs", Metric::P999),
    ("service p99 µs", Metric::ServiceP99),
    ("server CPU µs per request", Metric::ServerCpu),
    ("switches per request", Metric::Switches),
    ("PSS KiB", Metric::Pss),
    ("generator late p99 µs", Metric::Lateness),
];

/// The section, folded by scenario.
pub fn section(run: &Run) -> Markup {
    html! {
        section #trials {
            h2 { "Trials" }
            p.note { "Every window of every trial, with the commands that repeat it. The server's command stands beside its name; the load's command stands above the table, one per block, where it was the same for all servers. Slices of which nothing is to be told share a line, with their medians." }
            @for scenario in &run.scenarios {
                details {
                    summary { (scenario) }
                    @for window in run.windows(scenario) { (of_window(run, scenario, window)) }
                }
            }
            (passes(run))
        }
    }
}

/// The trials of the other passes, folded by pass.
fn passes(run: &Run) -> Markup {
    let titles = [
        (Pass::Capacity, "Capacity searches"),
        (Pass::Memory, "Memory by connections"),
        (Pass::SystemCalls, "System calls"),
    ];
    html! {
        @for (pass, title) in titles {
            @let scenarios = run.scenarios_of(pass);
            @if !scenarios.is_empty() {
                details {
                    summary { (title) }
                    @for scenario in &scenarios {
                        @for row in &run.rows { (pass_group(run, row, scenario, pass)) }
                    }
                }
            }
        }
    }
}

fn pass_group(run: &Run, row: &Row, scenario: &str, pass: Pass) -> Markup {
    let trials: Vec<&Trial> = run.pass(pass, &row.label, scenario).collect();
    if trials.is_empty() {
        return html! {};
    }
    html! {
        div.group id=(anchor::pass(run, pass, scenario, &row.label)) {
            h3 { (row.label) span.m { " · " (scenario) } }
            @for trial in trials {
                @for command in [&trial.server_command, &trial.load_command] {
                    @if !command.is_empty() { code { (command) } }
                }
                p.note { "trial " (trial.id) ", block " (trial.block) ": " (validity(trial))
                    @if !trial.reasons.is_empty() { ": " (trial.reasons.text()) } }
                @if trial.validity != Validity::Invalid { (pass_table(trial)) }
            }
        }
    }
}

/// The raw figures of a pass.
fn pass_table(trial: &Trial) -> Markup {
    let figures = trial.figures.iter();
    let calls: Vec<_> = figures.flat_map(|figures| &figures.system_calls).collect();
    let us = |value: Option<f64>| value.map_or("∞".to_owned(), format::number);
    let kib = |value: Option<u64>| value.map_or("–".to_owned(), |kib| format::number(kib as f64));
    html! {
        @if let Some(capacity) = &trial.capacity {
            div.scroll { table.figures {
                thead { tr { th { "offered/s" } th { "p50 µs" } th { "p99 µs" } th { "errors" } th.l { "objective" } th.l { "validity" } } }
                tbody { @for step in &capacity.steps { tr {
                    td { (format::number(step.rate)) } td { (us(step.p50_us)) } td { (us(step.p99_us)) }
                    td { (format::percent(step.errors_share)) }
                    td.l { @if step.ok { "kept" } @else { "broken" } } td.l { (words::validity_of(step.validity)) }
                } } }
            } }
        }
        @if !trial.memory_steps.is_empty() {
            div.scroll { table.figures {
                thead { tr { th { "connections" } th { "PSS KiB" } th { "RSS KiB" } th { "tasks" } th.l { "held" } } }
                tbody { @for step in &trial.memory_steps { tr {
                    td { (format::number(step.connections as f64)) } td { (kib(step.pss_kib)) } td { (kib(step.rss_kib)) }
                    td { (kib(step.tasks.map(u64::from))) }
                    td.l.why { @if step.held { "yes" } @else { "no: " (step.reason) } }
                } } }
            } }
        }
        @if !calls.is_empty() {
            div.scroll { table.figures {
                thead { tr { th.l { "call" } th { "per request" } } }
                tbody { @for (name, rate) in calls { tr { td.l { (name) } td { (format::number(*rate)) } } } }
            } }
        }
    }
}

fn of_window(run: &Run, scenario: &str, window: Window) -> Markup {
    let cells: Vec<(&Row, Cell<'_>)> = run
        .rows
        .iter()
        .map(|row| (row, run.cell(&row.label, scenario, window)))
        .filter(|(_, cell)| cell.state != State::Missing)
        .collect();
    let loads = loads(&cells);
    html! {
        h3 { (scenario) span.m { " · " (window.describe()) } }
        @for (block, command) in &loads { code { span.m { "block " (block) ": " } (command) } }
        div.scroll {
            table.figures.trials {
                thead { tr {
                    th { "trial" } th { "block" }
                    @for (head, _) in METRICS { th { (head) } }
                    th { "errors" } th.l { "validity" }
                } }
                @for (row, cell) in &cells {
                    tbody id=(anchor::trials(run, scenario, &row.label, window)) {
                        (heading(row, cell, &loads))
                        @let (quiet, others) = quiet(cell);
                        @if !quiet.is_empty() { (medians(&quiet)) }
                        @for trial in others { (line(trial)) }
                    }
                }
            }
        }
    }
}

/// The load of each block: what most servers were given.
fn loads<'a>(cells: &[(&Row, Cell<'a>)]) -> BTreeMap<u32, &'a str> {
    let mut blocks: BTreeMap<u32, BTreeMap<&str, usize>> = BTreeMap::new();
    let trials = cells.iter().flat_map(|(_, cell)| &cell.trials);
    for trial in trials.filter(|trial| !trial.load_command.is_empty()) {
        let commands = blocks.entry(trial.block).or_default();
        *commands.entry(&trial.load_command).or_default() += 1;
    }
    let most = |(block, commands): (u32, BTreeMap<&'a str, usize>)| {
        let (command, _) = commands.into_iter().max_by_key(|(_, count)| *count)?;
        Some((block, command))
    };
    blocks.into_iter().filter_map(most).collect()
}

/// A row's name, with its commands where they are its own.
fn heading(row: &Row, cell: &Cell<'_>, loads: &BTreeMap<u32, &str>) -> Markup {
    let servers = cell.trials.iter().map(|trial| &trial.server_command);
    let is_own = |trial: &&&Trial| loads.get(&trial.block) != Some(&trial.load_command.as_str());
    // Every rotation has arrivals of its own, and its command in trials.ndjson.
    let own = cell.trials.iter().filter(is_own);
    let own = own.filter(|trial| trial.slice.is_none());
    let commands: BTreeSet<&String> = servers
        .chain(own.map(|trial| &trial.load_command))
        .filter(|command| !command.is_empty())
        .collect();
    html! {
        tr {
            th colspan=(METRICS.len() + 4) scope="rowgroup" {
                div { b { (row.label) } @for command in commands { code { (command) } } }
            }
        }
    }
}

/// The slices of which nothing is to be told, and everything else: hundreds of lines that say the same
/// would hide the few that do not.
fn quiet<'a>(cell: &Cell<'a>) -> (Vec<&'a Trial>, Vec<&'a Trial>) {
    let is_quiet = |trial: &&Trial| {
        trial.slice.is_some() && trial.validity == Validity::Valid && trial.reasons.is_empty()
    };
    cell.trials.iter().copied().partition(is_quiet)
}

/// One line for slices of which nothing is to be told.
fn medians(slices: &[&Trial]) -> Markup {
    let figures = || slices.iter().filter_map(|trial| trial.figures.as_ref());
    let middle = |metric: Metric| {
        let values = figures().filter_map(|each| metric.value(each));
        crate::stats::middle(values).map_or("–".to_owned(), format::number)
    };
    let errors: u64 = figures().flat_map(|each| each.errors.values()).sum();
    let blocks: BTreeSet<u32> = slices.iter().map(|trial| trial.block).collect();
    html! {
        tr {
            td { (format::count(slices.len(), "slice")) }
            td { (blocks.len()) }
            @for (_, metric) in METRICS { td { (middle(metric)) } }
            td { (errors) }
            td.l.why { "VALID: medians; each of them is in trials.ndjson" }
        }
    }
}

fn line(trial: &Trial) -> Markup {
    let errors: u64 = trial
        .figures
        .iter()
        .flat_map(|figures| figures.errors.values())
        .sum();
    // An excluded trial's figures appear nowhere, so that they cannot be quoted.
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
            td.l.why { (validity(trial)) @if !trial.reasons.is_empty() { ": " (trial.reasons.text()) } }
        }
    }
}

fn validity(trial: &Trial) -> &'static str {
    if trial.lacks_route() {
        return "not measured";
    }
    words::validity_of(trial.validity)
}
