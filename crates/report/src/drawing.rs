//! A drawing, and the name under which it is kept.

use crate::svg::Svg;

/// A drawing with its file name.
#[derive(Debug, Clone)]
pub struct Plot {
    /// File name below `plots/`, without `.svg`.
    pub name: String,
    /// The drawing.
    pub svg: Svg,
    /// Style rules it needs beyond the common ones.
    pub style: &'static str,
}
