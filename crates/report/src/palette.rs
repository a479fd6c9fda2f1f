//! One fixed colour and mark per model, the same in every plot; the marks differ without colour too.

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

/// Models in the order in which the literature introduces them; others follow by name.
pub const MODELS: [&str; 12] = [
    "iterative",
    "fork-per-client",
    "prefork",
    "thread-per-client",
    "thread-pool",
    "single-reactor",
    "reactor-pool",
    "multi-reactor",
    "leader-follower",
    "proactor",
    "signal-driven",
    "async-tasks",
];

/// The inks of these, after Okabe and Ito and Paul Tol, each at least 3:1 against its ground.
const INKS: [Ink; MODELS.len()] = [
    ink("#7a6a53", "#b8a58a", Mark::Cross),
    ink("#a3174f", "#f0719f", Mark::Down),
    ink("#d55e00", "#ff8a3d", Mark::Square),
    ink("#a87800", "#e6b422", Mark::Down),
    ink("#6b7a14", "#b5c64a", Mark::Up),
    ink("#0072b2", "#56b4ea", Mark::Circle),
    ink("#008a99", "#4fd1dd", Mark::Diamond),
    ink("#00855f", "#2fcf9f", Mark::Diamond),
    ink("#8e44ad", "#cf9bf0", Mark::Up),
    ink("#3b3fa8", "#949bff", Mark::Square),
    ink("#5c5c5c", "#b0b0b0", Mark::Down),
    ink("#117733", "#74c878", Mark::Circle),
];

/// The classes of these, short because every mark and every name bears one.
const CLASSES: [&str; INKS.len()] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
const OTHER_CLASS: &str = "x";

/// For what is no model of the collection: the null server and peers.
const OTHER: Ink = ink("#555b66", "#a7adb8", Mark::Cross);

/// The ink of `model`.
pub fn of(model: &str) -> Ink {
    place(model).map_or(OTHER, |place| INKS[place])
}

/// The class suffix of `model`: its place among the inks, `x` where it has none.
pub fn class(model: &str) -> &'static str {
    place(model).map_or(OTHER_CLASS, |place| CLASSES[place])
}

fn place(model: &str) -> Option<usize> {
    MODELS.iter().position(|name| *name == model)
}

/// Style rules for one ground: `.sCLASS` for strokes, `.fCLASS` for fills, `.bCLASS` for grounds.
pub fn rules(kinds: &[(char, &str)], dark: bool) -> String {
    let classes = CLASSES.into_iter().chain([OTHER_CLASS]);
    let inks = INKS.into_iter().chain([OTHER]);
    let mut rules = String::new();
    for (class, ink) in classes.zip(inks) {
        let colour = if dark { ink.dark } else { ink.light };
        for (letter, property) in kinds {
            rules.push_str(&format!(".{letter}{class}{{{property}:{colour}}}"));
        }
    }
    rules
}
