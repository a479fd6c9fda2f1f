//! Services as running programs, on every model: where they are built, when they are dropped, and what
//! becomes of those that misbehave. Rows are behaviours, columns are models.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod bodies;
#[path = "../../../../examples/every_model.rs"]
mod every_model;
mod kinds;
mod program;

use std::process::ExitCode;

use every_model::Column;
use program::{Program, ended};
use turnstile::{Calls, Count};

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
        "a handler that never returns does not keep the server",
        never_returns_itself,
    ),
    ("a handler learns who asks", bodies::peers),
    ("a large body comes in pieces", bodies::in_pieces),
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
    let program = Program::start("ordered", column, &[]);
    assert!(program.get("/").starts_with("HTTP/1.1 200 "));
    let stderr = program.drain();
    let dropped: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.split_once(" dropped "))
        .collect();
    let mut processes: Vec<_> = dropped.iter().map(|(process, _)| *process).collect();
    processes.sort_unstable();
    processes.dedup();
    assert!(!processes.is_empty(), "{stderr}");
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
    let workers = column.variant.workers;
    if workers.processes && workers.count != Count::One {
        let end = ended("one-process", column);
        assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""), "{end:?}");
        assert!(end.stderr.contains(turnstile::ONE_PROCESS), "{end:?}");
        return;
    }
    let program = Program::start("one-process", column, &[]);
    for number in 1..=5 {
        assert!(program.get("/").ends_with(&format!("\r\n\r\n{number}")));
    }
    program.drain();
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
    let workers = column.variant.workers;
    let aside = column.variant.needs.aside.is_some() || workers.calls == Calls::ExtraThread;
    let program = if aside {
        Program::start("gate", column, &["--workers", "1"])
    } else if workers.shares {
        Program::start("gate", column, &["--workers", "2"])
    } else {
        // Its loop would be held for ever, which it says.
        let holds = matches!(workers.calls, Calls::Loop | Calls::Task);
        let program = Program::start("gate", column, &[]);
        assert_eq!(program.drain().contains("hold the loop"), holds);
        return;
    };
    let waiting = program.begin("/wait");
    assert!(program.get("/open").ends_with("/open"));
    assert!(program::rest(waiting).ends_with("/wait"));
    assert!(!program.drain().contains("hold the loop"));
}

fn asynchronous(column: &Column) {
    if !column.may_wait() {
        let end = ended("async", column);
        let processes = column.variant.workers.processes;
        assert_eq!(end.code, Some(2), "{end:?}");
        assert!(end.stdout.is_empty() || processes, "{end:?}");
        assert_eq!(end.stderr.matches("error: ").count(), 1, "{end:?}");
        assert!(end.stderr.contains(turnstile::MAY_WAIT), "{end:?}");
        return;
    }
    let program = Program::start("async", column, &[]);
    assert!(program.get("/").ends_with("Content-Length: 5\r\n\r\nasync"));
    for path in ["/panic", "/length", "/half-small"] {
        let reply = program.get(path);
        assert!(reply.starts_with("HTTP/1.1 500 "), "{path}: {reply}");
    }
    let frames = program.get("/frames");
    let chunks = "Transfer-Encoding: chunked\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n";
    assert!(frames.ends_with(chunks), "{frames}");
    let half = program.get("/half");
    let collected = half.starts_with("HTTP/1.1 500 ");
    assert!(
        collected || half.ends_with("\r\n\r\n4\r\nhalf\r\n"),
        "cut, or refused: {half}"
    );
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

/// It holds its worker, or its loop, and no drain waits for it beyond the grace.
fn never_returns_itself(column: &Column) {
    let program = Program::start("plain", column, &["--drain-ms", "200"]);
    let waiting = program.begin("/never");
    assert!(program.has_begun(1));
    program.drain();
    assert_eq!(program::rest(waiting), "");
}
