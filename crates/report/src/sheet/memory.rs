//! Memory by connections.

use std::collections::BTreeSet;

use super::table::{Entry, Line, Sheet, Tone};
use crate::anchor;
use crate::data::{MemoryStep, Pass};
use crate::format;
use crate::run::{Row, Run};
use crate::stats::{Evidence, Spread};

pub fn sheet(run: &Run) -> Option<Sheet> {
    let rows: Vec<_> = run
        .contenders()
        .map(|row| (row, run.memory(&row.label)))
        .collect();
    let counts: BTreeSet<u64> = rows
        .iter()
        .flat_map(|(_, steps)| steps.keys().copied())
        .collect();
    let scenario = run.scenarios_of(Pass::Memory).into_iter().next()?;
    let mut heads: Vec<String> = counts
        .iter()
        .map(|count| format!("{} connections", format::number(*count as f64)))
        .collect();
    heads.extend(["per connection".to_owned(), "tasks at most".to_owned()]);
    let line = |(row, steps): &(&Row, std::collections::BTreeMap<u64, Vec<&MemoryStep>>)| {
        let link = anchor::pass(run, Pass::Memory, &scenario, &row.label);
        let mut entries: Vec<Entry> = counts
            .iter()
            .map(|count| {
                steps
                    .get(count)
                    .map_or_else(Entry::default, |steps| entry(steps, &link))
            })
            .collect();
        let held = |count: &u64| Some((*count, pss(steps.get(count)?)?));
        let base = held(&0);
        let most = counts
            .iter()
            .rev()
            .find_map(held)
            .filter(|(count, _)| *count > 0);
        let each = base.zip(most).map(|((_, base), (count, most))| {
            let bytes = (most - base) * 1024.0 / count as f64;
            per_connection(bytes, count)
        });
        entries.push(Entry::of(each, link.clone()));
        let tasks = steps.values().flatten().filter_map(|step| step.tasks).max();
        let tasks = tasks.map(|tasks| format::number(f64::from(tasks)));
        entries.push(Entry::of(tasks, link));
        Line {
            row: (*row).clone(),
            entries,
        }
    };
    Some(Sheet {
        id: "connections",
        title: "Memory by connections".to_owned(),
        note: "Proportional set size (PSS) of the server's process tree, in which pages that processes share count once, with so many connections open, each of which was served once; lower is better. Per connection: the growth from no connection to the most that are held, divided by their number. Median where there are several trials.".to_owned(),
        heads,
        lines: rows.iter().map(line).collect(),
    })
}

fn pss(steps: &[&MemoryStep]) -> Option<f64> {
    let held = steps.iter().filter(|step| step.held);
    let values = held.filter_map(|step| step.pss_kib).map(|kib| kib as f64);
    Some(Spread::of(values, Evidence::Ranges)?.median)
}

fn entry(steps: &[&MemoryStep], link: &str) -> Entry {
    if let Some(kib) = pss(steps) {
        return Entry::new(format::kib(kib), link.to_owned());
    }
    Entry {
        tone: Tone::Blocks,
        ..Entry::new("not held".to_owned(), link.to_owned())
    }
}

/// `312 B at 10,000`.
fn per_connection(bytes: f64, count: u64) -> String {
    let size = if bytes < 1023.5 {
        format!("{bytes:.0} B")
    } else {
        format::kib(bytes / 1024.0)
    };
    format!("{size} (at {})", format::number(count as f64))
}
