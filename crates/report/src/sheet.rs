//! Tables that stand the same in Markdown and HTML: what is measured beside speed.

mod bystanders;
mod capacity;
mod cost;
mod memory;
mod overload;
mod table;

use crate::run::Run;

pub use table::{Entry, Line, Sheet, Tone};

/// Every sheet that the run has figures for.
pub fn all(run: &Run) -> Vec<Sheet> {
    let mut sheets = vec![
        capacity::sheet(run),
        memory::sheet(run),
        cost::system_calls(run),
        cost::fairness(run),
        cost::connections(run),
        cost::drain(run),
        overload::sheet(run),
    ];
    sheets.extend(bystanders::sheets(run));
    // A sheet without a figure is left out, and so is a row without one.
    sheets
        .into_iter()
        .flatten()
        .map(|mut sheet| {
            let has_any = |line: &Line| line.entries.iter().any(|entry| !entry.text.is_empty());
            sheet.lines.retain(has_any);
            sheet
        })
        .filter(|sheet| !sheet.lines.is_empty())
        .collect()
}
