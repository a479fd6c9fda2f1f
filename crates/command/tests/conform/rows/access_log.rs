//! The access log: a line for each request, whatever becomes of the file meanwhile.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};

use super::listeners::socket_path;
use super::metrics::{serve, shows};
use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Column, PATIENCE, Server, eventually, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("access log: a line per request, combined", combined),
    row("access log: a line per request, json", json),
    row("access log: to standard error", to_stderr),
    row("access log: to a datagram socket", to_datagrams),
    row("access log: reopened on SIGUSR1 and SIGHUP", reopened),
    row("access log: what is dropped is counted", dropped),
];

/// Connections, and requests on each.
const CONNECTIONS: usize = 3;
const REQUESTS: usize = 4;

/// Sends requests that differ, and one that is no request.
fn drive(server: &Server, from: usize) -> anyhow::Result<()> {
    for connection in from..from + CONNECTIONS {
        let mut client = server.connect()?;
        for request in 0..REQUESTS {
            client.send(format!(
                "GET /json?n={connection}.{request} HTTP/1.1\r\nHost: t\r\nUser-Agent: a\"b\\c\r\n\r\n"
            ))?;
            client.reply()?.expect(200)?;
        }
        client.finish_writing()?;
        client.end()?;
    }
    let mut bad = server.connect()?;
    bad.send("BAD\r\n\r\n")?;
    bad.reply()?.expect(400)?;
    Ok(())
}

/// The lines of a file, each of them whole.
fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file).context("the log")?;
    ensure!(text.is_empty() || text.ends_with('\n'), "a line has no end");
    Ok(text.lines().map(str::to_owned).collect())
}

/// Each request has one line, and only they have.
fn check(lines: &[String], connections: std::ops::Range<usize>) -> anyhow::Result<()> {
    let refused = connections.len() / CONNECTIONS;
    let all = connections.len() * REQUESTS + refused;
    ensure!(
        lines.len() == all,
        "{} lines, not {all}: {lines:#?}",
        lines.len()
    );
    for connection in connections {
        for request in 0..REQUESTS {
            let target = format!("/json?n={connection}.{request}");
            let is_it = |line: &&String| {
                line.contains(&format!("{target} ")) || line.contains(&format!("{target}\""))
            };
            let count = lines.iter().filter(is_it).count();
            ensure!(count == 1, "{target} has {count} lines: {lines:#?}");
        }
    }
    Ok(())
}

/// A server that writes to a file in this format, and the lines once it has ended.
fn lines_of(column: &Column, format: &str) -> anyhow::Result<Vec<String>> {
    let file = socket_path().with_extension("log");
    let name = file.to_str().context("a path of text")?;
    let mut server = column.serve(&["--access-log", name, "--access-log-format", format])?;
    drive(&server, 0)?;
    server.drain(PATIENCE)?;
    let lines = lines(&file);
    std::fs::remove_file(&file)?;
    lines
}

fn combined(column: &Column) -> anyhow::Result<()> {
    let lines = lines_of(column, "combined")?;
    check(&lines, 0..CONNECTIONS)?;
    let good = lines.iter().filter(|line| !line.contains("\" 400 "));
    for line in good {
        ensure!(
            line.starts_with("127.0.0.1 - - [")
                && line.contains(" +0000] \"GET /json?n=")
                && line.ends_with(" HTTP/1.1\" 200 27 \"-\" \"a\\x22b\\x5Cc\""),
            "{line}"
        );
    }
    let bad = lines.iter().filter(|line| line.contains("] \"-\" 400 "));
    ensure!(bad.count() == 1, "{lines:#?}");
    Ok(())
}

fn json(column: &Column) -> anyhow::Result<()> {
    let lines = lines_of(column, "json")?;
    check(&lines, 0..CONNECTIONS)?;
    let mut refused = 0;
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line).context("a line of JSON")?;
        ensure!(value["client"] == "127.0.0.1", "{line}");
        ensure!(
            value["time"].is_string() && value["duration_us"].is_u64(),
            "{line}"
        );
        if value["status"] == 400 {
            refused += 1;
            ensure!(
                value["method"].is_null() && value["target"].is_null(),
                "{line}"
            );
        } else {
            ensure!(
                value["method"] == "GET"
                    && value["status"] == 200
                    && value["bytes"] == 27
                    && value["version"] == "1.1"
                    && value["user_agent"] == "a\"b\\c",
                "{line}"
            );
        }
    }
    ensure!(refused == 1, "{lines:#?}");
    Ok(())
}

