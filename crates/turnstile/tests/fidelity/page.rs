//! The table of traced calls on a model's page, as it is and as it should be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::harness::Column;
use crate::trace::Call;

/// Calls by name, and how often each is made.
type Calls = BTreeMap<String, f64>;

/// What a variant costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// What everybody waits in when nobody comes.
    rest: Calls,
    /// A connection, without its one request.
    connection: Calls,
    /// A request on a warm connection.
    request: Calls,
    /// Wake-ups a connection and its one request.
    wakeups: f64,
}

/// Calls whose number depends on who comes first; they are named in parentheses and not compared.
const BY_CHANCE: &[&str] = &["futex", "sched_yield", "restart_syscall", BELL];

/// A bell rings only for whoever sleeps by then.
const BELL: &str = "write to a bell";

/// What counts of a program that is started for each connection; the rest is its start.
const OF_A_PROGRAM: &[&str] = &["accept4", "execve", "exit_group", "recvfrom", "sendto"];

/// What a call is counted as.
fn name(call: &Call) -> &str {
    // An eventfd is rung by a number of eight bytes.
    let rings = call.name == "write" && call.args.ends_with("\\0\\0\\0\\0\\0\\0\\0\", 8");
    if rings { BELL } else { &call.name }
}

impl Costs {
    /// Counts them.
    pub fn of(driven: &Driven, wakeups: f64) -> Costs {
        let trace = &driven.trace;
        let counts = |call: &&Call| {
            (!driven.restless || call.worked())
                && (!driven.execs || OF_A_PROGRAM.contains(&call.name.as_str()))
        };
        let waits = trace.waits_at(driven.ready).into_iter();
        let rest = count(waits.filter(|_| !driven.restless));
        let request = count(trace.within(driven.warm, driven.done).filter(counts));
        let request = each(&request, REQUESTS);
        let whole = each(
            &count(trace.within(driven.ready, driven.served).filter(counts)),
            CONNECTIONS,
        );
        let connection = whole.iter().map(|(name, times)| {
            (
                name.clone(),
                times - request.get(name).copied().unwrap_or(0.0),
            )
        });
        Costs {
            rest: each(&rest, 1),
            connection: connection.collect(),
            request,
            wakeups,
        }
    }

    /// The four as a page words them.
    pub fn words(&self) -> [String; 4] {
        [
            words(&self.rest, &[]),
            words(&self.connection, BY_CHANCE),
            words(&self.request, BY_CHANCE),
            format!("{:.0}", self.wakeups),
        ]
    }

    /// Whether the cells of a page say the same.
    fn agrees(&self, cells: &[&str]) -> bool {
        let [rest, connection, request, wakeups] = cells else {
            return false;
        };
        close(&self.rest, rest, |_| 0.0, &[])
            && close(&self.connection, connection, off_max, BY_CHANCE)
            && close(&self.request, request, off_max, BY_CHANCE)
            && wakeups
                .parse()
                .is_ok_and(|told: f64| (self.wakeups - told).abs() <= told.max(2.0) / 2.0 + 1.0)
    }
}

/// How far the mean of many may be from the whole number on the page. None is not one; but now and
/// then a timer fires, two arrivals share a wait, or one more worker wakes for nothing.
fn off_max(told: f64) -> f64 {
    if told > 1.0 { told / 2.0 } else { 0.72 }
}

/// Whether `calls` are what a cell says, but for those by chance.
fn close(calls: &Calls, cell: &str, off_max: fn(f64) -> f64, by_chance: &[&str]) -> bool {
    let mut said: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in cell
        .split(", ")
        .map(str::trim)
        .filter(|entry| entry.starts_with('`'))
    {
        let (name, times) = entry.split_once(" ×").unwrap_or((entry, "1"));
        said.insert(name.trim_matches('`'), times.parse().unwrap_or(f64::NAN));
    }
    let names = calls.keys().map(String::as_str).chain(said.keys().copied());
    names.filter(|name| !by_chance.contains(name)).all(|name| {
        let made = calls.get(name).copied().unwrap_or(0.0);
        let told = said.get(name).copied().unwrap_or(0.0);
        (made - told).abs() <= off_max(told)
    })
}

