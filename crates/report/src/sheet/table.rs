//! A sheet and its cells.

use crate::anchor;
use crate::cell::Cell;
use crate::format;
use crate::metric::Metric;
use crate::run::{Row, Run, Window};
use crate::stats::{Evidence, Spread};

/// A table of rows by columns, with a sentence.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it shows, its units, which direction is better, and the sample.
    pub note: String,
    /// Heads of the columns after the row's name.
    pub heads: Vec<String>,
    /// One line per row.
    pub lines: Vec<Line>,
}

/// A row of a sheet.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose it is.
    pub row: Row,
    /// Its cells, as many as heads.
    pub entries: Vec<Entry>,
}

/// A cell of a sheet.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// The figure; empty for none.
    pub text: String,
    /// The trials it rests on: an anchor of the page.
    pub link: Option<String>,
    /// How it is set.
    pub tone: Tone,
}

/// How a cell is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// The best of its column, or too near to it to call.
    Best,
    /// A bound only.
    Limited,
    /// Not by design.
    Blocks,
}

impl Entry {
    pub fn new(text: String, link: String) -> Self {
        Self {
            text,
            link: Some(link),
            tone: Tone::Plain,
        }
    }

    /// The same where there is a figure; empty where there is none.
    pub fn of(text: Option<String>, link: String) -> Self {
        text.map_or_else(Self::default, |text| Self::new(text, link))
    }
}

/// The median of `metric` in a window, with a link to its trials; empty where there is none.
pub fn figure(run: &Run, row: &Row, scenario: &str, window: Window, metric: Metric) -> Entry {
    let spread = median(run, &run.cell(&row.label, scenario, window), metric);
    let text = spread.map(|spread| metric.show(spread.median));
    Entry::of(text, anchor::trials(run, scenario, &row.label, window))
}

pub fn median(run: &Run, cell: &Cell<'_>, metric: Metric) -> Option<Spread> {
    cell.spread(metric, Evidence::of(run.blocks))
}

/// `at most 10 trials per figure`.
pub fn sample(run: &Run) -> String {
    format!(
        "at most {} per figure",
        format::count(run.blocks as usize, "trial")
    )
}

/// The median of some counts as text.
pub fn middle(values: impl Iterator<Item = f64>) -> Option<String> {
    let spread = Spread::of(values, Evidence::Ranges)?;
    Some(format::number(spread.median))
}
