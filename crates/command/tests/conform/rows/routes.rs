//! Every route, every method.

use std::time::Instant;

use anyhow::{Context, ensure};

use super::row;
use crate::harness::{Client, Column, PATIENCE, eventually, ms, process};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("64 MiB", whole_64_mib),
    row("tiny replies", tiny),
    row("echo", echo),
    row("bytes", bytes),
    row("cpu, wait and sleep take their time", takes_time),
    row("work burns, blocks, waits and replies", work),
    row(
        "a wait behind a blocked second is as long as asked",
        wait_behind_blocked,
    ),
    row("whoami", whoami),
    row("HEAD", head),
    row("404, 405, 501, OPTIONS", methods),
];

/// What blocks before it waits must not be waited for once more, by a clock from before it: that would be the whole
/// second again.
fn wait_behind_blocked(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let start = Instant::now();
    client.get("/work/0/1000000/10000/5")?.expect(200)?;
    let took = start.elapsed();
    ensure!(took >= ms(1_000) && took < ms(1_900), "it took {took:?}");
    Ok(())
}

fn work(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for size in [0, 13, 65_537] {
        let reply = client.get(&format!("/work/0/0/0/{size}"))?.expect(200)?;
        let same = reply.body.iter().enumerate();
        ensure!(
            reply.body.len() == size,
            "{size} bytes, not {}",
            reply.body.len()
        );
        ensure!(
            same.clone().all(|(at, byte)| *byte == pattern(at)),
            "other bytes"
        );
    }
    // What blocks or waits takes its time: at least half of it, since a wait counts from the clock that a
    // loop has read last, and the loop may have lost its CPU since.
    for path in [
        "/work/100/20000/0/5",
        "/work/100/0/20000/5",
        "/work/0/10000/10000/5",
    ] {
        let start = Instant::now();
        let reply = client.get(path)?.expect(200)?;
        ensure!(
            start.elapsed() >= ms(10),
            "{path} took {:?}",
            start.elapsed()
        );
        ensure!(reply.body == b"abcde", "{path}: {reply}");
    }
    client.get("/work/50/0/0/1?lock=store")?.expect(200)?;
    client.send("POST /work/10/0/0/2 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nxyz")?;
    ensure!(
        client.reply()?.expect(200)?.body == b"ab",
        "a body is taken"
    );
    for bad in [
        "1/2/3",
        "1/2/3/4/5",
        "-1/0/0/0",
        "60000001/0/0/0",
        "0/0/0/67108865",
        "a/0/0/0",
    ] {
        client.get(&format!("/work/{bad}"))?.expect(400)?;
    }
    client.get("/work/0/0/0/1?colour=red")?.expect(400)?;
    Ok(())
}

fn tiny(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for _ in 0..3 {
        for path in ["/", "/plaintext", "/plaintext?a=b"] {
            let reply = client.get(path)?.expect(200)?;
            ensure!(reply.body == b"Hello, World!", "{path}: {reply}");
            ensure!(reply.field("content-type") == Some("text/plain"), "{reply}");
            ensure!(reply.field("connection").is_none(), "{reply}");
        }
        let reply = client.get("/json")?.expect(200)?;
        ensure!(reply.body == br#"{"message":"Hello, World!"}"#, "{reply}");
        ensure!(
            reply.field("content-type") == Some("application/json"),
            "{reply}"
        );
    }
    client.silence(ms(20))
}

fn echo(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for size in [0, 1, 1_000, 65_536, 100_000, 1 << 20] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: {size}\r\n\r\n"
        ))?;
        client.send(&body)?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.body == body, "an echo of {size} bytes differs");
    }
    Ok(())
}

/// What `/bytes` sends at `at`.
pub fn pattern(at: usize) -> u8 {
    b'a' + (at % (16 << 10) % 26) as u8
}

fn bytes(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for size in [0, 1, 4_096, 65_536, 65_537, 1_000_000] {
        let reply = client.get(&format!("/bytes/{size}"))?.expect(200)?;
        ensure!(
            reply.body.len() == size,
            "{size} bytes, not {}",
            reply.body.len()
        );
        let same = reply
            .body
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == pattern(at));
        ensure!(same, "{size} bytes differ from the pattern");
    }
    for bad in ["67108865", "-1", "", "x", "1x", "99999999999999999999"] {
        client.get(&format!("/bytes/{bad}"))?.expect(400)?;
    }
    Ok(())
}

