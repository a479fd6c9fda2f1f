//! What is too long or too much. The reply must be seen, even by a client that sends on and on.

use std::sync::Mutex;

use anyhow::{Context, ensure};
use turnstile::{Calls, Count};

use super::row;
use crate::harness::{Column, PATIENCE, Server, run};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("414, seen", long_line),
    row("431, seen", large_head),
    row("413, seen", large_body),
    row("413 of chunks, seen", large_chunks),
    row("refused after good ones, seen", pipelined_refusal),
    row("limits are flags", flags),
    row("values out of range", out_of_range),
    row(MORE_THREADS, more_threads),
];

/// Some of these values are allowed, and more than most machines can have.
const MORE_THREADS: &str = "more threads than can be had";

/// How much a stubborn client sends after what is refused, bytes.
const MORE: usize = 4 << 20;

/// Sends `request` and then much more, and only then reads.
fn refused(server: &Server, request: &str, status: u16) -> anyhow::Result<()> {
    let mut client = server.connect()?;
    client.send(request)?;
    let sent = client.send(vec![b'x'; MORE]);
    let reply = client.reply().and_then(|reply| reply.expect(status));
    let reply = reply.with_context(|| format!("{status}; sending: {sent:?}"))?;
    ensure!(reply.closes(), "{reply}");
    sent.context("the server takes in what it refuses")
}

fn long_line(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    refused(
        &server,
        &format!("GET /{} HTTP/1.1\r\n", "a".repeat(16_384)),
        414,
    )?;
    // What everybody must take (RFC 9112 section 3).
    let long = format!("/{}", "a".repeat(7_980));
    server.connect()?.get(&long)?.expect(404)?;
    Ok(())
}

fn large_head(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let value = "v".repeat(25_000);
    refused(
        &server,
        &format!("GET / HTTP/1.1\r\nHost: t\r\nX: {value}"),
        431,
    )?;
    let fields = |count: usize| -> String {
        (0..count)
            .map(|number| format!("X-{number}: 1\r\n"))
            .collect()
    };
    refused(
        &server,
        &format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", fields(101)),
        431,
    )?;
    let mut client = server.connect()?;
    client.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", fields(99)))?;
    client.reply()?.expect(200)?;
    Ok(())
}

fn large_body(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: ";
    refused(&server, &format!("{post}10485760\r\n\r\n"), 413)?;
    refused(&server, &format!("{post}1048577\r\n\r\n"), 413)?;
    refused(
        &server,
        &format!("{post}99999999999999999999999\r\n\r\n"),
        413,
    )
}

fn large_chunks(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(&server, &format!("{post}100001\r\n"), 413)?;
    refused(&server, &format!("{post}1;{}", "e".repeat(5_000)), 413)?;
    refused(
        &server,
        &format!("{post}0\r\nX: {}", "t".repeat(9_000)),
        431,
    )
}

fn pipelined_refusal(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let good = "GET /bytes/100000 HTTP/1.1\r\nHost: t\r\n\r\n".repeat(3);
    client.send(format!("{good}BAD\r\n\r\n{good}"))?;
    for _ in 0..3 {
        client.reply()?.expect(200)?;
    }
    ensure!(client.reply()?.expect(400)?.closes(), "400 closes");
    client.end()
}

fn flags(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[
        "--line-bytes-max",
        "100",
        "--head-bytes-max",
        "300",
        "--fields-max",
        "3",
        "--body-bytes-max",
        "10",
        "--empty-lines-max",
        "0",
    ])?;
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
    let body = |bytes: usize| {
        let body = "b".repeat(bytes);
        format!("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: {bytes}\r\n\r\n{body}")
    };
    for (request, status) in [
        (get(""), 200),
        (
            format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(100)),
            414,
        ),
        (get(&format!("A: {}\r\n", "a".repeat(300))), 431),
        (get("A: 1\r\nB: 2\r\n"), 200),
        (get("A: 1\r\nB: 2\r\nC: 3\r\n"), 431),
        (body(10), 200),
        (body(11), 413),
        (format!("\r\n{}", get("")), 400),
    ] {
        let mut client = server.connect()?;
        client.send(&request)?;
        let reply = client.reply().and_then(|reply| reply.expect(status));
        reply.with_context(|| request)?;
    }
    Ok(())
}

/// One line and exit code 2, before it listens.
fn out_of_range(column: &Column) -> anyhow::Result<()> {
    for flag in [
        "--threads-max=9223372036854775808",
        "--queue-max=9223372036854775808",
        "--events-max=9223372036854775808",
        "--input-bytes=1000000000000",
        "--lent-buffers=32769",
        "--backlog=-5",
        "--idle-ms=18446744073709551615",
        "--workers=65537",
        "--connections-max=18446744073709551615",
        "--body-bytes-max=18446744073709551615",
        "--unsent-bytes-max=18446744073709551615",
        "--turn-bytes-max=18446744073709551615",
    ] {
        let exit = run(column.command(&["127.0.0.1:0"], &[flag]))?;
        ensure!(
            exit.code == Some(2) && exit.stdout.is_empty(),
            "{flag}: {exit:?}"
        );
        let name = flag.split('=').next().unwrap_or(flag);
        let lines = exit.stderr.lines().count();
        ensure!(lines == 1 && exit.stderr.contains(name), "{flag}: {exit:?}");
    }
    Ok(())
}

/// It serves with that many, or it ends in one line before it listens.
fn more_threads(column: &Column) -> anyhow::Result<()> {
    let workers = column.own.workers;
    if workers.processes || matches!(workers.count, Count::One | Count::UpTo(_)) {
        return Err(Moot("it starts no threads by these numbers").into());
    }
    let mut flags = vec!["--workers=17000", "--workers=60000"];
    if workers.calls == Calls::ExtraThread {
        flags.push("--threads-max=65536");
    }
    // A machine that can have them has them once.
    static THREADS: Mutex<()> = Mutex::new(());
    let _alone = THREADS.lock();
    for flag in flags {
        if let Ok(mut server) = column.serve(&[flag, "--drain-idle-ms", "100"]) {
            server.connect()?.get("/")?.expect(200).context(flag)?;
            server.drain(PATIENCE).context(flag)?;
            continue;
        }
        let exit = run(column.command(&["127.0.0.1:0"], &[flag]))?;
        let errors = exit.stderr.lines();
        let errors = errors.filter(|line| line.starts_with("error: ")).count();
        ensure!(
            matches!(exit.code, Some(1 | 2)) && exit.stdout.is_empty() && errors == 1,
            "{flag}: {exit:?}"
        );
        ensure!(!exit.stderr.contains("panicked"), "{flag}: {exit:?}");
    }
    Ok(())
}
