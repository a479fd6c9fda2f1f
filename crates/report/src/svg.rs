//! SVG as deterministic text: fixed decimals, escaped labels, no identifiers but the hatch.

use crate::palette::{self, Mark};

/// Style of everything drawn, on a light ground and on a dark one.
const STYLE: &str = "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif;\
fill:#1c2430}.t{font-weight:650;font-size:13.5px}.m{fill:#5b6675}.n{font-size:11px}\
.bg{fill:#fff}.grid{stroke:#dde2e9;stroke-width:1}.axis{stroke:#8a95a5;stroke-width:1}\
.l{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.dot{stroke-dasharray:1.5 4}\
.dash{stroke-dasharray:6 4}.bar{stroke-width:1.5}.thin{stroke-width:.8;opacity:.6;fill:none}.p{stroke-width:1.6}.hollow{fill:#fff}\
.mid{text-anchor:middle}.end{text-anchor:end}.objective{stroke:#c0271f;stroke-width:1.5;stroke-dasharray:8 4}.objective-text{fill:#c0271f}";
const DARK: &str = "text{fill:#e6ebf2}.m{fill:#9aa6b6}.bg,.hollow{fill:#12161c}\
.grid{stroke:#2a323d}.axis{stroke:#6d7a8b}.objective{stroke:#ff8078}.objective-text{fill:#ff8078}";

/// The style rules of plots with their dark counterpart, for a page or a file of its own.
pub fn style() -> String {
    let inks = |dark| palette::rules(&[('s', "stroke"), ('f', "fill")], dark);
    format!(
        "{STYLE}{}@media(prefers-color-scheme:dark){{{DARK}{}}}",
        inks(false),
        inks(true)
    )
}

/// A drawing in the making.
#[derive(Debug, Clone)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// Where text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// By its left end.
    Start,
    /// By its middle.
    Middle,
    /// By its right end.
    End,
}

impl Svg {
    /// An empty drawing; `title` is what a screen reader says.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self {
            width,
            height,
            title: title.to_owned(),
            body: String::new(),
        }
    }

    /// Makes the drawing `height` high.
    pub fn set_height(&mut self, height: f64) {
        self.height = height;
    }

    /// A line of text.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " mid",
            Anchor::End => " end",
        };
        self.body.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" class=\"{class}{anchor}\">{}</text>\n",
            fixed(x),
            fixed(y),
            escaped(text)
        ));
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x, y) = (fixed(to.0), fixed(to.1));
        let (start_x, start_y) = (fixed(from.0), fixed(from.1));
        let way = match (x == start_x, y == start_y) {
            (true, _) => format!("V{y}"),
            (_, true) => format!("H{x}"),
            _ => format!("L{x} {y}"),
        };
        self.body.push_str(&format!(
            "<path d=\"M{start_x} {start_y}{way}\" class=\"{class}\"/>\n"
        ));
    }

    /// A line through points; nothing for fewer than two.
    pub fn path(&mut self, points: &[(f64, f64)], class: &str) {
        if points.len() < 2 {
            return;
        }
        let steps: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{} {}", fixed(*x), fixed(*y)))
            .collect();
        self.body.push_str(&format!(
            "<path d=\"M{}\" class=\"l {class}\"/>\n",
            steps.join(" ")
        ));
    }

    /// A rectangle with rounded corners.
    pub fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        radius: f64,
        class: &str,
    ) {
        self.body.push_str(&format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" class=\"{class}\"/>\n",
            fixed(x),
            fixed(y),
            fixed(width),
            fixed(height),
            fixed(radius)
        ));
    }

    /// A point; hollow where it is a bound or a second figure. `hover` is shown on hovering.
    pub fn mark(&mut self, (x, y): (f64, f64), mark: Mark, hollow: bool, class: &str, hover: &str) {
        let class = if hollow {
            format!("p s{class} hollow")
        } else {
            format!("p s{class} f{class}")
        };
        let path = |dx: f64, dy: f64, way: &str| {
            let outline = format!("d=\"M{} {}{way}z\"", fixed(x + dx), fixed(y + dy));
            ("path", outline)
        };
        let (element, outline) = match mark {
            Mark::Circle => {
                let outline = format!("cx=\"{}\" cy=\"{}\" r=\"4.2\"", fixed(x), fixed(y));
                ("circle", outline)
            }
            Mark::Square => path(-3.7, -3.7, "h7.4v7.4h-7.4"),
            Mark::Up => path(0.0, -4.8, "l4.6 8.2h-9.2"),
            Mark::Down => path(0.0, 4.8, "l4.6-8.2h-9.2"),
            Mark::Diamond => path(0.0, -5.2, "l4.8 5.2-4.8 5.2-4.8-5.2"),
            Mark::Cross => path(-1.5, -4.5, "h3v3h3v3h-3v3h-3v-3h-3v-3h3"),
        };
        self.body.push_str(&format!(
            "<{element} {outline} class=\"{class}\"><title>{}</title></{element}>\n",
            escaped(hover)
        ));
    }

    /// Finished text from elsewhere, such as a definition.
    pub fn raw(&mut self, text: &str) {
        self.body.push_str(text);
    }

    /// The drawing for a page that carries [`style`] itself.
    pub fn inline(&self) -> String {
        self.wrapped("", "")
    }

    /// The drawing as a file of its own; `extra` are style rules beyond [`style`].
    pub fn standalone(&self, extra: &str) -> String {
        let style = format!("<style>{}{extra}</style>\n", style());
        let ground = format!(
            "<rect width=\"{}\" height=\"{}\" class=\"bg\"/>\n",
            fixed(self.width),
            fixed(self.height)
        );
        self.wrapped(" xmlns=\"http://www.w3.org/2000/svg\"", &(style + &ground))
    }

    fn wrapped(&self, attributes: &str, before: &str) -> String {
        let (width, height) = (fixed(self.width), fixed(self.height));
        let title = escaped(&self.title);
        format!(
            "<svg{attributes} viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\">\n<title>{title}</title>\n{before}{}</svg>\n",
            self.body
        )
    }
}

/// A coordinate with one decimal and no negative zero.
pub fn fixed(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0").unwrap_or(&text) {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Text safe in an element or attribute; what XML forbids becomes a space.
pub fn escaped(text: &str) -> String {
    maud::html! { (text.replace(char::is_control, " ")) }.into_string()
}
