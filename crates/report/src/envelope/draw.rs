//! What the drawings share: rows of models, panels side by side, and words above them.

use super::short::family;
use crate::palette;
use crate::svg::{Anchor, Svg};

/// Width of a drawing; a phone scrolls it sideways.
pub const WIDTH: f64 = 960.0;
/// Where the panels begin: names stand at the left.
pub const LEFT: f64 = 138.0;
/// Where they end.
pub const RIGHT: f64 = 948.0;
/// The space between two of them.
pub const GAP: f64 = 18.0;
/// Height of a model's row.
pub const ROW: f64 = 19.0;

/// Style rules beyond the common ones: a stretch of time, and what went wrong in it.
pub const STYLE: &str = ".both{fill:#e6e9ee}.bad{fill:#c0271f}.stem{stroke-width:1.2;opacity:.55}.hair{stroke-width:1;opacity:.75}\
.mid-line{stroke-width:1.6}@media(prefers-color-scheme:dark){.both{fill:#262d37}.bad{fill:#ff8078}}";

/// A drawing with its heading and lines of explanation.
pub fn begin(title: &str, lines: &[&str], height: f64) -> Svg {
    let mut svg = Svg::new(WIDTH, height, title);
    svg.text(10.0, 20.0, Anchor::Start, "t", title);
    for (at, line) in lines.iter().enumerate() {
        svg.text(10.0, 38.0 + 15.0 * at as f64, Anchor::Start, "m n", line);
    }
    svg
}

/// The left and the right edge of panel `index` of `count`.
pub fn panel(index: usize, count: usize) -> (f64, f64) {
    let width = (RIGHT - LEFT - GAP * (count as f64 - 1.0)) / count as f64;
    let left = LEFT + (width + GAP) * index as f64;
    (left, left + width)
}

/// Writes the name of `model` and gives the height of its row, the `index`th below `top`.
pub fn name(svg: &mut Svg, top: f64, index: usize, model: &str) -> f64 {
    let y = top + ROW * (index as f64 + 0.5);
    let class = format!("n f{}", palette::class(family(model)));
    svg.text(LEFT - 10.0, y + 4.0, Anchor::End, &class, model);
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_fill_the_width_without_touching() {
        for count in 1..=6 {
            let edges: Vec<(f64, f64)> = (0..count).map(|index| panel(index, count)).collect();
            assert!((edges[0].0 - LEFT).abs() < 1e-9);
            assert!((edges[count - 1].1 - RIGHT).abs() < 1e-9);
            assert!(
                edges
                    .windows(2)
                    .all(|two| (two[1].0 - two[0].1 - GAP).abs() < 1e-9)
            );
        }
    }
}