/// Beside the messages of the server.
fn to_stderr(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--access-log", "-"])?;
    drive(&server, 0)?;
    let exit = server.drain(PATIENCE)?;
    let (messages, lines): (Vec<_>, Vec<_>) = exit
        .stderr
        .lines()
        .map(str::to_owned)
        .partition(|line| line.starts_with("turnstile: "));
    ensure!(
        messages.iter().any(|line| line.contains("drained:")),
        "{messages:?}"
    );
    check(&lines, 0..CONNECTIONS)
}

/// A receiver that reads gets a datagram for each line.
fn to_datagrams(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let receiver = UnixDatagram::bind(&path)?;
    receiver.set_read_timeout(Some(ms(50)))?;
    let target = format!("unix:{}", path.display());
    let mut server = column.serve(&["--access-log", &target])?;
    let over = AtomicBool::new(false);
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&receiver, &over));
        let driven = drive(&server, 0).and_then(|()| server.drain(PATIENCE));
        over.store(true, Ordering::Relaxed);
        let received = receiver.join().expect("it does not panic");
        driven.map(|_| received)
    });
    std::fs::remove_file(&path)?;
    check(&received?, 0..CONNECTIONS)
}

/// What a socket receives until it is over, and nothing is left.
fn receive(socket: &UnixDatagram, over: &AtomicBool) -> Vec<String> {
    let (mut lines, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let ends = over.load(Ordering::Relaxed);
        match socket.recv(&mut buffer) {
            Ok(bytes) => lines.push(String::from_utf8_lossy(&buffer[..bytes]).into_owned()),
            Err(_) if ends => return lines,
            Err(_) => {}
        }
    }
}

fn reopened(column: &Column) -> anyhow::Result<()> {
    for signal in [Signal::USR1, Signal::HUP] {
        reopened_on(signal, column).with_context(|| format!("{signal:?}"))?;
    }
    Ok(())
}

/// What was written before stays where the file was moved to.
fn reopened_on(signal: Signal, column: &Column) -> anyhow::Result<()> {
    let file = socket_path().with_extension("log");
    let old = file.with_extension("old");
    let name = file.to_str().context("a path of text")?;
    let mut server = column.serve(&["--access-log", name])?;
    drive(&server, 0)?;
    eventually("the lines of the first requests", PATIENCE, || {
        lines(&file).is_ok_and(|lines| lines.len() == CONNECTIONS * REQUESTS + 1)
    })?;
    std::fs::rename(&file, &old)?;
    process::signal(server.pid(), signal);
    eventually("a new file", PATIENCE, || file.exists())?;
    drive(&server, CONNECTIONS)?;
    server.drain(PATIENCE)?;
    let (before, after) = (lines(&old)?, lines(&file)?);
    std::fs::remove_file(&old)?;
    std::fs::remove_file(&file)?;
    check(&before, 0..CONNECTIONS)?;
    check(&after, CONNECTIONS..2 * CONNECTIONS)
}

/// A socket that no process reads from takes some lines; no worker waits for the others.
fn dropped(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let unread = UnixDatagram::bind(&path)?;
    let target = format!("unix:{}", path.display());
    let (mut server, admin) = serve(column, &["--access-log", &target])?;
    // The kernel keeps net.unix.max_dgram_qlen datagrams, 512 at most on usual systems.
    let (connections, each) = (3, 400);
    for _ in 0..connections {
        let mut client = server.connect()?;
        for _ in 0..each {
            client.get("/json")?.expect(200)?;
        }
    }
    let all = f64::from(connections * each);
    let count = |page: &crate::harness::Page, name| page.value(name).unwrap_or(f64::NAN);
    let page = shows(&admin, "each line written or counted", |page| {
        let written = count(page, "turnstile_access_log_lines_total");
        written + count(page, "turnstile_access_log_dropped_total") == all
    })?;
    let dropped = page.value("turnstile_access_log_dropped_total")?;
    ensure!(
        dropped > 0.0,
        "a socket that no process reads has taken all"
    );
    let exit = server.drain(PATIENCE)?;
    ensure!(
        exit.stderr
            .contains(&format!("{dropped} lines of the access log were dropped")),
        "{exit:?}"
    );
    drop(unread);
    std::fs::remove_file(&path)?;
    Ok(())
}
