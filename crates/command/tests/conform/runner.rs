//! Runs every cell, several at once, each in a thread of its own with a hard time limit.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use crate::design::excuse;
use crate::harness::{Column, columns, logs_of_this_thread, ms, with_fronts};
use crate::{matrix, page, rows};

/// One behaviour: what it is called, and how it is looked for in any model.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub run: fn(&Column) -> anyhow::Result<()>,
}

/// How a cell ended.
#[derive(Debug, Clone)]
pub enum Verdict {
    Pass,
    /// The model cannot by design.
    Design(&'static str),
    /// The question does not arise.
    Moot(&'static str),
    Fail(String),
}

/// An error that says that the behaviour has no meaning for this model.
#[derive(Debug)]
pub struct Moot(pub &'static str);

impl fmt::Display for Moot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Moot {}

/// A cell that takes longer hangs.
const LIMIT: Duration = ms(40_000);
/// Cells at once. Most of them wait most of the time.
const AT_ONCE: usize = 12;

const SUPER_SERVERS: &str =
    "the super-server accepts, forks and stays: what is asked is its affair";

/// Runs what the command line asks for; true if nothing failed.
pub fn run(rows: &[Row]) -> anyhow::Result<bool> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let filters: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut columns = columns()?;
    columns.extend(with_fronts(&columns));
    ensure!(!columns.is_empty(), "there are no models");
    let cells: Vec<_> = rows
        .iter()
        .flat_map(|row| columns.iter().map(move |column| (*row, column.clone())))
        .filter(|(row, column)| {
            let name = name(row, column);
            filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
        })
        .collect();
    if args.iter().any(|arg| arg == "--list") {
        cells
            .iter()
            .for_each(|(row, column)| println!("{}: test", name(row, column)));
        return Ok(true);
    }
    let start = Instant::now();
    let queue = Mutex::new(cells.iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((row, column)) = next(&queue) {
                    let (verdict, took) = cell(*row, column);
                    let result = (row.name, column.label(), verdict, took);
                    results.lock().expect("no cell panics here").push(result);
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no cell panics here");
    let asks = |flag: &str| args.iter().any(|arg| arg == flag);
    let crowded = match filters.is_empty() || asks("--again") {
        true => run_again(&cells, &mut results),
        false => 0,
    };
    rows::remove_paths();
    let mut is_good = matrix::print(rows, &columns, &results, start.elapsed());
    if crowded > 0 {
        println!(
            "{crowded} of them failed beside {} others and passed twice alone",
            AT_ONCE - 1
        );
    }
    if asks("--page") {
        page::write(rows, &columns, &results)?;
    } else if (filters.is_empty() || asks("docs/reliability.md"))
        && let Err(error) = page::check(rows, &columns)
    {
        println!("\nFAIL: docs/reliability.md: {error:#}");
        is_good = false;
    }
    Ok(is_good)
}

/// Cells that may fail in the crowd. If more do, it is not the crowd.
const CROWDED_MAX: usize = 8;

/// Runs cells that have failed again, one after another, and says which they were and why: beside
/// eleven others a limit of seconds can pass before a server has had the CPU. They pass if they
/// pass twice in a row; a server that panicked has no second chance. Returns how many passed so.
fn run_again(cells: &[(Row, Column)], results: &mut [matrix::Result]) -> usize {
    let failed = |result: &&mut matrix::Result| matches!(result.2, Verdict::Fail(_));
    if results.iter_mut().filter(failed).count() > CROWDED_MAX {
        return 0;
    }
    let mut passed = 0;
    for result in results.iter_mut().filter(failed) {
        let Verdict::Fail(why) = &result.2 else {
            continue;
        };
        println!("again: ({}, {}): {why}", result.0, result.1);
        let mut found = cells.iter();
        let again = found.find(|(row, column)| row.name == result.0 && column.label() == result.1);
        let Some((row, column)) = again.filter(|_| !why.contains(PANICKED)) else {
            continue;
        };
        for _ in 0..2 {
            (result.2, result.3) = cell(*row, column);
            if !matches!(result.2, Verdict::Pass) {
                break;
            }
        }
        passed += usize::from(matches!(result.2, Verdict::Pass));
    }
    passed
}

/// What the log of a server says that panicked.
const PANICKED: &str = "panicked at";

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().expect("no iterator panics").next()
}

/// `row / column`, as filters match it.
fn name(row: &Row, column: &Column) -> String {
    format!("{} / {}", row.name, column.label())
}

/// Runs one cell.
fn cell(row: Row, column: &Column) -> (Verdict, Duration) {
    let start = Instant::now();
    if let Some(why) = excuse(row.name, column) {
        return (Verdict::Design(why), start.elapsed());
    }
    if column.needs_a_super_server() && crate::rows::is_the_super_servers(row.name) {
        return (Verdict::Moot(SUPER_SERVERS), start.elapsed());
    }
    // Two that never rest would take the time of everybody else.
    static RESTLESS: Mutex<()> = Mutex::new(());
    let _alone = column.never_rests().then(|| RESTLESS.lock());
    let (sender, done) = channel();
    let column = column.clone();
    std::thread::spawn(move || {
        let ran = catch_unwind(AssertUnwindSafe(|| (row.run)(&column)));
        let ran = ran.unwrap_or_else(|_| Err(anyhow!("the test itself panicked")));
        let _ = sender.send((ran, logs_of_this_thread()));
    });
    let limit = std::env::var("TURNSTILE_CELL_MS").ok();
    let limit = limit.and_then(|text| text.parse().ok()).map_or(LIMIT, ms);
    let verdict = match done.recv_timeout(limit) {
        Ok((ran, logs)) => judge(ran, &logs),
        Err(_) => Verdict::Fail(format!("it has not ended within {limit:?}")),
    };
    (verdict, start.elapsed())
}

/// No server may panic, whatever else it did.
fn judge(ran: anyhow::Result<()>, logs: &[String]) -> Verdict {
    let log = logs.join("");
    let panicked = log.contains(PANICKED);
    match ran {
        Ok(()) if panicked => Verdict::Fail(format!("a server panicked: {log}")),
        Ok(()) => Verdict::Pass,
        Err(error) => match error.downcast_ref::<Moot>() {
            Some(Moot(why)) if !panicked => Verdict::Moot(why),
            _ => Verdict::Fail(format!("{error:#}\n    its log: {}", log.trim_end())),
        },
    }
}
