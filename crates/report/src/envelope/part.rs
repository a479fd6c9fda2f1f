//! A part of the envelope, as it is shown.

use super::table::Table;
use crate::svg::Svg;

/// A heading, a drawing, a table, and what they mean.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its anchor, and the name of its drawing.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it means for a service.
    pub means: String,
    /// How it was measured.
    pub note: String,
    /// The drawing.
    pub svg: Svg,
    /// Every figure.
    pub table: Table,
}
