//! The verdict matrix as a picture, about 1000 wide: as many panels below each other as its columns
//! need to stay readable.

use super::panel::wrapped;
use crate::cell::State;
use crate::format;
use crate::matrix::{Column, Entry, Matrix, Shade};
use crate::run::Row;
use crate::session::Session;
use crate::stats::Evidence;
use crate::svg::{Anchor, Svg};
use crate::words;

const WIDTH_MIN: f64 = 1000.0;
const COLUMN_WIDTH_MIN: f64 = 112.0;
/// More columns are spread over panels.
const COLUMNS_MAX: usize = 8;
const LEFT: f64 = 150.0;
/// Where the first panel begins, and the height of a panel's head.
const TOP: f64 = 76.0;
const HEAD: f64 = 50.0;
const ROW_HEIGHT: f64 = 42.0;

/// Style of the cells, beyond the common one.
pub const STYLE: &str = ".h{font-size:19px;font-weight:700}.s{font-size:13px}.r{font-size:14.5px;font-weight:650}.i{font-size:10.5px}\
.c{fill:#f2f4f7}.c1{fill:#0b5c9e}.c2{fill:#a9cdea}.c3{fill:#e1edf7}.o1,.o1.i{fill:#fff}.o2,.o3{fill:#122033}\
.open{fill:#d9dce1}.blocks{fill:none;stroke:#d9dce1}.hatch{fill:url(#hatch)}.stripe{stroke:#aab3bf;stroke-width:2}.hatchbg{fill:#f2f4f7}\
@media(prefers-color-scheme:dark){.c,.hatchbg{fill:#1c222b}.c1{fill:#3d9be9}.o1,.o1.i{fill:#06121f}.c2{fill:#1e4d78}.c3{fill:#182c40}.o2,.o3{fill:#e6ebf2}\
.open{fill:#343a44}.blocks{stroke:#343a44}.stripe{stroke:#4c5766}}";

/// The whole picture.
pub fn draw(session: &Session) -> Svg {
    let matrix = &session.verdict;
    let panels = matrix.columns.len().div_ceil(COLUMNS_MAX).max(1);
    let columns = matrix.columns.len().div_ceil(panels).max(1);
    let page = WIDTH_MIN.max(LEFT + 12.0 + COLUMN_WIDTH_MIN * columns as f64);
    // Variants stand in the page; the picture shows the models and what is beside them.
    let rows: Vec<(usize, &Row)> = matrix
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.is_variant())
        .collect();
    let mut svg = Svg::new(page, 200.0, &words::title(&session.run));
    svg.raw(
        "<defs><pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" class=\"hatchbg\"/>\
         <line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"7\" class=\"stripe\"/></pattern></defs>\n",
    );
    let title = "Which server model wins which workload, and by how much";
    svg.text(12.0, 28.0, Anchor::Start, "h", title);
    let measured = wrapped(&words::measured(&session.run), 150);
    for (index, line) in measured.iter().take(2).enumerate() {
        svg.text(12.0, 49.0 + 16.0 * index as f64, Anchor::Start, "m s", line);
    }
    let width = (page - LEFT - 12.0) / columns as f64;
    let mut y = TOP;
    for columns in matrix.columns.chunks(columns) {
        panel(&mut svg, (columns, &rows), width, y);
        y += HEAD + ROW_HEIGHT * rows.len() as f64 + 14.0;
    }
    y += 8.0;
    for line in legend(matrix).iter().flat_map(|text| wrapped(text, 172)) {
        svg.text(12.0, y, Anchor::Start, "m n", &line);
        y += 15.0;
    }
    svg.set_height(y);
    svg
}

