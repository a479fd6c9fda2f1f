//! The report as Markdown, aligned so that it reads well raw: `summary.md` for a terminal, `figures.md`
//! with every table.

use crate::cell::State;
use crate::figures as fields;
use crate::format;
use crate::matrix::Matrix;
use crate::primary;
use crate::run::Run;
use crate::session::Session;
use crate::sheet::{self, Sheet};
use crate::stats::Evidence;
use crate::words;

mod envelope;
mod noise;
mod shared;
mod summary;
mod table;
mod text;

pub use shared::range;
use shared::{heading, headlines, matrix_cell, row};
pub use summary::summary;
pub use table::Table;
use text::{absent, paragraph};

/// Every table.
pub fn figures(session: &Session) -> String {
    if let Some(alone) = session.envelope_alone() {
        return envelope::page(alone);
    }
    let run = &session.run;
    let mut out = String::new();
    heading(session, &mut out);
    verdict(session, &mut out);
    for scenario in &run.scenarios {
        scenario_tables(run, scenario, &mut out);
    }
    for sheet in sheet::all(run) {
        sheet_table(&sheet, &mut out);
    }
    if let Some(envelope) = &session.envelope {
        envelope::section(envelope, &mut out);
    }
    noise::section(run, &mut out);
    out
}

fn verdict(session: &Session, out: &mut String) {
    let matrix = &session.verdict;
    paragraph(out, "## Verdict");
    if matrix.columns.is_empty() {
        paragraph(out, "There is no trial to report.");
        return;
    }
    paragraph(out, &words::how_to_read(matrix.evidence));
    if matrix.evidence != Evidence::Figures {
        headlines(matrix, out);
    }
    let columns = || matrix.columns.iter();
    let heads = columns().map(|column| column.scenario.clone());
    let mut table = Table::new(row("model", heads));
    for (index, each) in matrix.rows.iter().enumerate() {
        let cells = columns().map(|column| matrix_cell(column, &column.entries[index]));
        table.push(row(&each.label, cells));
    }
    if matrix.evidence != Evidence::Figures {
        controls(matrix, &mut table);
    }
    table.put(out);
    paragraph(out, &primary::rule(&session.run));
}

/// What the matrix may be trusted by: the placebo and the zone.
fn controls(matrix: &Matrix, table: &mut Table) {
    let columns = || matrix.columns.iter();
    let placebos = columns().map(words::placebo);
    table.push(row("the same server twice (A/A)", placebos));
    let zones = columns().map(|column| format!("±{}", format::percent_of_log(column.zone)));
    table.push(row("counts as no difference", zones));
}

fn scenario_tables(run: &Run, scenario: &str, out: &mut String) {
    paragraph(out, &format!("## {scenario}"));
    paragraph(out, &words::scenario(run, scenario));
    for window in run.windows(scenario) {
        paragraph(out, &format!("### {scenario}, {}", window.describe()));
        let columns = fields::columns(run, scenario, Some(window));
        let mut table = Table::new(columns.iter().map(|(head, _)| *head));
        for row in &run.rows {
            let cell = run.cell(&row.label, scenario, window);
            if cell.state != State::Missing {
                let text = |field| fields::text(run, row, &cell, field).unwrap_or_else(absent);
                table.push(columns.iter().map(|(_, field)| text(*field)));
            }
        }
        table.put(out);
        if fields::is_unserved(run, scenario, window) {
            paragraph(out, words::UNSERVED);
        }
    }
}

fn sheet_table(sheet: &Sheet, out: &mut String) {
    paragraph(out, &format!("## {}", sheet.title));
    paragraph(out, &sheet.note);
    let mut table = Table::new(row("model", sheet.heads.iter().cloned()));
    for line in &sheet.lines {
        let text = |entry: &sheet::Entry| match entry.tone {
            sheet::Tone::Best => format!("**{}**", entry.text),
            _ if entry.text.is_empty() => absent(),
            _ => entry.text.clone(),
        };
        table.push(row(&line.row.label, line.entries.iter().map(text)));
    }
    table.put(out);
}
