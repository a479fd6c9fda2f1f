//! Fidelity: every variant is the model that its name claims, proved by the system calls it makes.
//!
//! Each variant runs under strace while a client does what is known to the letter: connections one
//! after another, then requests on a warm one. From the trace follow who accepts, reads and writes
//! (compared with its `Roles`), what everybody waits in while nobody comes, and the calls that a
//! connection and a request cost. These stand as a table on the model's page; a page that says
//! something else than the trace fails. What a request is made of is in [`requests`] once more, so
//! that no page can be written to allow more; what only some variants promise is in [`promises`].
//!
//! `cargo test -p turnstile-command --test fidelity [FILTER]... [-- --update]` traces the variants whose
//! label contains a filter; `--update` writes the tables into the pages.

#[path = "../harness/mod.rs"]
mod harness;

mod completions;
mod drive;
mod leader;
mod locks;
mod page;
mod promises;
mod requests;
mod roles;
mod signals;
mod suspension;
mod tasks;
mod trace;
mod wakeups;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context;
use harness::{Column, columns, with_fronts};

/// Variants traced at once.
const AT_ONCE: usize = 4;

/// What a variant was seen to do.
#[derive(Debug)]
struct Seen {
    column: Column,
    costs: Result<page::Costs, String>,
}

fn main() -> ExitCode {
    if let Some(code) = harness::inetd::if_asked() {
        return code;
    }
    let start = Instant::now();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let columns = match columns() {
        Ok(columns) => [with_fronts(&columns), columns].concat(),
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(101);
        }
    };
    let chosen: Vec<Column> = columns
        .into_iter()
        .filter(|column| wanted(column, &args))
        .collect();
    if Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status()
        .is_err()
    {
        println!("skipped: strace is not installed");
        println!(
            "\ntest result: ok. 0 passed; 0 failed; {} ignored; 0 measured; 0 filtered out",
            chosen.len()
        );
        return ExitCode::SUCCESS;
    }
    let seen = look_at_all(&chosen);
    let failed = report(&seen, args.iter().any(|arg| arg == "--update"));
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        seen.len() - failed,
        start.elapsed().as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

fn wanted(column: &Column, args: &[String]) -> bool {
    let mut filters = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| column.label().contains(filter.as_str()))
}

/// Traces every column, a few at once, and keeps their order.
fn look_at_all(columns: &[Column]) -> Vec<Seen> {
    let queue = Mutex::new(columns.iter().enumerate());
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no iterator panics").next();
                    let Some((number, column)) = next else { return };
                    let costs = look_at(column).map_err(|error| format!("{error:#}"));
                    let one = Seen {
                        column: column.clone(),
                        costs,
                    };
                    seen.lock()
                        .expect("nobody panics with it")
                        .push((number, one));
                }
            });
        }
    });
    let mut seen = seen.into_inner().expect("nobody panics with it");
    seen.sort_by_key(|(number, _)| *number);
    seen.into_iter().map(|(_, one)| one).collect()
}

/// Traces one variant, and holds it to its roles and promises.
fn look_at(column: &Column) -> anyhow::Result<page::Costs> {
    let driven = drive::drive(column).context("under strace")?;
    roles::check(column, &driven)?;
    requests::check(column, &driven)?;
    promises::check(column, &driven)?;
    let wakeups = wakeups::each_connection(column).context("not under strace")?;
    promises::check_wakeups(column, wakeups)?;
    Ok(page::Costs::of(&driven, wakeups))
}

/// Prints what was seen, and compares it with the pages. The number of variants that failed.
fn report(seen: &[Seen], update: bool) -> usize {
    let mut failed = 0;
    for one in seen {
        let label = one.column.label();
        let verdict = one.costs.as_ref().map_err(Clone::clone).and_then(|costs| {
            let [rest, connection, request, wakeups] = costs.words();
            println!(
                "{label}\n  at rest: {rest}\n  per connection: {connection}\n  per request: {request}\n  wake-ups per connection: {wakeups}"
            );
            page::compare(&one.column, costs, update)
        });
        if let Err(why) = verdict {
            failed += 1;
            println!("FAIL: {label}: {why}");
        }
    }
    failed
}
