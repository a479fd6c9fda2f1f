//! The frame that the latency plots share: a logarithmic axis upwards, labels at the lines' ends,
//! a gutter for what never came, and a note of what is not drawn.

use crate::cell::State;
use crate::data::Objective;
use crate::format;
use crate::metric::Metric;
use crate::palette;
use crate::run::{Row, Run, Window};
use crate::scale::{Log, apart, is_drawn};
use crate::session::Session;
use crate::stats::{Evidence, Spread};
use crate::svg::{Anchor, Svg};
use crate::words;

/// Width of every panel; a phone shows it almost at full size.
pub const WIDTH: f64 = 440.0;
/// Left edge of the plotting area.
pub const LEFT: f64 = 54.0;
/// Right edge of the plotting area; labels stand beyond.
pub const RIGHT: f64 = 316.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 268.0;
const LINE_HEIGHT: f64 = 14.0;

/// One value to draw.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Place from the left.
    pub x: f64,
    /// Value over trials.
    pub spread: Spread,
    /// `true` for a bound.
    pub limited: bool,
}

/// The figure of one row in one window, with `true` when it is only a bound; `None` where there is
/// nothing to draw.
pub fn figure(
    run: &Run,
    row: &Row,
    scenario: &str,
    window: Window,
    metric: Metric,
) -> Option<(Spread, bool)> {
    let cell = run.cell(&row.label, scenario, window);
    let spread = cell.spread(metric, Evidence::of(run.blocks))?;
    Some((spread, cell.state_for(metric) == State::Limited))
}

/// A value as text.
pub type Text = fn(f64) -> String;

/// A panel under construction.
pub struct Panel {
    /// The drawing.
    pub svg: Svg,
    axis: Log,
    gutter: bool,
    ends: Vec<End>,
    show: Text,
}

struct End {
    at: (f64, f64),
    label: String,
    class: &'static str,
}

impl Panel {
    /// A panel for `values` with its title and two lines of explanation; `None` when no value can
    /// be drawn at all.
    pub fn new(title: &str, lines: [&str; 2], values: &[f64]) -> Option<Self> {
        Self::of(title, lines, values, (format::micros_round, format::micros))
    }

    /// The same for values in another unit: how ticks are written, and how figures are.
    pub fn of(
        title: &str,
        lines: [&str; 2],
        values: &[f64],
        (tick_text, show): (Text, Text),
    ) -> Option<Self> {
        let gutter = values.iter().any(|value| !is_drawn(*value));
        let top = if gutter { TOP + 24.0 } else { TOP };
        let axis = Log::over(values, BOTTOM, top)?;
        let mut svg = Svg::new(WIDTH, 300.0, &format!("{title}: {}", lines[0]));
        svg.text(10.0, 20.0, Anchor::Start, "t", title);
        svg.text(10.0, 36.0, Anchor::Start, "m n", lines[0]);
        svg.text(10.0, 50.0, Anchor::Start, "m n", lines[1]);
        for tick in axis.ticks() {
            let y = axis.at(tick);
            svg.line((LEFT, y), (RIGHT, y), "grid");
            svg.text(LEFT - 6.0, y + 4.0, Anchor::End, "m n", &tick_text(tick));
        }
        if gutter {
            svg.line((LEFT, TOP + 6.0), (RIGHT, TOP + 6.0), "axis l dot");
            svg.text(LEFT - 6.0, TOP + 10.0, Anchor::End, "m", "∞");
        }
        svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis");
        Some(Self {
            svg,
            axis,
            gutter,
            ends: Vec::new(),
            show,
        })
    }

    /// Draws the objective, where there is one.
    pub fn objective(&mut self, objective: Option<Objective>) {
        let Some(objective) = objective else {
            return;
        };
        let value = objective.p99_us;
        let y = self.y(value);
        // At the upper edge the text goes below the line, or it would run into the heading.
        let baseline = if y < TOP + 14.0 { y + 13.0 } else { y - 4.0 };
        self.svg.line((LEFT, y), (RIGHT, y), "objective");
        let text = format!("objective: {} ≤ {}", objective.name(), (self.show)(value));
        let at = (LEFT + 4.0, baseline);
        self.svg
            .text(at.0, at.1, Anchor::Start, "n objective-text", &text);
    }

    /// A change of the load at `x`, named.
    pub fn boundary(&mut self, x: f64, name: &str) {
        self.svg.line((x, TOP), (x, BOTTOM), "grid");
        self.svg
            .text(x + 4.0, BOTTOM - 5.0, Anchor::Start, "m n", name);
    }

    /// A tick of the axis below.
    pub fn tick(&mut self, x: f64, label: &str) {
        self.svg.line((x, BOTTOM), (x, BOTTOM + 4.0), "axis");
        self.svg
            .text(x, BOTTOM + 17.0, Anchor::Middle, "m n", label);
    }

    fn y(&self, value: f64) -> f64 {
        if self.gutter && !is_drawn(value) {
            TOP + 6.0
        } else {
            self.axis.at(value)
        }
    }

