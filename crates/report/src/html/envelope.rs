//! What the production envelope costs: a section of a run's page, or a page of its own.

use maud::{Markup, PreEscaped, html};

use super::shell::{self, notices};
use crate::envelope::{Envelope, Part};

/// The heading of the section.
pub const TITLE: &str = "What the production envelope costs";

pub fn section(envelope: &Envelope) -> Markup {
    html! {
        section #envelope {
            h2 { (TITLE) }
            p.note { (envelope.measured()) }
            (notices(&envelope.notices()))
            @for part in envelope.parts() { (one(&part, true)) }
        }
    }
}

/// The page of a folder that holds nothing else.
pub fn page(envelope: &Envelope, environment: &Markup) -> String {
    let lead = html! {
        p.lead { (envelope.measured()) }
        (notices(&envelope.notices()))
    };
    let contents = html! {
        @for part in envelope.parts() { (one(&part, false)) }
        (environment)
    };
    shell::page(&envelope.title(), &lead, &contents)
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
