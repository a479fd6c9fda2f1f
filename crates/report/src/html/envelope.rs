//! What the production envelope costs: a section of a run's page, or a page of its own.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::shell::{SCRIPT, STYLE, head};
use super::tables;
use crate::envelope::{Envelope, Part};
use crate::svg;

/// The heading of the section.
pub const TITLE: &str = "What the production envelope costs";

/// The section.
pub fn section(envelope: &Envelope) -> Markup {
    html! {
        section #envelope {
            h2 { (TITLE) }
            p.note { (envelope.measured()) }
            (notices(envelope))
            @for part in envelope.parts() { (one(&part, true)) }
        }
    }
}

/// The page of a folder that holds nothing else.
pub fn page(envelope: &Envelope, environment: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&envelope.title(), &[STYLE, &svg::style(), &tables::key_rules()]))
            body {
                header {
                    h1 { (envelope.title()) }
                    p.lead { (envelope.measured()) }
                    (notices(envelope))
                }
                main {
                    @for part in envelope.parts() { (one(&part, false)) }
                    (environment)
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

fn notices(envelope: &Envelope) -> Markup {
    let notices = envelope.notices();
    html! {
        @if !notices.is_empty() {
            ul.notices { @for notice in &notices { li { (notice) } } }
        }
    }
}

/// A part, below the heading of the section or as a section of a page.
fn one(part: &Part, below: bool) -> Markup {
    html! {
        div.envelope id=(part.id) {
            @if below { h3 { (part.title) } } @else { h2 { (part.title) } }
            p.means { (part.means) }
            div.scroll { figure { (PreEscaped(part.svg.inline())) } }
            p.note { (part.note) }
            details {
                summary { "Every figure" }
                (part.table.html())
            }
        }
    }
}
