//! What the production envelope costs, as Markdown.

use super::text::paragraph;
use crate::envelope::Envelope;

/// The section of `figures.md`: sentences and tables.
pub fn section(envelope: &Envelope, out: &mut String) {
    paragraph(out, "## What the production envelope costs");
    paragraph(out, &envelope.measured());
    body(envelope, out);
}

/// `figures.md` of a folder that holds nothing else.
pub fn page(envelope: &Envelope) -> String {
    let mut out = String::new();
    paragraph(&mut out, &format!("# {}", envelope.title()));
    paragraph(&mut out, &envelope.measured());
    body(envelope, &mut out);
    out
}

fn body(envelope: &Envelope, out: &mut String) {
    for notice in envelope.notices() {
        paragraph(out, &format!("> {notice}"));
    }
    for part in envelope.parts() {
        paragraph(out, &format!("### {}", part.title));
        paragraph(out, &part.means);
        paragraph(out, &part.note);
        paragraph(out, part.table.markdown().trim_end());
    }
}

/// What `summary.md` says of it: a line per part.
pub fn lines(envelope: &Envelope, out: &mut String) {
    paragraph(out, "## What the production envelope costs");
    if let Some(first) = envelope.notices().first() {
        paragraph(out, &format!("> {first}"));
    }
    for part in envelope.parts() {
        out.push_str(&format!("- {}: {}\n", part.title, part.means));
    }
    out.push('\n');
}

/// `summary.md` of a folder that holds nothing else.
pub fn summary(envelope: &Envelope) -> String {
    let mut out = String::new();
    paragraph(&mut out, &format!("# {}", envelope.title()));
    paragraph(&mut out, &envelope.measured());
    lines(envelope, &mut out);
    paragraph(
        &mut out,
        "Every table is in figures.md; index.html has the same with plots.",
    );
    out
}
