//! `summary.md`: what a terminal shows, about 150 lines.

use schema::Effect;

use super::envelope;
use super::shared::{bold, heading, headlines, outcome, row};
use super::table::Table;
use super::text::paragraph;
use crate::advice;
use crate::cell::State;
use crate::data::Validity;
use crate::format;
use crate::matrix::{Column, Entry, Matrix, Standing};
use crate::noise;
use crate::run::{Row, Run};
use crate::session::Session;
use crate::sizes;
use crate::speed;
use crate::stats::Evidence;
use crate::words;
use crate::zones;

/// So many columns fit on a terminal.
const COLUMNS_MAX: usize = 5;
/// More placebos and reasons than these are in figures.md.
const LINES_MAX: usize = 12;

pub fn summary(session: &Session) -> String {
    if let Some(alone) = session.envelope_alone() {
        return envelope::summary(alone);
    }
    let (run, matrix) = (&session.run, &session.verdict);
    let mut out = String::new();
    heading(session, &mut out);
    paragraph(&mut out, "## Verdict");
    if matrix.columns.is_empty() {
        paragraph(&mut out, "There is no trial to report.");
        return out;
    }
    if matrix.evidence != Evidence::Figures {
        headlines(matrix, &mut out);
        sizes_of(run, matrix, &mut out);
    }
    paragraph(&mut out, &words::how_to_read(matrix.evidence));
    for columns in matrix.columns.chunks(COLUMNS_MAX) {
        table(matrix, columns).put(&mut out);
    }
    advised(session, &mut out);
    noise_of(run, &mut out);
    if let Some(envelope) = &session.envelope {
        envelope::lines(envelope, &mut out);
    }
    paragraph(
        &mut out,
        "Every table is in figures.md; index.html has the same with plots and every trial.",
    );
    out
}

/// Where the run disagrees with the catalogue, and why.
fn advised(session: &Session, out: &mut String) {
    let found = advice::disagreements(&session.run, &session.verdict);
    if found.is_empty() {
        return;
    }
    paragraph(out, "## Where this run disagrees with the advice");
    for each in found {
        let why = each.why.join(" ");
        out.push_str(&format!("- {}: {} {why}\n", each.scenario, each.said));
    }
    out.push('\n');
}

/// Which size of each server wins.
fn sizes_of(run: &Run, matrix: &Matrix, out: &mut String) {
    for sizes in sizes::of(run, matrix) {
        let name = sizes.name;
        out.push_str(&format!("The sizes of {name} among themselves:\n\n"));
        for (scenario, sentence) in sizes.outcomes {
            out.push_str(&format!("- {scenario}: {}\n", bold(sentence)));
        }
        out.push('\n');
    }
}

/// The default variants and the peers, and what a difference must exceed.
fn table(matrix: &Matrix, columns: &[Column]) -> Table {
    let heads = columns.iter().map(|column| column.scenario.clone());
    let mut table = Table::new(row("model", heads));
    let shown = |(_, each): &(usize, &Row)| !each.is_variant();
    for (index, each) in matrix.rows.iter().enumerate().filter(shown) {
        let of_column = |column: &Column| cell(column, &column.entries[index]);
        table.push(row(&each.label, columns.iter().map(of_column)));
    }
    if matrix.evidence != Evidence::Figures {
        let zone = |column: &Column| format!("±{}", format::percent_of_log(column.zone));
        table.push(row("counts as no difference", columns.iter().map(zone)));
    }
    table
}

/// `1.31× slower`, `1.02× tied`, `1.20× undecided`.
fn cell(column: &Column, entry: &Entry) -> String {
    let ranked = column.entries.iter().any(|entry| entry.place.is_some());
    let Some(place) = entry.place.filter(|_| !entry.overloaded) else {
        let text = outcome(column, entry);
        // A figure that rests on too few trials must not look better than one that is ranked.
        return match (entry.state, entry.peer, entry.overloaded) {
            (State::Valid, None, false) if ranked && entry.spread.is_some() => {
                format!("({})", column.show(entry.spread).unwrap_or(text))
            }
            _ => text,
        };
    };
    let factor = format::factor(place.against_best.log.exp());
    match entry.standing() {
        Some(Standing::Best) => format!("{factor} best"),
        Some(Standing::Tied) => format!("{factor} tied"),
        Some(Standing::Undecided) => match column.unit_s.and(column.time_to_decide(entry)) {
            Some(time) => format!("{factor} undecided, {time}"),
            None => format!("{factor} undecided"),
        },
        Some(Standing::Behind) | None => format!("{factor} #{}", place.tier),
    }
}

fn noise_of(run: &Run, out: &mut String) {
    paragraph(out, "## Noise");
    let differing = match noise::differing(run).as_slice() {
        [] => "One server measured twice was never found to differ from itself.".to_owned(),
        some => format!(
            "One server measured twice differed from itself in {}.",
            some.join(", ")
        ),
    };
    paragraph(out, &differing);
    let wide = zones::too_wide(run);
    if !wide.is_empty() {
        paragraph(
            out,
            "Wider than 3 % (p99: 10 %) is the zone in which differences mean nothing, of:",
        );
        for line in wide {
            out.push_str(&format!("- {line}\n"));
        }
        out.push('\n');
    }
    paragraph(out, &speed::of(run).sentence());
    let mut reasons: Vec<(usize, &str)> = Vec::new();
    for trial in noise::trials(run, Validity::Invalid) {
        let mut excluding = trial.reasons.iter();
        let excluding = excluding.find(|reason| reason.effect == Effect::Invalidates);
        let text = excluding.map_or("no reason is given", |reason| reason.code.text());
        match reasons.iter_mut().find(|(_, known)| *known == text) {
            Some((count, _)) => *count += 1,
            None => reasons.push((1, text)),
        }
    }
    reasons.sort_by(|a, b| b.cmp(a));
    let mut table = Table::new(["excluded", "first reason"]);
    for (count, reason) in reasons.into_iter().take(LINES_MAX) {
        table.push([count.to_string(), reason.to_owned()]);
    }
    table.put(out);
}
