//! In which order names stand.

/// A sort key: the place of `name` in `known`, or behind it by name.
pub fn place(known: &[&str], name: &str) -> (usize, String) {
    let index = known
        .iter()
        .position(|&each| each == name)
        .unwrap_or(known.len());
    (index, name.to_owned())
}
