//! Names and figures, made short.

/// The model whose colour a row has.
pub fn family(label: &str) -> &str {
    label.split(':').next().unwrap_or(label)
}

/// A share in whole per cents, for sentences.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
