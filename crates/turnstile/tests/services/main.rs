//! Services as running programs, on every model: where they are built, when they are dropped, and what
//! becomes of those that misbehave. Rows are behaviours, columns are models.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod bodies;
#[path = "../../../../examples/every_model.rs"]
mod every_model;
mod kinds;
mod program;
mod uploads;

use std::process::ExitCode;

use every_model::Column;
use program::{Program, ended};
use turnstile::{Calls, Count, Holds};

/// What a service of a kind does on a model.
type Row = (&'static str, fn(&Column));

const ROWS: &[Row] = &[
    (
        "a service that cannot be built ends the server",
        unbuildable,
    ),
    ("what was built is dropped in order", dropped_in_order),
    (
        "a panic costs one request, and its worker begins anew",
        panics,
    ),
    ("memory that all must share needs one process", one_process),
    (
        "where a service is silent about memory, the server says that each process has a copy",
        unsaid,
    ),
    (
        "a length of its own, a second body, half a body",
        misbehaves,
    ),
    ("a request that blocks is served aside", served_aside),
    (
        "an async service, or a line that says which models can",
        asynchronous,
    ),
    ("an async handler that never returns is cut", never_returns),
    (
        "events without end hold no loop, and end with the server",
        events,
    ),
    ("a silent body ends with its client", silent),
    (
        "a handler that never returns does not keep the server",
        never_returns_itself,
    ),
    ("a handler learns who asks", bodies::peers),
    ("a large body comes in pieces", bodies::in_pieces),
    (
        "a plain function receives a large body, or a line that says which models can",
        uploads::received,
    ),
];

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    if let Some(kind) = args.iter().position(|arg| arg == "--kind") {
        return program::serve(&args[kind + 1], &args[kind + 2..]);
    }
    if args.iter().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS; // For those who ask a test what it has.
    }
    let filter = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, row) in ROWS {
        if filter.is_none_or(|filter| name.contains(filter.as_str())) {
            for column in every_model::columns() {
                let failed = std::panic::catch_unwind(|| row(&column)).is_err();
                if failed {
                    eprintln!("FAILED: {name}: {}", column.label());
                    return ExitCode::FAILURE;
                }
            }
            println!("ok: {name}");
        }
    }
    let agree = std::panic::catch_unwind(lines_name_the_models).is_ok();
    println!(
        "{}: the lines name the models that can",
        if agree { "ok" } else { "FAILED" }
    );
    ExitCode::from(u8::from(!agree))
}

/// What the lines of the server say of models is what the models say.
fn lines_name_the_models() {
    let named = |list: &str, column: &Column| {
        let (model, label) = (column.model.name, column.label());
        let is_default = std::ptr::eq(column.variant, &raw const column.model.variants[0]);
        list.split(", ")
            .any(|name| name == label || (is_default && name == model))
    };
    for column in every_model::columns() {
        let workers = column.variant.workers;
        let is_default = std::ptr::eq(column.variant, &raw const column.model.variants[0]);
        let one_process = !workers.processes || workers.count == Count::One;
        if is_default {
            assert_eq!(
                named(turnstile::MAY_WAIT, &column),
                column.may_wait(),
                "{}",
                column.label()
            );
            assert_eq!(
                named(turnstile::ONE_PROCESS, &column),
                one_process,
                "{}",
                column.label()
            );
        } else {
            assert!(!named(turnstile::MAY_WAIT, &column) || column.may_wait());
        }
    }
}

fn unbuildable(column: &Column) {
    for kind in ["unbuildable-worker", "unbuildable-process", "late-counter"] {
        let workers = column.variant.workers;
        // The first worker begins with the first client where each client has one.
        let end = match (workers.processes, workers.count) {
            (true, Count::UpTo(_)) => Program::start(kind, column, &[]).ended_by_a_client(),
            _ => ended(kind, column),
        };
        assert_eq!(end.code, Some(1), "{kind}: {end:?}");
        assert_eq!(
            end.stderr.matches("error: ").count(),
            1,
            "one line: {end:?}"
        );
        let why = if kind == "late-counter" {
            "before the server starts"
        } else {
            "no room for it"
        };
        assert!(end.stderr.contains(why), "{end:?}");
        if !workers.processes || workers.count == Count::One {
            assert_eq!(end.stdout, "", "it was known before it listened");
            assert_eq!(end.stderr.lines().count(), 1, "one line: {end:?}");
        }
    }
}

fn dropped_in_order(column: &Column) {
    for kind in ["ordered", "auto-head ordered", "nested"] {
        dropped_in_order_of(kind, column);
    }
}

