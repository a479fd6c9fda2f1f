//! The verdict matrix, its key, and its outcome in words.

use maud::{Markup, html};

use crate::anchor;
use crate::cell::State;
use crate::format;
use crate::matrix::{Column, Entry, Matrix, Shade};
use crate::palette;
use crate::run::{Row, Run};
use crate::sizes::Sizes;
use crate::stats::{Evidence, Ranked};
use crate::words;

/// More rows than these, and variants fold away.
const ROWS_MAX: usize = 16;

/// Longer names, such as those of other people's servers with their sizes, get a wider column.
const NAME_CHARS: usize = 18;

/// The matrix as a table: models by scenarios. `id` is for its switch.
pub fn table(run: &Run, matrix: &Matrix, id: &str) -> Markup {
    let variants = matrix.rows.iter().filter(|row| row.is_variant()).count();
    let folds = matrix.rows.len() > ROWS_MAX && variants > 0;
    let columns = matrix.columns.len();
    let longest = matrix.rows.iter().map(|row| row.label.chars().count());
    let long = longest.max() > Some(NAME_CHARS);
    html! {
        div.board {
        @if folds {
            input.fold type="checkbox" id={ "fold-" (id) };
            label.fold for={ "fold-" (id) } { "Show all " (variants) " variants" }
        }
        div.scroll tabindex="0" role="region" aria-label="models by scenarios" {
            table.matrix.long[long] style={ "--columns:" (columns) } {
                thead {
                    tr {
                        th.corner { span.visually-hidden { "model" } }
                        @for column in &matrix.columns {
                            th scope="col" title=(words::means(run, &column.scenario)) {
                                (column.scenario)
                                span.by { (column.choice.metric.name()) br; (column.choice.window.describe()) }
                            }
                        }
                    }
                    @if matrix.evidence != Evidence::Figures {
                        tr.outcome {
                            th.corner scope="row" { "best, and by how much" }
                            @for column in &matrix.columns { td { (won(column, &matrix.rows)) } }
                        }
                    }
                }
                tbody {
                    @for (index, row) in matrix.rows.iter().enumerate() {
                        @let folded = folds && row.is_variant() && !leads(matrix, index);
                        tr.variant[row.is_variant()].peer[row.is_peer()].folded[folded] {
                            th scope="row" {
                                i class={ "key b" (palette::class(&row.family)) } {}
                                (name(row))
                                @if row.is_peer() { span.family { "peer of " (row.family) } }
                            }
                            @for column in &matrix.columns { (cell(run, column, row, &column.entries[index])) }
                        }
                    }
                }
                @if matrix.evidence != Evidence::Figures { (controls(matrix)) }
            }
        }
        }
    }
}

/// `proactor, wins; next +8–14 %`, or `proactor, ≈ 3 more, next +8–14 %`, above a column.
fn won(column: &Column, rows: &[Row]) -> Markup {
    let headline = column.headline(rows);
    let metric = column.choice.metric;
    let tied = headline.equivalent.len() + headline.too_close.len();
    html! {
        @if let Some(best) = &headline.best {
            span.won { (best) }
            span.by {
                @if tied > 0 {
                    "≈ " (tied) " more"
                    @if let Some(margin) = headline.margin(metric) { br; "next " (margin) }
                }
                @else if let Some(margin) = headline.margin(metric) { "wins; next " (margin) }
                @else { "wins" }
            }
        }
    }
}

/// `true` for what is the best of some column: it is shown whatever is folded.
fn leads(matrix: &Matrix, index: usize) -> bool {
    let best = |column: &Column| column.entries[index].place.is_some_and(|place| place.best);
    matrix.columns.iter().any(best)
}

/// `prefork:flock` with room to break the line.
fn name(row: &Row) -> Markup {
    match row.label.split_once(':') {
        Some((model, variant)) => html! { (model) ":" wbr; (variant) },
        None => html! { (row.label) },
    }
}

