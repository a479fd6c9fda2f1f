//! One fixed colour and mark a model, the same in every plot, told apart without colour too.

/// How a model is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    /// Colour on a light ground.
    pub light: &'static str,
    /// Colour on a dark ground.
    pub dark: &'static str,
    /// Shape of its points.
    pub mark: Mark,
}

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Up,
    /// ▼
    Down,
    /// ◆
    Diamond,
    /// ✚
    Cross,
}

const fn ink(light: &'static str, dark: &'static str, mark: Mark) -> Ink {
    Ink { light, dark, mark }
}

/// After Okabe and Ito and Paul Tol, each at least 3:1 against its ground.
const INKS: [(&str, Ink); 12] = [
    ("iterative", ink("#7a6a53", "#b8a58a", Mark::Cross)),
    ("fork-per-client", ink("#a3174f", "#f0719f", Mark::Down)),
    ("prefork", ink("#d55e00", "#ff8a3d", Mark::Square)),
    ("thread-per-client", ink("#a87800", "#e6b422", Mark::Down)),
    ("thread-pool", ink("#6b7a14", "#b5c64a", Mark::Up)),
    ("single-reactor", ink("#0072b2", "#56b4ea", Mark::Circle)),
    ("reactor-pool", ink("#008a99", "#4fd1dd", Mark::Diamond)),
    ("multi-reactor", ink("#00855f", "#2fcf9f", Mark::Diamond)),
    ("leader-follower", ink("#8e44ad", "#cf9bf0", Mark::Up)),
    ("proactor", ink("#3b3fa8", "#949bff", Mark::Square)),
    ("signal-driven", ink("#5c5c5c", "#b0b0b0", Mark::Down)),
    ("async-tasks", ink("#117733", "#74c878", Mark::Circle)),
];

/// For what is no model of the collection: the null server and peers.
const OTHER: Ink = ink("#555b66", "#a7adb8", Mark::Cross);

/// The ink of `model`.
pub fn of(model: &str) -> Ink {
    INKS.iter()
        .find(|(name, _)| *name == model)
        .map_or(OTHER, |(_, ink)| *ink)
}

/// The class suffix of `model`: its name where it has an ink.
pub fn class(model: &str) -> &'static str {
    INKS.iter()
        .find(|(name, _)| *name == model)
        .map_or("other", |(name, _)| name)
}

/// Style rules `.s-MODEL` for strokes and `.f-MODEL` for fills, for one ground.
pub fn rules(dark: bool) -> String {
    let all = INKS
        .iter()
        .map(|(name, ink)| (*name, *ink))
        .chain([("other", OTHER)]);
    all.map(|(name, ink)| {
        let colour = if dark { ink.dark } else { ink.light };
        format!(".s-{name}{{stroke:{colour}}}.f-{name}{{fill:{colour}}}")
    })
    .collect()
}
