//! The speed of the machine: the null server's cost in every rotation, and its levels.

use crate::format;
use crate::palette::{self, Mark};
use crate::session::Session;
use crate::speed;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 720.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 150.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 712.0;
/// A strip that shows less would make noise look like change, a logarithm.
const REACH_MIN: f64 = 0.1;
/// Fewer rotations are no strip.
const POINTS_MIN: usize = 12;

/// The strip; `None` where few rotations were measured.
pub fn draw(session: &Session) -> Option<Svg> {
    let speed = speed::of(&session.run);
    if speed.points.len() < POINTS_MIN {
        return None;
    }
    let mut svg = Svg::new(WIDTH, BOTTOM + 34.0, "speed of the machine");
    svg.text(10.0, 20.0, Anchor::Start, "t", "Speed of the machine");
    let note = "the null server's CPU per request in every rotation, from its median; higher is a slower machine";
    svg.text(10.0, 38.0, Anchor::Start, "m n", note);
    // A wild rotation lies on the edge, so that the others are told apart.
    let mut sizes: Vec<f64> = speed.points.iter().map(|point| point.log.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let reach = sizes[(sizes.len() - 1) * 98 / 100].max(REACH_MIN) * 1.1;
    let last = (speed.points.len() - 1) as f64;
    let x = |place: usize| LEFT + (RIGHT - LEFT) * place as f64 / last;
    let middle = TOP.midpoint(BOTTOM);
    let y = |log: f64| middle - (BOTTOM - TOP) / 2.0 * (log / reach).clamp(-1.0, 1.0);
    for log in [-reach / 1.1, 0.0, reach / 1.1] {
        svg.line((LEFT, y(log)), (RIGHT, y(log)), "grid");
        let text = format::factor(log.exp());
        svg.text(LEFT - 6.0, y(log) + 4.0, Anchor::End, "m n", &text);
    }
    let class = palette::class("null");
    for (place, point) in speed.points.iter().enumerate() {
        let at = point
            .at_s
            .map_or(String::new(), |s| format!("after {}: ", format::clock(s)));
        let hover = format!("{at}{}", format::factor(point.log.exp()));
        svg.mark((x(place), y(point.log)), Mark::Circle, true, class, &hover);
    }
    for level in &speed.levels {
        let (from, to) = (x(level.first), x(level.end - 1));
        svg.line((from, y(level.middle)), (to, y(level.middle)), "objective");
    }
    svg.text(LEFT, BOTTOM + 22.0, Anchor::Start, "m n", "first rotation");
    svg.text(RIGHT, BOTTOM + 22.0, Anchor::End, "m n", "last rotation");
    Some(svg)
}
