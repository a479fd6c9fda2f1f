//! What stands between and in the tables.

/// Appends `text` and an empty line.
pub fn paragraph(out: &mut String, text: &str) {
    out.push_str(text);
    out.push_str("\n\n");
}

/// A cell of which nothing is known.
pub fn absent() -> String {
    "-".to_owned()
}
