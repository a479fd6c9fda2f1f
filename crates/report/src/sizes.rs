//! The sizes of one server among themselves: which number of workers and threads wins, scenario by scenario.
//!
//! A model may lead a scenario, and the question of a user of another server is still open: how many
//! workers, how many threads. So the rows of each grid are ranked among themselves, by the figures and the
//! rule that rank everything.

use crate::data::Grid;
use crate::matrix::{Matrix, Pieces};
use crate::run::Run;

/// What a grid came to in the scenarios of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// The server's name in its file.
    pub name: String,
    /// By scenario, in the order of the verdict, the outcome in a sentence.
    pub outcomes: Vec<(String, Pieces)>,
}

/// The grids of a run with more than one size.
pub fn of(run: &Run, verdict: &Matrix) -> Vec<Sizes> {
    let mut names: Vec<&str> = Vec::new();
    for grid in run.rows.iter().filter_map(|row| row.grid.as_ref()) {
        if !names.contains(&grid.name.as_str()) {
            names.push(&grid.name);
        }
    }
    let sizes = names.into_iter().filter_map(|name| {
        let of_name = |grid: &Option<Grid>| grid.as_ref().is_some_and(|grid| grid.name == name);
        let mut matrix = verdict.among(run, |row| row.is_ranked() && of_name(&row.grid));
        for row in &mut matrix.rows {
            if let Some(grid) = &row.grid {
                row.label = words(grid);
            }
        }
        let outcome = |column: &crate::matrix::Column| {
            let headline = column.headline(&matrix.rows);
            let sentence = headline.sentence(column.choice.metric);
            (column.scenario.clone(), sentence)
        };
        (matrix.rows.len() > 1).then(|| Sizes {
            name: name.to_owned(),
            outcomes: matrix.columns.iter().map(outcome).collect(),
        })
    });
    sizes.collect()
}

/// `2 workers of 16 threads`, `16 threads`: the numbers that differ within the grid.
fn words(grid: &Grid) -> String {
    let count = |n: u32, one: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    match (grid.workers, grid.threads) {
        (Some(workers), Some(threads)) => {
            let (workers, threads) = (count(workers, "worker"), count(threads, "thread"));
            format!("{workers} of {threads}")
        }
        (Some(workers), None) => count(workers, "worker"),
        (None, Some(threads)) => count(threads, "thread"),
        (None, None) => grid.name.clone(),
    }
}
