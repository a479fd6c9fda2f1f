//! What was sent beside the requests that are measured: a poisoned request, slow clients, idle
//! connections; and the kinds of a mix.

use super::table::{Entry, Line, Sheet, figure, middle, sample};
use crate::anchor;
use crate::data::Figures;
use crate::format;
use crate::metric::Metric;
use crate::primary;
use crate::run::{Row, Run};
use crate::stats::{Evidence, Spread};

/// One column: its head and where it comes from.
type Column = (&'static str, fn(&Figures) -> Option<u64>);

const POISON: [Column; 3] = [
    ("poison sent", |each| Some(each.poison?.sent)),
    ("answered", |each| Some(each.poison?.answered)),
    ("connections lost", |each| Some(each.poison?.lost)),
];

const SLOW: [Column; 6] = [
    ("senders opened", |each| Some(each.slow?.senders.opened)),
    ("closed by server", |each| {
        Some(each.slow?.senders.closed_by_server)
    }),
    ("open at the end", |each| {
        Some(each.slow?.senders.open_at_end)
    }),
    ("readers opened", |each| Some(each.slow?.readers.opened)),
    ("closed by server", |each| {
        Some(each.slow?.readers.closed_by_server)
    }),
    ("open at the end", |each| {
        Some(each.slow?.readers.open_at_end)
    }),
];

const IDLE: [Column; 4] = [
    ("idle asked", |each| Some(each.idle?.asked)),
    ("opened", |each| Some(each.idle?.opened)),
    ("open at the end", |each| Some(each.idle?.open_at_end)),
    ("closed by server", |each| Some(each.idle?.closed_by_server)),
];

pub fn sheets(run: &Run) -> Vec<Option<Sheet>> {
    vec![
        sheet(
            run,
            "poison",
            "One poisoned request",
            "One request that blocks its worker, in the middle of many good ones, on a connection of its own. The cost is how long the good ones wait for it (p50, p99); lower is better.",
            &POISON,
        ),
        sheet(
            run,
            "slow",
            "Slow clients",
            "Clients that send a request, or read a reply, one byte at a time beside the good ones; a client that the server closes is replaced. p50 and p99 are those of the good requests; lower is better.",
            &SLOW,
        ),
        sheet(
            run,
            "idle",
            "Idle connections",
            "Connections that were served once and then held without a request, beside the active ones. p50 and p99 are those of the active ones; lower is better.",
            &IDLE,
        ),
        kinds(run),
    ]
}

fn sheet(
    run: &Run,
    id: &'static str,
    title: &str,
    note: &str,
    columns: &[Column],
) -> Option<Sheet> {
    let has_any = |figures: &Figures| columns.iter().any(|(_, of)| of(figures).is_some());
    let mut trials = run.trials.iter();
    let scenario = &trials
        .find(|trial| trial.figures.as_ref().is_some_and(has_any))?
        .scenario;
    let window = primary::of(run, scenario, Metric::P99).window;
    let line = |row: &Row| {
        let link = || anchor::trials(run, scenario, &row.label, window);
        let cell = run.cell(&row.label, scenario, window);
        let text = |of: fn(&Figures) -> Option<u64>| {
            let counts = cell.figures().filter_map(of);
            middle(counts.map(|count| count as f64))
        };
        let entries = columns.iter().map(|(_, of)| Entry::of(text(*of), link()));
        let mut entries: Vec<Entry> = entries.collect();
        entries.extend(
            [Metric::P50, Metric::P99].map(|metric| figure(run, row, scenario, window, metric)),
        );
        Line {
            row: row.clone(),
            entries,
        }
    };
    let heads = columns
        .iter()
        .map(|(head, _)| *head)
        .chain(["p50 of the others", "p99 of the others"]);
    Some(Sheet {
        id,
        title: title.to_owned(),
        note: format!(
            "{note} {scenario}, {}; medians, {}.",
            window.describe(),
            sample(run)
        ),
        heads: heads.map(str::to_owned).collect(),
        lines: run.contenders().map(line).collect(),
    })
}

/// The kinds of a mix, p50 and p99 each.
fn kinds(run: &Run) -> Option<Sheet> {
    let mixed = |figures: &Figures| !figures.kinds.is_empty();
    let mut trials = run.trials.iter();
    let example = trials.find(|trial| trial.figures.as_ref().is_some_and(mixed))?;
    let scenario = &example.scenario;
    let kinds = example.figures.iter().flat_map(|each| &each.kinds);
    let names: Vec<&str> = kinds.map(|kind| kind.name.as_str()).collect();
    let window = primary::of(run, scenario, Metric::P99).window;
    let line = |row: &Row| {
        let cell = run.cell(&row.label, scenario, window);
        let entries = names.iter().flat_map(|name| {
            [0.5, 0.99].map(|share| {
                let kinds = cell.figures().flat_map(|each| &each.kinds);
                let kinds = kinds.filter(|kind| kind.name == *name);
                let values = kinds.map(|kind| {
                    let found = if share > 0.9 {
                        kind.response_us.p99
                    } else {
                        kind.response_us.p50
                    };
                    found.unwrap_or(f64::INFINITY)
                });
                let spread = Spread::of(values, Evidence::Ranges);
                let text = spread.map(|spread| format::micros(spread.median));
                Entry::of(text, anchor::trials(run, scenario, &row.label, window))
            })
        });
        Line {
            row: row.clone(),
            entries: entries.collect(),
        }
    };
    Some(Sheet {
        id: "mix",
        title: "The kinds of a mix".to_owned(),
        note: format!(
            "Response time of each kind of request; lower is better. {scenario}, {}; medians, {}.",
            window.describe(),
            sample(run)
        ),
        heads: names
            .iter()
            .flat_map(|name| [format!("{name} p50"), format!("{name} p99")])
            .collect(),
        lines: run.contenders().map(line).collect(),
    })
}
