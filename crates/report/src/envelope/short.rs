//! Names and figures, made short.

/// The model whose colour a row has.
pub fn family(label: &str) -> &str {
    label.split(':').next().unwrap_or(label)
}

/// A share in whole per cents, for sentences.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The middle of some values.
pub fn middle(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    crate::stats::median(&values)
}
