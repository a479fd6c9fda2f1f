//! The sheets as HTML tables.

use maud::{Markup, html};

use crate::html_table::by_model;
use crate::palette;
use crate::sheet::{Entry, Line, Sheet, Tone};

/// One section per sheet.
pub fn sections(sheets: &[Sheet]) -> Markup {
    html! {
        @for sheet in sheets {
            section id=(sheet.id) {
                h2 { (sheet.title) }
                p.note { (sheet.note) }
                (by_model(&sheet.heads, &html! { @for line in &sheet.lines { (row(line)) } }))
            }
        }
    }
}

fn row(line: &Line) -> Markup {
    html! {
        tr.variant[line.row.is_variant()].peer[line.row.is_peer()] {
            th scope="row" { i class={ "key b" (palette::class(&line.row.family)) } {} (line.row.label) }
            @for entry in &line.entries { (cell(entry)) }
        }
    }
}

fn cell(entry: &Entry) -> Markup {
    let class = match entry.tone {
        Tone::Plain => None,
        Tone::Best => Some("best"),
        Tone::Limited => Some("bound"),
        Tone::Blocks => Some("soft"),
    };
    html! {
        td class=[class] {
            @if entry.text.is_empty() { "–" }
            @else if let Some(link) = &entry.link { a href={ "#" (link) } { (entry.text) } }
            @else { (entry.text) }
        }
    }
}
