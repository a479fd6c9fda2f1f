//! The frame of the plots with one row per model: names at the left, figures at the right, and a
//! logarithmic axis below.

use super::panel::WIDTH;
use crate::palette;
use crate::run::Row;
use crate::scale::Log;
use crate::svg::{Anchor, Svg};

const LEFT: f64 = 132.0;
const RIGHT: f64 = 346.0;
const TOP: f64 = 62.0;
const ROW_HEIGHT: f64 = 22.0;

/// The longest name that has room at the left, in characters.
const NAME_MAX: usize = 18;

/// A name that is too long for one line, parted behind the last space or colon that leaves a first line with
/// room.
fn halves(name: &str) -> Option<(&str, &str)> {
    if name.chars().count() <= NAME_MAX {
        return None;
    }
    let ends = name.char_indices().take(NAME_MAX);
    let end = ends.filter(|(_, c)| matches!(c, ' ' | ':')).last();
    end.map(|(at, _)| name.split_at(at + 1))
}

/// A plot under construction.
pub struct Rows {
    /// The drawing.
    pub svg: Svg,
    /// From values to places.
    pub axis: Log,
    bottom: f64,
}

impl Rows {
    /// A frame for `count` rows of `values` with its heading and two lines of explanation; `title` is
    /// what a screen reader says. `None` when no value can be drawn at all.
    pub fn new(
        (title, heading, lines): (&str, &str, [&str; 2]),
        values: &[f64],
        count: usize,
        tick_text: impl Fn(f64) -> String,
    ) -> Option<Self> {
        let axis = Log::over(values, LEFT + 6.0, RIGHT)?;
        let bottom = TOP + ROW_HEIGHT * count as f64;
        let mut svg = Svg::new(WIDTH, bottom + 42.0, title);
        svg.text(10.0, 20.0, Anchor::Start, "t", heading);
        svg.text(10.0, 36.0, Anchor::Start, "m n", lines[0]);
        svg.text(10.0, 50.0, Anchor::Start, "m n", lines[1]);
        for tick in axis.ticks() {
            let x = axis.at(tick);
            svg.line((x, TOP), (x, bottom), "grid");
            svg.text(x, bottom + 15.0, Anchor::Middle, "m n", &tick_text(tick));
        }
        Some(Self { svg, axis, bottom })
    }

    /// Writes the name of `row`, the `index`th from above, and returns its place.
    pub fn name(&mut self, index: usize, row: &Row) -> f64 {
        let y = TOP + ROW_HEIGHT * (index as f64 + 0.5);
        let class = format!("n f{}", palette::class(&row.family));
        let mut line = |at, text| {
            self.svg.text(LEFT - 8.0, at, Anchor::End, &class, text);
        };
        match halves(&row.label) {
            Some((first, second)) => {
                line(y - 1.0, first);
                line(y + 10.0, second);
            }
            None => line(y + 4.0, &row.label),
        }
        y
    }

    /// Writes a remark instead of a mark.
    pub fn remark(&mut self, y: f64, text: &str) {
        self.svg
            .text(LEFT + 6.0, y + 4.0, Anchor::Start, "m n", text);
    }

    /// Writes the figure of a row.
    pub fn figure(&mut self, y: f64, text: &str) {
        self.svg.text(WIDTH - 6.0, y + 4.0, Anchor::End, "n", text);
    }

    /// Names the axis.
    pub fn finish(mut self, axis: &str) -> Svg {
        let middle = f64::midpoint(LEFT, RIGHT);
        self.svg
            .text(middle, self.bottom + 31.0, Anchor::Middle, "m n", axis);
        self.svg
    }
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn a_long_name_has_two_lines() {
        assert_eq!(halves("gunicorn sync w4"), None);
        assert_eq!(
            halves("gunicorn gthread w2 t16"),
            Some(("gunicorn gthread ", "w2 t16"))
        );
        assert_eq!(
            halves("multi-reactor:thread-per-event"),
            Some(("multi-reactor:", "thread-per-event"))
        );
        assert_eq!(halves("a-name-without-any-place-to-part"), None);
    }
}