fn dropped_in_order_of(kind: &str, column: &Column) {
    let program = Program::start(kind, column, &[]);
    assert!(program.get("/").starts_with("HTTP/1.1 200 "));
    let stderr = program.drain();
    let dropped: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.split_once(" dropped "))
        .collect();
    let mut processes: Vec<_> = dropped.iter().map(|(process, _)| *process).collect();
    processes.sort_unstable();
    processes.dedup();
    assert!(!processes.is_empty(), "{kind}: {stderr}");
    for process in processes {
        let theirs: Vec<_> = dropped
            .iter()
            .filter(|(of, _)| *of == process)
            .map(|(_, what)| *what)
            .collect();
        let (last, workers) = theirs.split_last().unwrap();
        assert_eq!(
            *last, "process",
            "the shared part is dropped last: {theirs:?}"
        );
        let numbers: Vec<u32> = workers
            .iter()
            .map(|what| what["worker ".len()..].parse().unwrap())
            .collect();
        assert!(!numbers.is_empty() && numbers.is_sorted(), "{numbers:?}");
    }
}

fn panics(column: &Column) {
    for kind in ["panics", "plain"] {
        let program = Program::start(kind, column, &["--workers", "1"]);
        program.get("/");
        let reply = program.get("/panic");
        assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
        let reply = program.get("/");
        let body = if kind == "panics" { "1" } else { "plain" };
        // Where connections alternate between workers, another one may have counted the first request.
        let counted = reply.ends_with(&format!("\r\n\r\n{body}"));
        let is_other =
            column.variant.workers.calls == Calls::ExtraThread || column.variant.name == "threads";
        assert!(counted || is_other, "{reply}");
        program.drain();
    }
}

fn one_process(column: &Column) {
    for kind in ["one-process", "auto-head one-process"] {
        if column.is_one_process() {
            let program = Program::start(kind, column, &[]);
            for number in 1..=5 {
                assert!(program.get("/").ends_with(&format!("\r\n\r\n{number}")));
            }
            program.drain();
        } else {
            let end = ended(kind, column);
            assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""), "{end:?}");
            assert!(end.stderr.contains(turnstile::ONE_PROCESS), "{end:?}");
        }
    }
    if !column.is_one_process() {
        // Only what is built in each process says it.
        let kind = "nested-one-process";
        let end = match column.variant.workers.count {
            Count::UpTo(_) => Program::start(kind, column, &[]).ended_by_a_client(),
            _ => ended(kind, column),
        };
        assert_eq!(end.code, Some(2), "{end:?}");
        assert!(end.stderr.contains(turnstile::ONE_PROCESS), "{end:?}");
    }
}

fn unsaid(column: &Column) {
    let says = |kind| {
        let program = Program::start(kind, column, &["--workers", "2"]);
        let reply = program.get("/");
        assert!(reply.starts_with("HTTP/1.1 200 "), "{kind}: {reply}");
        let stderr = program.drain();
        stderr.matches(": each process has its own copy").count()
    };
    if column.is_one_process() {
        assert_eq!(says("unsaid"), 0);
        return;
    }
    for kind in ["unsaid", "auto-head unsaid"] {
        assert_eq!(says(kind), 1, "{kind}");
    }
    for kind in ["said", "plain", "who"] {
        assert_eq!(says(kind), 0, "{kind}");
    }
    if column.may_wait() {
        assert_eq!(says("unsaid-async"), 1);
        assert_eq!(says("async"), 0);
    }
}

fn misbehaves(column: &Column) {
    let program = Program::start("plain", column, &[]);
    assert!(program.get("/length").starts_with("HTTP/1.1 500 "));
    assert!(
        program
            .get("/twice")
            .ends_with("Content-Length: 6\r\n\r\nsecond")
    );
    let half = program.get("/half");
    assert!(half.ends_with("Content-Length: 10\r\n\r\nhalf"), "{half}");
    let half = program.get("/half-stream");
    assert!(half.ends_with("\r\n\r\n4\r\nhalf\r\n"), "{half}");
    program.drain();
}

fn served_aside(column: &Column) {
    for kind in ["gate", "auto-head gate"] {
        served_aside_by(kind, column);
    }
    // Only what is built in each process says that it has such requests.
    let workers = column.variant.workers;
    let program = Program::start("nested-gate", column, &[]);
    assert!(program.get("/").ends_with("\r\n\r\n/"));
    let told = program.drain().contains("Built::with_slow_requests");
    assert_eq!(told, matches!(workers.calls, Calls::Loop | Calls::Task));
}

