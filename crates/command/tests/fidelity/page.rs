//! The table of traced calls on a model's page, as it is and as it should be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::harness::Column;
use crate::trace::{Call, WAITS};

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
const BY_CHANCE: &[&str] = &["futex", "sched_yield", "restart_syscall", WAKER];

/// A waker is written to only where somebody sleeps by then.
const WAKER: &str = "write to an eventfd";

/// What counts of a program that is started for each connection; the rest is its start.
const OF_A_PROGRAM: &[&str] = &["accept4", "execve", "exit_group", "recvfrom", "sendto"];

/// What a call is counted as.
fn name(call: &Call) -> &str {
    // An eventfd is written a number of eight bytes.
    let wakes = call.name == "write" && call.args.ends_with("\\0\\0\\0\\0\\0\\0\\0\", 8");
    if wakes { WAKER } else { &call.name }
}

impl Costs {
    /// Counts them.
    pub fn of(driven: &Driven, wakeups: f64) -> Costs {
        let trace = &driven.trace;
        let counts = |call: &&Call| {
            !call.idle
                && (!driven.restless || call.worked())
                && (!driven.execs || OF_A_PROGRAM.contains(&call.name.as_str()))
                // The super-server of this test looks at its listener whenever it looks around.
                && (!driven.execs || call.name != "accept4" || call.worked())
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

    /// Where the cells of a page say something else: the first such place.
    fn differs(&self, label: &str, cells: &[&str]) -> Option<String> {
        let [rest, connection, request, wakeups] = cells else {
            return Some(format!("{} cells instead of four", cells.len()));
        };
        let of_connection = |name: &str, told| off_max_of(label, name, told).connection;
        let of_request = |name: &str, told| off_max_of(label, name, told).request;
        let wakeups_differ = || {
            let told: f64 = wakeups.parse().unwrap_or(f64::NAN);
            // A cell without a number differs, too.
            let agrees = (self.wakeups - told).abs() <= wakeups_off_max_of(label);
            (!agrees).then(|| format!("{told} wake-ups told, {:.2} seen", self.wakeups))
        };
        apart("at rest", &self.rest, rest, |_, _| 0.0, &[])
            .or_else(|| {
                let (calls, what) = (&self.connection, "a connection");
                apart(what, calls, connection, of_connection, BY_CHANCE)
            })
            .or_else(|| apart("a request", &self.request, request, of_request, BY_CHANCE))
            .or_else(wakeups_differ)
    }
}

/// How far the means may be from the page.
struct OffMax {
    connection: f64,
    request: f64,
}

/// Once or twice in a hundred requests something is done that none of them has caused; what each of 3
/// workers does once, at its first of 20 connections, is 0.15 of a connection.
const CALLS_OFF_MAX: OffMax = off_max(0.2, 0.05);

/// A loop whose timer has come up looks once more, the more often the longer the load takes.
const WAITS_OFF_MAX: OffMax = off_max(0.4, 0.15);

/// Wake-ups of a connection, which other programs on the machine blur.
const WAKEUPS_OFF_MAX: f64 = 1.3;

const fn off_max(connection: f64, request: f64) -> OffMax {
    OffMax {
        connection,
        request,
    }
}

/// How far a call of a variant may be off, where the page says `told`.
fn off_max_of(label: &str, name: &str, told: f64) -> OffMax {
    match (label, name) {
        // Each child's end interrupts the parent's accept, and so does the alarm that insists, 20 ms
        // later, unless the next connection is sooner.
        // Its handler asks which process it is in.
        ("fork-per-client", "accept4" | "getpid" | "rt_sigreturn" | "setitimer" | "wait4") => {
            off_max(1.1, 0.05)
        }
        // The same, in the wait for the front's next word.
        (
            "fork-per-client+front",
            "getpid" | "recvmsg" | "rt_sigreturn" | "setitimer" | "wait4",
        ) => off_max(1.1, 1.1),
        // None to both of the other workers wake as well, and find the listener empty.
        ("prefork:poll", "accept4" | "ppoll") => off_max(1.0, 0.05),
        ("async-tasks:local", "accept4" | "epoll_wait") => off_max(1.3, 0.15),
        // A socket that was just added tells that it can be written: with its request, or before.
        ("single-reactor:epoll-edge", "epoll_pwait2")
        | ("signal-driven" | "signal-driven:udp", "recvfrom" | "rt_sigtimedwait")
        | ("async-tasks", "epoll_wait") => off_max(1.0, 0.15),
        // A reply that is back before the loop sleeps shares its wait with what comes next.
        ("reactor-pool" | "multi-reactor:pool", "epoll_pwait2") => off_max(1.0, 1.0),
        (label, "epoll_pwait2") if label.ends_with("+front") => off_max(2.0, 1.0),
        // Two more where a loop that has waited for its time takes the lock from another.
        ("multi-reactor:processes-lock", "epoll_ctl") => off_max(1.0, 0.2),
        // The stack of a thread that has ended is the next one's, if it has ended by then.
        ("multi-reactor:thread-per-event", "mmap" | "mprotect" | "munmap" | "madvise") => {
            off_max(0.5, 0.2)
        }
        // A helper more, where those that are there are busy: six of these to make it.
        ("proactor:posix-aio", "rt_sigprocmask") => off_max(0.7, 0.2),
        // `aio_cancel`, where a timer has come up, asks whether the descriptor is open.
        ("proactor:posix-aio", "fcntl") => off_max(0.5, 0.5),
        // The child of the request before may end, or begin, within the measured time: one in twenty.
        ("fork-per-client+front", _) => off_max(1.1, 0.1 * told.max(1.0)),
        // An arena of the allocator grows.
        (_, "brk" | "mprotect") => off_max(0.2, 0.1),
        _ if WAITS.contains(&name) && told > 0.0 => WAITS_OFF_MAX,
        _ => CALLS_OFF_MAX,
    }
}

/// The same of its wake-ups.
fn wakeups_off_max_of(label: &str) -> f64 {
    match label {
        // Loops without the lock wake ten times a second; that is taken off as well as can be.
        "multi-reactor:processes-lock" => 4.0,
        // Whether the loop sleeps again before a thread gives its connection back.
        "reactor-pool" | "multi-reactor:pool" => 2.0,
        label if label.ends_with("+front") => 2.0,
        _ => WAKEUPS_OFF_MAX,
    }
}

/// The first call that a cell puts at another number than `calls`, but for those by chance.
fn apart(
    what: &str,
    calls: &Calls,
    cell: &str,
    off_max: impl Fn(&str, f64) -> f64,
    by_chance: &[&str],
) -> Option<String> {
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
    let mut names = names.filter(|name| !by_chance.contains(name));
    names.find_map(|name| {
        let made = calls.get(name).copied().unwrap_or(0.0);
        let told = said.get(name).copied().unwrap_or(0.0);
        let off_max = off_max(name, told);
        let agrees = (made - told).abs() <= off_max;
        (!agrees)
            .then(|| format!("{what}: {told} `{name}` told, {made:.2} made, ±{off_max} allowed"))
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
pub fn is_of_the_debug_build(call: &Call) -> bool {
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

const HEAD: &str = "//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |\n//! |---|---|---|---|---|\n";

/// The line of a variant.
fn line(column: &Column, costs: &Costs) -> String {
    let [rest, connection, request, wakeups] = costs.words();
    format!(
        "//! | `{}` | {rest} | {connection} | {request} | {wakeups} |\n",
        column.name_on_page()
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
    let begins = format!("//! | `{}` |", column.name_on_page());
    let theirs = page.lines().find(|line| line.starts_with(&begins));
    // The last cell is how often somebody woke, which a busy machine blurs.
    let cells = theirs.map(|line| {
        line.trim_end_matches(" |")
            .split(" | ")
            .skip(2)
            .collect::<Vec<_>>()
    });
    let differs = match cells {
        Some(cells) => costs.differs(&column.label(), &cells),
        None => Some("it has no line".to_owned()),
    };
    let Some(differs) = differs else {
        return Ok(());
    };
    if !update {
        return Err(format!(
            "{differs}: its page says {theirs:?}, the trace says\n{ours}(`cargo test -p turnstile-command --test fidelity -- --update` writes it)"
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
