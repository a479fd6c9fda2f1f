//! One store, many processes and threads: no update is lost, no value is torn, and no connection
//! crosses a fork.
//!
//! A program of its own, because the test harness has threads, and what has threads must not fork.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use common::{Folder, ask, get};
use os::process::{Ended, Fork, exit_now, fork, reap};
use rusqlite::Connection;
use services::{Router, Store};

const PROCESSES: usize = 8;
const THREADS: usize = 4;
const ROUNDS: usize = 40;
/// Long enough for any queue of writers on a busy machine.
const BUSY: Duration = Duration::from_secs(30);

type Check = fn() -> anyhow::Result<()>;

fn main() -> ExitCode {
    let checks: [(&str, Check); 2] = [
        ("no update is lost", no_update_is_lost),
        ("no connection crosses a fork", no_connection_crosses_a_fork),
    ];
    let mut failed = 0;
    for (name, check) in checks {
        // Each in a process of its own: what it opens, no later fork inherits.
        match in_child(check).and_then(|()| all_end_well(1)) {
            Ok(()) => println!("test {name} ... ok"),
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED\n{error:#}");
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let passed = checks.len() - failed;
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured");
    ExitCode::from(if failed == 0 { 0 } else { 101 })
}

/// Runs `body` in a forked process, which says what went wrong and exits.
fn in_child(body: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if let Fork::Child = fork()? {
        let ran = body();
        if let Err(error) = &ran {
            eprintln!("process {}: {error:#}", std::process::id());
        }
        exit_now(i32::from(ran.is_err()));
    }
    Ok(())
}

/// Waits for so many children, all of which must end well.
fn all_end_well(children: usize) -> anyhow::Result<()> {
    let mut bad = 0;
    for _ in 0..children {
        let (_, ended) = reap(true)?.context("a child")?;
        bad += usize::from(ended != Ended::Exited(0));
    }
    ensure!(bad == 0, "{bad} of {children} processes failed");
    Ok(())
}

/// Prepared before the fork, opened after it, as process models do; then in each process threads,
/// as thread models do.
fn no_update_is_lost() -> anyhow::Result<()> {
    let folder = Folder::new("processes");
    let path = folder.at("store");
    let router = Router::new(None, Some(Store::open(&path, BUSY)?));
    for process in 0..PROCESSES {
        in_child(|| hammer_with_threads(&router, process))?;
    }
    all_end_well(PROCESSES)?;
    let store = Connection::open(&path)?;
    let sound: String = store.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    ensure!(sound == "ok", "{sound}");
    let puts_of = |key: &str| -> anyhow::Result<usize> {
        let select = "SELECT puts FROM kv WHERE key = CAST(?1 AS BLOB)";
        let puts: i64 = store.query_row(select, (key,), |row| row.get(0))?;
        Ok(puts as usize)
    };
    // Every PUT to a key that nobody deletes has counted one up, whoever did it.
    let shared = puts_of("shared")?;
    ensure!(shared == PROCESSES * THREADS * ROUNDS, "{shared} updates");
    // Creations and deletions of a key that all fight for take turns.
    let (made, gone) = (tally(&store, "made-%")?, tally(&store, "gone-%")?);
    let left = get(&router, "/kv/fought-for").status;
    let present = usize::from(left == 200);
    ensure!(made == gone + present, "{made} made, {gone} gone, {left}");
    ensure!(gone > 0, "nobody deleted anything");
    Ok(())
}

/// Sum of what the processes have noted under these keys.
fn tally(store: &Connection, like: &str) -> anyhow::Result<usize> {
    let sum =
        "SELECT SUM(CAST(CAST(value AS TEXT) AS INTEGER)) FROM kv WHERE CAST(key AS TEXT) LIKE ?1";
    let sum: i64 = store.query_row(sum, (like,), |row| row.get(0))?;
    Ok(sum as usize)
}

fn hammer_with_threads(router: &Router, process: usize) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || hammer(router, process * THREADS + thread)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(ran) => ran,
                Err(_) => bail!("a thread panicked"),
            })
    })
}

/// One client's part, numbered.
fn hammer(router: &Router, number: usize) -> anyhow::Result<()> {
    let status = |line: &str, value: &[u8], right: &[u16]| -> anyhow::Result<u16> {
        let reply = ask(router, line, "", value);
        ensure!(right.contains(&reply.status), "{line}: {reply:?}");
        Ok(reply.status)
    };
    let (mut made, mut gone) = (0, 0);
    for round in 0..ROUNDS {
        let value = value(number, round);
        status("PUT /kv/shared", &value, &[201, 204])?;
        let shared = get(router, "/kv/shared");
        ensure!(is_whole(&shared.body), "torn: {shared:?}");
        let right = if round == 0 { 201 } else { 204 };
        status(&format!("PUT /kv/own-{number}"), &value, &[right])?;
        let own = get(router, &format!("/kv/own-{number}"));
        ensure!(own.body == value, "not what was put: {own:?}");
        if (number + round).is_multiple_of(2) {
            made += usize::from(status("PUT /kv/fought-for", &value, &[201, 204])? == 201);
        } else {
            gone += usize::from(status("DELETE /kv/fought-for", b"", &[204, 404])? == 204);
        }
    }
    let note = |what: &str, count: usize| {
        let line = format!("PUT /kv/{what}-{number}");
        status(&line, count.to_string().as_bytes(), &[201])
    };
    note("made", made)?;
    note("gone", gone)?;
    Ok(())
}

/// Up to some pages of one byte, so that a value of two writers shows.
fn value(number: usize, round: usize) -> Vec<u8> {
    vec![number as u8; 1 + (round * 977) % 20_000]
}

fn is_whole(value: &[u8]) -> bool {
    let bytes = value.len().saturating_sub(1);
    let lengths = (0..ROUNDS).map(|round| (round * 977) % 20_000);
    value
        .first()
        .is_some_and(|first| value.iter().all(|byte| byte == first))
        && lengths.into_iter().any(|length| length == bytes)
}

/// A process that has used its store and forks has broken the rule; its child must not touch what
/// it inherited, and its own connection goes on.
fn no_connection_crosses_a_fork() -> anyhow::Result<()> {
    let folder = Folder::new("fork");
    let router = Router::new(None, Some(Store::open(&folder.at("store"), BUSY)?));
    in_child(|| {
        let put = ask(&router, "PUT /kv/a", "", b"child").status;
        ensure!(put == 201, "prepared before, used after: {put}");
        Ok(())
    })?;
    all_end_well(1)?;
    ensure!(
        get(&router, "/kv/a").body == b"child",
        "the parent reads it"
    );
    in_child(|| {
        for line in ["GET /kv/a", "PUT /kv/a", "DELETE /kv/a"] {
            let reply = ask(&router, line, "", b"");
            ensure!(reply.status == 500, "{line}: {reply:?}");
        }
        Ok(())
    })?;
    all_end_well(1)?;
    ensure!(
        ask(&router, "PUT /kv/a", "", b"parent").status == 204,
        "the parent writes on"
    );
    Ok(())
}