fn served_aside_by(kind: &str, column: &Column) {
    let workers = column.variant.workers;
    let aside = column.variant.needs.aside.is_some() || workers.calls == Calls::ExtraThread;
    let program = if aside {
        Program::start(kind, column, &["--workers", "1"])
    } else if workers.shares {
        Program::start(kind, column, &["--workers", "2"])
    } else {
        // Its loop would be held for ever, which it says.
        let holds = matches!(workers.calls, Calls::Loop | Calls::Task);
        let program = Program::start(kind, column, &[]);
        assert_eq!(program.drain().contains("hold the loop"), holds);
        return;
    };
    let waiting = program.begin("/wait");
    assert!(program.get("/open").ends_with("/open"));
    assert!(program::rest(waiting).ends_with("/wait"));
    assert!(!program.drain().contains("hold the loop"));
}

fn asynchronous(column: &Column) {
    for kind in ["async", "auto-head async"] {
        asynchronous_of(kind, column);
    }
}

fn asynchronous_of(kind: &str, column: &Column) {
    if !column.may_wait() {
        let end = ended(kind, column);
        assert_eq!(end.code, Some(2), "{end:?}");
        assert!(end.stdout.is_empty(), "{end:?}");
        assert_eq!(end.stderr.matches("error: ").count(), 1, "{end:?}");
        assert!(end.stderr.contains(turnstile::MAY_WAIT), "{end:?}");
        return;
    }
    let program = Program::start(kind, column, &[]);
    assert!(program.get("/").ends_with("Content-Length: 5\r\n\r\nasync"));
    // A reply to HEAD has the length of that to GET, which a handler that is told of GET has written.
    let bytes = if kind == "async" { 7 } else { 3 };
    let head = program.head("/method");
    assert!(
        head.ends_with(&format!("Content-Length: {bytes}\r\n\r\n")),
        "{head}"
    );
    for path in ["/panic", "/length", "/half-small"] {
        let reply = program.get(path);
        assert!(reply.starts_with("HTTP/1.1 500 "), "{path}: {reply}");
    }
    let frames = program.get("/frames");
    let chunks = "Transfer-Encoding: chunked\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n";
    assert!(frames.ends_with(chunks), "{frames}");
    let half = program.get("/half");
    assert!(half.ends_with("\r\n\r\n4\r\nhalf\r\n"), "cut: {half}");
    assert!(program.get("/").ends_with("async"), "others go on");
    program.drain();
}

fn never_returns(column: &Column) {
    if column.may_wait() {
        let program = Program::start("async", column, &["--drain-ms", "200"]);
        let waiting = program.begin("/never");
        assert!(program.has_begun(1));
        let stderr = program.drain();
        assert!(stderr.contains(" 1 cut"), "{stderr}");
        assert_eq!(program::rest(waiting), "");
    }
}

/// With one worker, and two clients that take events.
fn events(column: &Column) {
    if !column.may_wait() {
        return;
    }
    let program = Program::start("async", column, &["--workers", "1"]);
    let several = column.variant.workers.holds == Holds::Many;
    let mut streams: Vec<_> = (0..1 + usize::from(several))
        .map(|_| program.begin("/events"))
        .collect();
    for _ in 0..3 {
        for stream in &mut streams {
            program::read_until(stream, kinds::EVENT);
        }
    }
    if several {
        assert!(program.get("/").ends_with("async"), "it holds no worker");
    }
    let stderr = program.drain();
    assert!(stderr.contains(" 0 cut"), "{stderr}");
    for stream in streams {
        let rest = program::rest(stream);
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "complete: {rest}");
    }
}

/// With one worker: where it holds one connection at a time, the next is served only once it has noticed.
fn silent(column: &Column) {
    if !column.may_wait() {
        return;
    }
    let program = Program::start("async", column, &["--workers", "1"]);
    for _ in 0..2 {
        let stream = program.begin("/silent");
        // Closed with unread bytes, it is reset.
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        drop(stream);
        assert!(program.get("/").ends_with("async"), "its worker is free");
    }
    program.drain();
}

/// It holds its worker, or its loop, and no drain waits for it beyond the grace.
fn never_returns_itself(column: &Column) {
    let program = Program::start("plain", column, &["--drain-ms", "200"]);
    let waiting = program.begin("/never");
    assert!(program.has_begun(1));
    program.drain();
    assert_eq!(program::rest(waiting), "");
}