fn whole_64_mib(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let reply = client.get("/bytes/67108864")?.expect(200)?;
    ensure!(reply.body.len() == 64 << 20, "{} bytes", reply.body.len());
    ensure!(
        reply.body.last() == Some(&pattern((64 << 20) - 1)),
        "its end"
    );
    client.get("/")?.expect(200)?;
    Ok(())
}

fn takes_time(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for path in ["/wait/60000", "/sleep/60000"] {
        let start = Instant::now();
        client.get(path)?.expect(200)?;
        ensure!(
            start.elapsed() >= ms(60),
            "{path} took {:?}",
            start.elapsed()
        );
        client.silence(ms(10))?;
    }
    let before = process::cpu(server.pid());
    client.get("/cpu/200000")?.expect(200)?;
    // A child that is reaped while processes are read, one after another, is in no sum for that moment.
    eventually("/cpu/200000 has burnt 60 ms", PATIENCE, || {
        process::cpu(server.pid()).saturating_sub(before) >= ms(60)
    })?;
    for bad in ["/wait/60000001", "/sleep/x", "/cpu/-1", "/wait/"] {
        client.get(bad)?.expect(400)?;
    }
    client.get("/wait/0")?.expect(200)?;
    Ok(())
}

fn whoami(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let mut before = None;
    for _ in 0..3 {
        let who = ask_who(&mut client)?;
        let number = |name: &str| who[name].as_u64().with_context(|| format!("{name}: {who}"));
        ensure!(who["model"] == column.model.as_str(), "{who}");
        ensure!(who["variant"].is_string(), "{who}");
        let pid = number("pid")? as u32;
        let family = process::family(server.pid());
        ensure!(family.iter().any(|one| one.pid == pid), "a stranger: {who}");
        let thread = number("thread")?;
        let task = format!("/proc/{pid}/task/{thread}");
        ensure!(std::path::Path::new(&task).exists(), "no {task}");
        ensure!(number("worker")? < 65_536, "{who}");
        let requests = number("requests")?;
        // Where threads take turns at a connection, each counts its own.
        if let Some((same, count)) = before.replace((thread, requests))
            && same == thread
        {
            ensure!(requests > count, "{requests} after {count}");
        }
    }
    Ok(())
}

/// The answer of `/whoami`.
pub fn ask_who(client: &mut Client) -> anyhow::Result<serde_json::Value> {
    let reply = client.get("/whoami")?.expect(200)?;
    serde_json::from_slice(&reply.body).with_context(|| reply.to_string())
}

/// The process that serves this connection.
pub fn pid_behind(client: &mut Client) -> anyhow::Result<u32> {
    let who = ask_who(client)?;
    who["pid"].as_u64().map(|pid| pid as u32).context("pid")
}

/// The process that has written a reply of `/whoami`.
pub fn pid_of(reply: &crate::harness::Reply) -> anyhow::Result<u32> {
    let who: serde_json::Value = serde_json::from_slice(&reply.body)?;
    who["pid"].as_u64().map(|pid| pid as u32).context("pid")
}

fn head(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for (path, length) in [("/", 13), ("/json", 27), ("/bytes/67108864", 64 << 20)] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n"))?;
        let (reply, told) = client.reply_to_head()?;
        ensure!(
            reply.expect(200).is_ok() && told == length,
            "HEAD {path}: {told}"
        );
        client.silence(ms(5))?;
    }
    client.send("HEAD /nothing HTTP/1.1\r\nHost: t\r\n\r\n")?;
    client.reply_to_head()?.0.expect(404)?;
    client.get("/")?.expect(200)?;
    Ok(())
}

fn methods(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let mut ask = |line: &str, status, allow: Option<&str>| -> anyhow::Result<()> {
        client.send(format!("{line} HTTP/1.1\r\nHost: t\r\n\r\n"))?;
        let reply = client.reply().and_then(|reply| reply.expect(status));
        let reply = reply.with_context(|| line.to_owned())?;
        ensure!(reply.field("allow") == allow, "{line}: {reply}");
        Ok(())
    };
    let (gets, posts) = (Some("GET, HEAD, OPTIONS"), Some("POST, OPTIONS"));
    ask("GET /nothing", 404, None)?;
    ask("POST /nothing/at/all", 404, None)?;
    ask("POST /", 405, gets)?;
    ask("DELETE /bytes/1", 405, gets)?;
    ask("TRACE /json", 405, gets)?;
    ask("GET /echo", 405, posts)?;
    ask("BREW /", 501, None)?;
    ask("get /", 501, None)?;
    ask(
        "OPTIONS *",
        204,
        Some("GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    )?;
    ask("OPTIONS /", 204, gets)?;
    ask("OPTIONS /echo", 204, posts)
}