fn count<'a>(calls: impl Iterator<Item = &'a Call>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls.filter(|call| !is_of_the_debug_build(call)) {
        *counts.entry(name(call).to_owned()).or_default() += 1;
    }
    counts
}

/// A debug build of the standard library looks whether a descriptor is open before it closes it.
fn is_of_the_debug_build(call: &Call) -> bool {
    call.name == "fcntl" && call.args.contains("F_GETFD")
}

fn each(counts: &BTreeMap<String, usize>, of: usize) -> Calls {
    counts
        .iter()
        .map(|(name, times)| (name.clone(), *times as f64 / of as f64))
        .collect()
}

/// `accept4, close, recvfrom ×2`, the ones by chance last and in parentheses.
fn words(times: &Calls, by_chance: &[&str]) -> String {
    let (chance, sure): (Vec<_>, Vec<_>) = times
        .iter()
        .partition(|(name, _)| by_chance.contains(&name.as_str()));
    let sure = sure
        .into_iter()
        .filter_map(|(name, &times)| match times.round() as i64 {
            ..=0 => None,
            1 => Some(format!("`{name}`")),
            many => Some(format!("`{name}` ×{many}")),
        });
    let chance = chance
        .into_iter()
        .filter(|(_, times)| **times >= 0.5)
        .map(|(name, _)| format!("(`{name}`)"));
    let all: Vec<_> = sure.chain(chance).collect();
    if all.is_empty() {
        "nothing".into()
    } else {
        all.join(", ")
    }
}

const HEAD: &str = "//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |\n//! |---|---|---|---|---|\n";

/// The line of a variant.
fn line(column: &Column, costs: &Costs) -> String {
    let [rest, connection, request, wakeups] = costs.words();
    format!(
        "//! | `{}` | {rest} | {connection} | {request} | {wakeups} |\n",
        column.variant_name
    )
}

/// Pages are written by one at a time.
static PAGES: Mutex<()> = Mutex::new(());

/// Compares with the page, or writes it.
///
/// # Errors
/// The page says something else; the message is the line it should have.
pub fn compare(column: &Column, costs: &Costs, update: bool) -> Result<(), String> {
    let _one_at_a_time = PAGES.lock();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../models/{}/src/lib.rs", column.model));
    let page =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let ours = line(column, costs);
    let begins = format!("//! | `{}` |", column.variant_name);
    let theirs = page.lines().find(|line| line.starts_with(&begins));
    // The last cell is how often somebody woke, which a busy machine blurs.
    let cells = theirs.map(|line| {
        line.trim_end_matches(" |")
            .split(" | ")
            .skip(2)
            .collect::<Vec<_>>()
    });
    if cells.is_some_and(|cells| costs.agrees(&cells)) {
        return Ok(());
    }
    if !update {
        return Err(format!(
            "its page says {theirs:?}, the trace says\n{ours}(`cargo test -p turnstile --test fidelity -- --update` writes it)"
        ));
    }
    let page = match theirs {
        Some(theirs) => page.replacen(&format!("{theirs}\n"), &ours, 1),
        None => with_line(&page, &ours),
    };
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}

/// The page with a line at the end of its table, or with a table before "What breaks it".
fn with_line(page: &str, line: &str) -> String {
    if let Some((before, after)) = page.split_once(HEAD) {
        let rows: usize = after
            .split_inclusive('\n')
            .take_while(|row| row.starts_with("//! |"))
            .map(str::len)
            .sum();
        return format!("{before}{HEAD}{}{line}{}", &after[..rows], &after[rows..]);
    }
    let mark = "//! **What breaks it.**";
    let table = format!(
        "//! As traced (a test compares; in parentheses what timing decides):\n//!\n{HEAD}{line}//!\n{mark}"
    );
    page.replacen(mark, &table, 1)
}