fn panel(svg: &mut Svg, (columns, rows): (&[Column], &[(usize, &Row)]), width: f64, top: f64) {
    for (at, column) in columns.iter().enumerate() {
        let x = LEFT + width * at as f64;
        let middle = x + width / 2.0;
        svg.text(middle, top + 16.0, Anchor::Middle, "t", &column.scenario);
        let metric = column.choice.metric.short();
        svg.text(middle, top + 30.0, Anchor::Middle, "m i", metric);
        let window = column.choice.window.describe();
        svg.text(middle, top + 42.0, Anchor::Middle, "m i", &window);
        for (place, (row, _)) in rows.iter().enumerate() {
            let y = top + HEAD + ROW_HEIGHT * place as f64;
            let entry = &column.entries[*row];
            cell(svg, (x + 2.0, y), width - 4.0, column, entry);
        }
    }
    for (place, (_, row)) in rows.iter().enumerate() {
        let y = top + HEAD + ROW_HEIGHT * (place as f64 + 0.5);
        let class = if row.is_peer() { "m" } else { "t" };
        svg.text(LEFT - 8.0, y + 4.0, Anchor::End, class, &row.label);
    }
}

fn legend(matrix: &Matrix) -> Vec<String> {
    let hatched = "Hatched: the generator was the limit, so the figure is a bound and is never ranked. Outlined: the model cannot do this, by design.";
    let read = match matrix.evidence {
        Evidence::Figures => {
            "There are too few blocks to rank: each cell is the figure itself.".to_owned()
        }
        _ => format!(
            "1.00× is the best of its column, 2.00× is twice as bad, with {}. Strong colour: tied, at most 10 % worse with its whole interval; grey: undecided; fainter: worse.",
            if matrix.evidence == Evidence::Ranges {
                "the range over blocks"
            } else {
                "95 % intervals"
            }
        ),
    };
    let mut lines = vec![format!("{read} {hatched}")];
    lines.extend(words::differing(matrix));
    lines
}

fn cell(svg: &mut Svg, at: (f64, f64), width: f64, column: &Column, entry: &Entry) {
    let mut put = |class: &str, ink: &str, top: &str, below: &str| {
        filled(svg, at, width, (class, ink), (top, below));
    };
    match (entry.state, entry.place, column.show(entry.spread)) {
        (State::Valid, Some(place), Some(figure)) => {
            let factor = format::factor(place.against_best.log.exp());
            let (top, below) = if entry.overloaded {
                ("overloaded".to_owned(), words::answered(entry))
            } else if place.best {
                (factor, format!("best · {figure}"))
            } else {
                (
                    format!("{} {factor}", entry.mark()),
                    entry.interval().unwrap_or(figure),
                )
            };
            let (class, ink) = match entry.shade() {
                Some(Shade::Tied) | None => ("c1", "o1"),
                Some(Shade::Undecided) => ("open", "o2"),
                Some(Shade::Second) => ("c2", "o2"),
                Some(Shade::Third) => ("c3", "o3"),
            };
            put(class, ink, top.trim(), &below);
        }
        (State::Valid, None, Some(figure)) if entry.peer.is_some() && !entry.overloaded => {
            let factor = entry
                .peer
                .map_or(figure, |each| format::factor(each.log.exp()));
            put("c", "", &factor, &entry.interval().unwrap_or_default());
        }
        (State::Valid, None, _) if entry.overloaded => {
            put("c", "", "overloaded", &words::answered(entry));
        }
        (State::Valid, None, Some(figure)) => put("c", "", &figure, ""),
        (State::Limited, _, Some(figure)) => {
            let bound = words::bound(column.choice.metric, &figure);
            put("hatch", "", &bound, "LIMITED");
        }
        (State::Limited, _, None) => put("hatch", "", "", "LIMITED"),
        (State::Blocks, _, _) => put("blocks", "", "", "blocks by design"),
        (state, _, _) => put("c", "m", "", words::state(state)),
    }
}

/// A cell with one line of text or two; one alone stands in the middle.
fn filled(
    svg: &mut Svg,
    (x, y): (f64, f64),
    width: f64,
    (class, ink): (&str, &str),
    (top, below): (&str, &str),
) {
    svg.rect((x, y), (width, ROW_HEIGHT - 4.0), 4.0, class);
    let alone = top.is_empty() || below.is_empty();
    let shift = if alone { 6.0 } else { 0.0 };
    let middle = x + width / 2.0;
    for (text, y, size) in [(top, y + 17.0 + shift, "r"), (below, y + 31.0 - shift, "i")] {
        if !text.is_empty() {
            svg.text(middle, y, Anchor::Middle, &format!("{size} {ink}"), text);
        }
    }
}
