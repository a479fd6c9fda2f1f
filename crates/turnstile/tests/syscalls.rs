//! What a request on a warm connection costs in system calls, counted by strace.
//!
//! The figures stand on each model's page under "Cost"; here they are held to them.

mod harness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use harness::process::{self, Signal};
use harness::{Column, PATIENCE, Server, TURNSTILE, columns, eventually};

const WARM_UP: usize = 20;
const COUNTED: usize = 100;

/// Calls for each request beside one `recvfrom` and one `sendto`, by model.
const EXTRA: &[(&str, &[&str])] = &[
    ("iterative", &[]),
    ("fork-per-client", &[]),
    ("prefork", &[]),
    ("thread-pool", &[]),
    ("single-reactor", &["epoll_pwait2"]),
    ("multi-reactor", &["epoll_pwait2"]),
    // Each event disarms the handle, so each request arms it again.
    ("leader-follower", &["epoll_ctl", "epoll_pwait2"]),
];

/// Calls of threads that pass a lock or the lead to each other; how many depends on timing.
const BETWEEN_THREADS: &[&str] = &["futex", "sched_yield"];

/// Calls that no warm connection of any model may make.
const NEVER: &[&str] = &[
    "clock_gettime",
    "gettimeofday",
    "setsockopt",
    "getsockopt",
    "ioctl",
    "fcntl",
    "shutdown",
    "accept4",
    "close",
    "poll",
    "setitimer",
    "mmap",
    "munmap",
    "madvise",
    "clone",
    "clone3",
    "fork",
];

#[test]
fn a_request_on_a_warm_connection() {
    if Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status()
        .is_err()
    {
        println!("skipped: strace is not installed");
        return;
    }
    let mut wrong = Vec::new();
    for column in columns().expect("the command lists its models") {
        match count(&column).and_then(|counts| judge(&column, &counts)) {
            Ok(line) => println!("{:20} {line}", column.label()),
            Err(error) => wrong.push(format!("{}: {error:#}", column.label())),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Compares with what is expected; models that are not in the table yet are only kept from what is
/// never right.
fn judge(column: &Column, counts: &BTreeMap<String, usize>) -> anyhow::Result<String> {
    let line = format!("{counts:?} for {COUNTED} requests");
    for never in NEVER {
        ensure!(
            !counts.contains_key(*never),
            "{never} in the steady state: {line}"
        );
    }
    let Some((_, extra)) = EXTRA.iter().find(|(model, _)| *model == column.model) else {
        return Ok(line);
    };
    let wanted: Vec<_> = ["recvfrom", "sendto"].iter().chain(*extra).collect();
    for call in &wanted {
        let made = counts.get(**call).copied().unwrap_or(0);
        // Where another thread waits next, its call may come before or after a reply that bounds
        // what is counted.
        let edge = usize::from(extra.len() > 1 && extra.contains(call));
        ensure!(
            made.abs_diff(COUNTED) <= edge,
            "{call}: {made} instead of {COUNTED}: {line}"
        );
    }
    for call in counts.keys() {
        let known = wanted.contains(&&call.as_str()) || BETWEEN_THREADS.contains(&call.as_str());
        ensure!(known, "{call} is not accounted for: {line}");
    }
    Ok(line)
}

/// How often each call was made from one reply to the reply `COUNTED` requests later.
fn count(column: &Column) -> anyhow::Result<BTreeMap<String, usize>> {
    let trace = std::env::temp_dir().join(format!(
        "turnstile-{}-{}.strace",
        std::process::id(),
        column.label().replace(':', "-")
    ));
    let lines = record(column, &trace);
    let _ = std::fs::remove_file(&trace);
    let lines = lines?;
    let sent_after = |number: usize| {
        let asked = lines
            .iter()
            .position(|line| line.contains(&format!("/plaintext?n={number:05}")));
        let asked = asked.with_context(|| format!("request {number} is not in the trace"))?;
        let sent = lines[asked..]
            .iter()
            .position(|line| call(line) == Some("sendto"));
        Ok::<_, anyhow::Error>(asked + sent.context("a reply")?)
    };
    let (from, to) = (sent_after(WARM_UP)?, sent_after(WARM_UP + COUNTED)?);
    let mut counts = BTreeMap::new();
    for name in lines[from + 1..=to].iter().filter_map(|line| call(line)) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// Name of the call that a line of the trace begins; nothing for signals and for resumed calls.
fn call(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        .then_some(name)
}

/// Serves some requests one after the other under strace.
fn record(column: &Column, trace: &Path) -> anyhow::Result<Vec<String>> {
    let (mut server, pid) = traced(column, trace)?;
    let mut looks_at_rest = 0;
    eventually("every worker waits", PATIENCE, || {
        looks_at_rest = if process::is_at_rest(pid) {
            looks_at_rest + 1
        } else {
            0
        };
        looks_at_rest == 10
    })?;
    let mut client = server.connect()?;
    for number in 0..=WARM_UP + COUNTED {
        client
            .get(&format!("/plaintext?n={number:05}"))?
            .expect(200)?;
    }
    drop(client);
    process::signal(pid, Signal::TERM);
    server.exit(PATIENCE)?;
    let text = String::from_utf8_lossy(&std::fs::read(trace)?).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// A server under strace, and its process id.
fn traced(column: &Column, trace: &Path) -> anyhow::Result<(Server, u32)> {
    // Few, so that they start soon.
    let serve = column.command(&["127.0.0.1:0"], &column.workers("2"));
    let mut command = Command::new("strace");
    command
        .args(["-f", "-s", "64", "-o"])
        .arg(PathBuf::from(trace))
        .arg(TURNSTILE)
        .args(serve.get_args());
    let server = Server::start(command, 1)?;
    let children = process::children(server.pid());
    let pid = *children.first().context("strace has no child")?;
    Ok((server, pid))
}