    /// Draws a row's points, joined by a line: dashed for what is no model's default variant, or
    /// dotted; with bars for their spread.
    pub fn series(&mut self, row: &Row, points: &[Point], dotted: bool, bars: bool) {
        let line = match (dotted, row.is_aside()) {
            (true, _) => "dot",
            (false, true) => "dash",
            (false, false) => "",
        };
        let class = palette::class(&row.family);
        let hollow = row.is_aside();
        let places: Vec<(f64, f64)> = points
            .iter()
            .map(|point| (point.x, self.y(point.spread.median)))
            .collect();
        self.svg.path(&places, &format!("{line} s{class}"));
        for (point, place) in points.iter().zip(&places) {
            let spread = point.spread;
            if bars && spread.n > 1 {
                let (low, high) = (self.y(spread.low), self.y(spread.high));
                self.svg
                    .line((point.x, low), (point.x, high), &format!("bar s{class}"));
            }
            let limited = if point.limited { ", LIMITED" } else { "" };
            let figure = format::spread(spread, self.show);
            let hover = format!("{}: {figure}{limited}", row.label);
            if bars || point.limited {
                let mark = palette::of(&row.family).mark;
                self.svg
                    .mark(*place, mark, hollow || point.limited, class, &hover);
            }
        }
    }

    /// Labels the last of `points`.
    pub fn end(&mut self, row: &Row, points: &[Point]) {
        let Some(point) = points.last() else {
            return;
        };
        let limited = if point.limited { " LIMITED" } else { "" };
        self.ends.push(End {
            at: (point.x, self.y(point.spread.median)),
            label: format!("{}{limited}", row.label),
            class: palette::class(&row.family),
        });
    }

    /// Sets the labels and writes `notes` below.
    pub fn finish(mut self, axis: &str, notes: &[String]) -> Svg {
        let wanted: Vec<f64> = self.ends.iter().map(|end| end.at.1).collect();
        // Many labels stand closer together, and can still be read.
        let room = (BOTTOM + 16.0 - TOP) / wanted.len().max(1) as f64;
        let places = apart(&wanted, room.min(LINE_HEIGHT), TOP + 2.0, BOTTOM + 18.0);
        for (end, y) in self.ends.iter().zip(places) {
            let x = RIGHT + 12.0;
            let way = [(end.at.0 + 5.0, end.at.1), (RIGHT + 2.0, end.at.1), (x, y)];
            let (line, text) = (format!("thin s{}", end.class), format!("n f{}", end.class));
            self.svg.path(&way, &line);
            self.svg
                .text(x + 3.0, y + 4.0, Anchor::Start, &text, &end.label);
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        self.svg
            .text(middle, BOTTOM + 33.0, Anchor::Middle, "m n", axis);
        let mut y = BOTTOM + 52.0;
        for line in notes.iter().flat_map(|note| wrapped(note, 76)) {
            self.svg.text(10.0, y, Anchor::Start, "m n", &line);
            y += LINE_HEIGHT;
        }
        self.svg.set_height(y - 4.0);
        self.svg
    }
}

/// The objective of `scenario`.
pub fn objective(run: &Run, scenario: &str) -> Option<Objective> {
    let objective = run.scenario(scenario)?.objective?;
    (objective.p99_us > 0.0).then_some(objective)
}

/// The same where it is about the p99 of all requests, which a plot of those can be read beside.
pub fn objective_p99(run: &Run, scenario: &str) -> Option<Objective> {
    objective(run, scenario).filter(|objective| objective.asked().is_none())
}

/// Which models have nothing to draw in `window`, and why, in one sentence; empty for none.
pub fn absent(session: &Session, scenario: &str, window: Window) -> Vec<String> {
    let reason = |row: &Row| {
        let why = match session.run.cell(&row.label, scenario, window).state {
            state @ (State::Blocks | State::NotOffered) => words::state(state),
            State::Invalid => "excluded, see noise",
            _ => return None,
        };
        Some(format!("{} ({why})", row.label))
    };
    let drawn = session.drawn(scenario).into_iter();
    let absent: Vec<String> = drawn.filter_map(reason).collect();
    match absent.is_empty() {
        true => Vec::new(),
        false => vec![format!("Not drawn: {}", absent.join(", "))],
    }
}

/// `text` in lines of at most `width` letters, broken between words.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `n = 3 trials`, or the range of it.
pub fn sample(spreads: impl Iterator<Item = Spread>) -> String {
    let sizes: Vec<usize> = spreads.map(|spread| spread.n).collect();
    let (low, high) = (
        sizes.iter().min().copied().unwrap_or(0),
        sizes.iter().max().copied().unwrap_or(0),
    );
    let n = if low == high {
        low.to_string()
    } else {
        format!("{low}–{high}")
    };
    format!("n = {n} {}", if high == 1 { "trial" } else { "trials" })
}

/// What the bars of a figure are.
pub fn bars(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Figures => "one block: no interval",
        Evidence::Ranges => "median, bars: range",
        Evidence::Intervals => "median, bars: its 95 % interval",
    }
}
