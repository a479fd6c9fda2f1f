//! The verdict matrix, its key, and its outcome in words.

use maud::{Markup, html};

use super::anchor;
use crate::cell::State;
use crate::format;
use crate::matrix::{Column, Entry, Matrix};
use crate::run::Row;
use crate::stats::{Evidence, Ranked};
use crate::words;

/// The matrix as a table: models by scenarios.
pub fn table(matrix: &Matrix) -> Markup {
    html! {
        div.scroll {
            table.matrix {
                thead {
                    tr {
                        th.corner { span.visually-hidden { "model" } }
                        @for column in &matrix.columns {
                            th scope="col" {
                                (column.scenario)
                                span.by { (column.choice.metric.name()) br; (column.choice.window.describe()) }
                            }
                        }
                    }
                }
                tbody {
                    @for (index, row) in matrix.rows.iter().enumerate() {
                        tr {
                            th scope="row" { (row.label) }
                            @for column in &matrix.columns { (cell(column, row, &column.entries[index])) }
                        }
                    }
                }
                @if matrix.evidence != Evidence::Figures { (controls(matrix)) }
            }
        }
    }
}

/// What the matrix may be trusted by: the placebo and the zone.
fn controls(matrix: &Matrix) -> Markup {
    html! {
        tfoot {
            tr {
                th scope="row" { "same server twice (A/A)" }
                @for column in &matrix.columns {
                    @let differs = column.placebo.as_ref().is_some_and(|placebo| placebo.differs);
                    td.differs[differs] { (words::placebo(column)) }
                }
            }
            tr {
                th scope="row" { "counts as no difference" }
                @for column in &matrix.columns { td { "±" (format::percent_of_log(column.zone)) } }
            }
        }
    }
}

fn cell(column: &Column, row: &Row, entry: &Entry) -> Markup {
    let metric = column.choice.metric;
    let link = format!(
        "#{}",
        anchor(&column.scenario, &row.label, column.choice.window)
    );
    let figure = entry.spread.map(|spread| metric.show(spread.median));
    let hover = hover(column, row, entry);
    let body = match (entry.state, entry.place, &figure) {
        (State::Valid, Some(place), Some(figure)) => ranked(entry, &place, figure),
        (State::Valid, None, Some(_)) if entry.overloaded => overloaded(entry),
        (State::Valid, None, Some(figure)) => html! { b { (figure) } },
        (State::Limited, _, Some(figure)) => {
            html! { b { (words::bound(metric, figure)) } span.iv { "generator-bound" } }
        }
        (state, _, _) => html! { span.iv { (words::state(state)) } },
    };
    let class = match (entry.state, entry.place) {
        (State::Valid, Some(place)) => format!("tier{}", place.tier.min(3)),
        (State::Limited, _) => "limited".to_owned(),
        (State::Blocks, _) => "blocks".to_owned(),
        _ => "plain".to_owned(),
    };
    html! {
        td class=(class) {
            @if entry.trials == 0 { (body) } @else { a href=(link) title=(hover) { (body) } }
        }
    }
}

fn ranked(entry: &Entry, place: &Ranked, figure: &str) -> Markup {
    let tier = html! { i.tier title={ "tier " (place.tier) } { (place.tier) } };
    if entry.overloaded {
        return html! { (tier) (overloaded(entry)) };
    }
    html! {
        (tier)
        b { @if !entry.mark().is_empty() { (entry.mark()) " " } (format::factor(place.against_best.log.exp())) }
        @match entry.interval().filter(|_| !place.best) {
            Some(interval) => { span.iv { (interval) } span.fig { (figure) } }
            None => {
                span.iv { "best · " (figure) }
                @if let Some(own) = entry.interval() { span.fig { (own) } }
            }
        }
    }
}

fn overloaded(entry: &Entry) -> Markup {
    html! { b.word { "overloaded" } span.iv { (words::answered(entry)) } }
}

/// What a cell says on hovering: the figure, its spread, the sample and the reasons.
fn hover(column: &Column, row: &Row, entry: &Entry) -> String {
    let mut text = format!("{} in {}: ", row.label, column.scenario);
    match entry.spread {
        Some(spread) => {
            let metric = column.choice.metric;
            text.push_str(&format!(
                "{} {} ({}–{}), n = {}",
                metric.name(),
                metric.show(spread.median),
                metric.show(spread.low),
                metric.show(spread.high),
                spread.n
            ));
        }
        None => text.push_str(words::state(entry.state)),
    }
    if let Some(place) = entry.place.filter(|place| !place.best) {
        text.push_str(&format!(
            ", against the best: {}",
            place.against_best.verdict.words()
        ));
    }
    if !entry.reasons.is_empty() {
        text.push_str(&format!(". {}", entry.reasons.join("; ")));
    }
    text
}

/// How to read the cells.
pub fn key(evidence: Evidence) -> Markup {
    html! {
        ul.key {
            @if evidence == Evidence::Figures {
                li { span.swatch.plain { "5 µs" } " the figure itself: too few blocks to rank" }
            } @else {
                li { span.swatch.tier1 { "1.00×" } " best of its column, or not told apart from it" }
                li { b { "=" } " equivalent to the best" }
                li { b { "≈" } " too close to call" }
                li { span.swatch.tier2 { "1.50×" } span.swatch.tier3 { "3.00×" } " worse: lower tiers, numbered; 2.00× is twice as bad" }
            }
            li { span.swatch.limited { "≥" } " generator-bound: a bound, never ranked" }
            li { span.swatch.blocks { "–" } " blocks by design" }
        }
        p.note { (words::how_to_read(evidence)) " Every cell leads to its trials." }
    }
}

/// Who won which scenario, in words.
pub fn headlines(matrix: &Matrix) -> Markup {
    if matrix.evidence == Evidence::Figures {
        return html! {};
    }
    html! {
        ul.headlines {
            @for column in &matrix.columns {
                @let headline = column.headline(&matrix.rows);
                @let rest = headline.rest(column.choice.metric);
                li {
                    span.what { (column.scenario) }
                    b { (headline.leaders().as_deref().unwrap_or("nothing ranked")) }
                    @if !rest.is_empty() { span.rest { (rest) } }
                }
            }
        }
    }
}