/// What the matrix may be trusted by: the placebo and the zone.
fn controls(matrix: &Matrix) -> Markup {
    html! {
        tfoot {
            tr {
                th scope="row" { "the same server twice (A/A)" }
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

fn cell(run: &Run, column: &Column, row: &Row, entry: &Entry) -> Markup {
    let metric = column.choice.metric;
    let trials = anchor::trials(run, &column.scenario, &row.label, column.choice.window);
    let figure = column.show(entry.spread);
    let hover = hover(column, row, entry);
    let body = match (entry.state, entry.place, &figure) {
        (State::Valid, Some(place), Some(figure)) => ranked(column, entry, &place, figure),
        (State::Valid, None, Some(figure)) if entry.peer.is_some() => peer(entry, figure),
        (State::Valid, None, Some(_)) if entry.overloaded => overloaded(entry),
        (State::Valid, None, Some(figure)) => html! {
            @if is_ranked(column) { b.few { "(" (figure) ")" } span.iv { (unranked(entry)) } }
            @else {
                b { (figure) }
                @if let Some(range) = crate::markdown::range(column, entry.spread) { span.iv { (range) } }
            }
        },
        (State::Limited, _, Some(figure)) => {
            html! {
                b { (words::bound(metric, figure)) }
                @if entry.unserved.is_none() { span.iv { "generator-bound" } }
            }
        }
        (State::Invalid, _, _) if entry.disturbed.is_some() => disturbed(column, entry),
        (state, _, _) => html! { span.iv { (words::state(state)) } },
    };
    let body = html! {
        (body)
        @if let Some(unserved) = entry.unserved { span.unserved { (words::unserved(unserved)) } }
    };
    let class = match (entry.state, entry.place) {
        (State::Valid, Some(place)) if place.best => "tier1 best",
        (State::Valid, Some(_)) => match entry.shade() {
            Some(Shade::Tied) => "tier1",
            Some(Shade::Undecided) => "open",
            Some(Shade::Second) => "tier2",
            Some(Shade::Third) => "tier3",
            None => "plain",
        },
        (State::Limited, _) => "limited",
        (State::Blocks, _) => "blocks",
        (State::Missing | State::Invalid | State::NotOffered, _) => "none",
        _ => "plain",
    };
    html! {
        td class=(class) {
            @if entry.trials == 0 { (body) } @else { a href={ "#" (trials) } title=(hover) { (body) } }
        }
    }
}

/// What the machine or the generator has disturbed: shown as such, and never ranked.
fn disturbed(column: &Column, entry: &Entry) -> Markup {
    let figure = column.show(entry.disturbed);
    html! {
        b.few { "(" (figure.unwrap_or_default()) ")" }
        @if let Some(range) = crate::markdown::range(column, entry.disturbed) { span.iv { (range) } }
        span.iv { "disturbed" }
    }
}

fn ranked(column: &Column, entry: &Entry, place: &Ranked, figure: &str) -> Markup {
    let tier = html! { i.tier { (place.tier) } };
    if entry.overloaded {
        return html! { (tier) (overloaded(entry)) };
    }
    html! {
        (tier)
        b { (format::factor(place.against_best.log.exp())) }
        @match entry.interval().filter(|_| !place.best) {
            Some(interval) => {
                span.iv { (interval) }
                @if let Some(time) = column.time_to_decide(entry) { span.iv { (time) } }
                span.fig { (figure) }
            }
            None => {
                span.iv { span.wide { "best · " } (figure) }
                @if let Some(own) = entry.interval() { span.fig { (own) } }
            }
        }
    }
}

/// `true` where something of the column is ranked.
fn is_ranked(column: &Column) -> bool {
    column.entries.iter().any(|entry| entry.place.is_some())
}

/// Why an entry with a figure has no place in a ranked column: `1 of 3 trials, not ranked`.
fn unranked(entry: &Entry) -> String {
    let valid = entry.spread.map_or(0, |spread| spread.n);
    format!("{valid} of {} trials, not ranked", entry.trials)
}

/// A peer against the best model: outlined, without a tier.
fn peer(entry: &Entry, figure: &str) -> Markup {
    if entry.overloaded {
        return overloaded(entry);
    }
    html! {
        b { (entry.peer.map_or_else(String::new, |each| format::factor(each.log.exp()))) }
        @if let Some(interval) = entry.interval() { span.iv { (interval) } }
        span.fig { (figure) }
    }
}

fn overloaded(entry: &Entry) -> Markup {
    html! { b.word { "overloaded" } span.iv { (words::answered(entry)) } }
}

/// What a cell says on hovering beside its row and column: the figure, its spread, the sample, the
/// verdict and the reasons.
fn hover(column: &Column, row: &Row, entry: &Entry) -> String {
    let mut text = format!("{}, {}: ", row.label, column.scenario);
    match entry.spread {
        Some(spread) => {
            let metric = column.choice.metric;
            text.push_str(&format::spread(spread, |each| metric.show(each)));
        }
        None => text.push_str(words::state(entry.state)),
    }
    if let Some(place) = entry.place {
        text.push_str(&format!(", tier {}", place.tier));
    }
    let behind = entry.place.filter(|place| !place.best);
    let against = behind.map(|place| place.against_best);
    if let Some(against) = against.or(entry.peer) {
        let verdict = against.verdict.words();
        text.push_str(&format!(", compared with the best model: {verdict}"));
    }
    if let Some(unserved) = entry.unserved {
        text.push_str(&format!(". Connections: {}", words::unserved(unserved)));
    }
    if !entry.reasons.is_empty() {
        text.push_str(&format!(". {}", entry.reasons.join("; ")));
    }
    text
}

/// How to read the cells.
pub fn key(matrix: &Matrix) -> Markup {
    let (evidence, peers) = (matrix.evidence, matrix.rows.iter().any(Row::is_peer));
    let tied = format::percent_of_log(matrix.tied_within());
    html! {
        ul.key {
            @if evidence == Evidence::Figures {
                li { span.swatch.plain { "5 µs" } " the figure itself, because there are too few blocks to rank" }
            } @else {
                li { span.swatch.tier1.best { "1.00×" } " best of its column" }
                li { span.swatch.tier1 { "1.04×" } " tied: at most " (tied) " worse, with its whole interval" }
                li { span.swatch.open { "1.20×" } " undecided, with how much longer it would take to decide (or with how many blocks in all)" }
                li { "(5 µs) too few valid trials to rank" }
                li { span.swatch.tier2 { "1.50×" } span.swatch.tier3 { "3.00×" } " worse, in a lower tier; 2.00× is twice as bad" }
            }
            li { span.swatch.limited { "≥" } " the generator was the limit: a bound, never ranked" }
            @if matrix.columns.iter().flat_map(|column| &column.entries).any(|entry| entry.disturbed.is_some()) {
                li { "(5 µs) disturbed: others used the CPUs, or the generator was late, in every window" }
            }
            li { span.swatch.blocks { "–" } " the model cannot do this, by design" }
            @if peers { li { span.swatch.peer { "1.20×" } " a peer, compared with the best model, never ranked" } }
        }
        p.note { (words::how_to_read(evidence)) " Every cell links to its trials." }
    }
}

/// What each scenario means for a service, and who won it, in a sentence each.
pub fn headlines(run: &Run, matrix: &Matrix) -> Markup {
    let ranked = matrix.evidence != Evidence::Figures;
    html! {
        ul.headlines {
            @for column in &matrix.columns {
                @let headline = column.headline(&matrix.rows);
                li {
                    a.what href={ "#" (anchor::deciding(&column.scenario)) } { (column.scenario) }
                    span.means { (words::means(run, &column.scenario)) }
                    @if ranked {
                        span.said {
                            @for (bold, text) in headline.sentence(column.choice.metric) {
                                @if bold { b { (text) } } @else { (text) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Which size of each server wins, in a sentence for each scenario.
pub fn sizes(all: &[Sizes]) -> Markup {
    html! {
        @for sizes in all {
            div.sizes {
                p.note { "The sizes of " b { (sizes.name) } " among themselves" }
                ul.headlines {
                    @for (scenario, sentence) in &sizes.outcomes {
                        li {
                            a.what href={ "#" (anchor::deciding(scenario)) } { (scenario) }
                            span.said {
                                @for (bold, text) in sentence {
                                    @if *bold { b { (text) } } @else { (text) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
