//! Peers that are too slow. Every deadline is absolute, and none is early.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use turnstile::Calls;

use super::listeners::socket_path;
use super::row;
use crate::design::{
    DRIPPING_READER, OTHERS_BEHIND_WAIT, OTHERS_DURING_SLOW_HEADS, OTHERS_DURING_UNREAD,
    OTHERS_DURING_WAIT, SLOWEST_READER,
};
use crate::harness::{Client, Column, PATIENCE, ms, process};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("unread reply is cut", unread),
    row("slow but steady reader gets all", steady_reader),
    row(SLOWEST_READER, slowest_reader),
    row(DRIPPING_READER, dripping_reader),
    row(
        "a slow reader cannot extend the deadline of a reply",
        slow_reader,
    ),
    row("idle connection is closed", idle),
    row("silent connection is closed", silent),
    row("slow head is cut with 408", slow_head),
    row("slow body is cut with 408", slow_body),
    row("refused client that stays is cut", lingerer),
    row("a wait may outlast the deadlines", wait_is_no_idleness),
    row(OTHERS_DURING_WAIT, others_during_wait),
    row(OTHERS_BEHIND_WAIT, others_behind_wait),
    row(OTHERS_DURING_UNREAD, others_during_unread),
    row(OTHERS_DURING_SLOW_HEADS, others_during_slow_heads),
];

/// The deadline under test, and what a busy machine may add to it.
const DEADLINE: Duration = ms(300);
const LATE: Duration = ms(2_000);

/// Expects the end of the connection when the deadline has passed, counted from `start`.
fn ends_in_time(client: &mut Client, start: Instant) -> anyhow::Result<()> {
    client.end()?;
    is_in_time(start)
}

fn is_in_time(start: Instant) -> anyhow::Result<()> {
    let took = start.elapsed();
    // The client's clock starts a little after the server's, or before.
    ensure!(took >= DEADLINE - ms(30), "too early: {took:?}");
    ensure!(took < DEADLINE + LATE, "too late: {took:?}");
    Ok(())
}

fn idle(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--idle-ms", "300"])?;
    let mut client = server.connect()?;
    let mut last = Instant::now();
    // Activity puts the deadline off.
    for _ in 0..4 {
        last = Instant::now(); // Before the server's clock, however late this one is woken.
        client.get("/")?.expect(200)?;
        client.silence(ms(100))?;
    }
    ends_in_time(&mut client, last)
}

fn silent(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--head-ms", "300"])?;
    let start = Instant::now();
    ends_in_time(&mut server.connect()?, start)
}

/// Sends a byte now and then until the server has had enough; then the reply must be 408.
fn drip(mut client: Client, byte: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut patient = true;
    while patient {
        client.send(byte)?;
        patient = client.hears_nothing(ms(40))?;
        ensure!(start.elapsed() < DEADLINE + LATE, "it lets drip");
    }
    is_in_time(start)?;
    ensure!(client.reply()?.expect(408)?.closes(), "408 closes");
    client.end()
}

fn slow_head(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--head-ms", "300"])?;
    let mut client = server.connect()?;
    client.send("GET / HTTP/1.1\r\nHost: t\r\nX: ")?;
    drip(client, "x").context("the first head")?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    client.send("GET /")?;
    drip(client, "x").context("the second head")
}

fn slow_body(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--body-ms", "300"])?;
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\n";
    let mut client = server.connect()?;
    client.send(format!("{post}Content-Length: 1000\r\n\r\n"))?;
    drip(client, "x").context("a length")?;
    let mut client = server.connect()?;
    client.send(format!("{post}Transfer-Encoding: chunked\r\n\r\nfff\r\n"))?;
    drip(client, "x").context("chunks")
}

fn lingerer(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--linger-ms", "300"])?;
    let mut client = server.connect()?;
    client.send("BAD\r\n\r\n")?;
    client.reply()?.expect(400)?;
    client.end()?;
    // The server has sent FIN and waits for ours; it must not do so for ever.
    let start = Instant::now();
    while client.send("x").is_ok() {
        ensure!(start.elapsed() < DEADLINE + LATE, "it takes bytes for ever");
        std::thread::sleep(ms(10)); // The pace of the sender.
    }
    server.connect()?.get("/")?.expect(200)?;
    Ok(())
}

/// What was cut has left 64 MiB minus what the kernel buffers; what was not, would go on.
fn unread(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--write-ms", "300"])?;
    let (mut hog, mut idler) = (server.connect()?, server.connect()?);
    // Its worker runs, so the time below is the deadline's.
    hog.get("/")?.expect(200)?;
    hog.ask("/bytes/67108864")?;
    idler.silence(DEADLINE + ms(900))?;
    let heard = hog.hear_out()?;
    ensure!(heard < 60 << 20, "{heard} bytes came");
    idler.get("/")?.expect(200)?;
    Ok(())
}

/// Faster than a buffer of output in `--write-ms`, slower than all that is sent in one turn. On a unix
/// socket, whose buffer is small and does not grow, so that the server feels the pace.
fn slowest_reader(column: &Column) -> anyhow::Result<()> {
    let addr = format!("unix:{}", socket_path().display());
    let mut server = column.serve_on(&[&addr], &["--write-ms", "250"])?;
    let mut client = server.connect()?;
    client.ask("/bytes/4194304")?;
    let (_, mut left) = client.reply_to_head()?;
    while left > 0 {
        let piece = left.min(32 << 10);
        let read = client.bytes(piece);
        read.with_context(|| format!("{left} bytes before the end"))?;
        left -= piece;
        std::thread::sleep(ms(12)); // The pace of the reader.
    }
    drop(client);
    server.drain(PATIENCE)?;
    Ok(())
}

/// Slower than a buffer of output in `--write-ms`, but never still: a send that goes on in small steps
/// must not begin the time anew. What was not cut by then would go on as the rest is read fast.
fn dripping_reader(column: &Column) -> anyhow::Result<()> {
    let addr = format!("unix:{}", socket_path().display());
    let limits = ["--write-ms", "1500", "--unsent-bytes-max", "262144"];
    let server = column.serve_on(&[&addr], &limits)?;
    let mut client = server.connect()?;
    let start = Instant::now();
    client.ask("/bytes/67108864")?;
    client.reply_to_head()?;
    while start.elapsed() < ms(4_000) && client.bytes(2 << 10).is_ok() {
        std::thread::sleep(ms(20)); // The pace of the reader.
    }
    let heard = client.hear_out()?;
    ensure!(heard < 2 << 20, "{heard} bytes came after its time");
    Ok(())
}

/// As above on TCP, where a look at the client shows the end only behind megabytes of buffers: the
/// server has closed the connection when it has as many descriptors as before.
fn slow_reader(column: &Column) -> anyhow::Result<()> {
    const WRITE: Duration = ms(3_000);
    let server = column.serve(&["--write-ms", "3000"])?;
    server.connect()?.get("/")?.expect(200)?;
    let before = process::settled(server.pid(), PATIENCE)?;
    let start = Instant::now();
    let mut client = server.connect()?;
    client.buffer_little()?;
    client.ask("/bytes/67108864")?;
    client.reply_to_head()?;
    let took = loop {
        let _ = client.bytes(1 << 10);
        std::thread::sleep(ms(50)); // The pace of the reader: less than a buffer of output in its time.
        let is_closed = process::descriptors(server.pid()) <= before;
        let took = start.elapsed(); // After the count, which takes its time where there are many processes.
        if is_closed {
            break took;
        }
        ensure!(took < WRITE * 2 - ms(200), "not cut after {took:?}");
    };
    ensure!(took >= WRITE - ms(30), "too early: {took:?}");
    Ok(())
}

/// Its deadline is per buffer of output (`Limits::write_ms`), not per response.
fn steady_reader(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--write-ms", "300"])?;
    let mut client = server.connect()?;
    client.buffer_little()?;
    client.ask("/bytes/67108864")?;
    let (mut reply, mut left) = client.reply_to_head()?;
    reply = reply.expect(200)?;
    while left > 0 {
        let piece = left.min(1 << 20);
        let read = client.bytes(piece);
        read.with_context(|| format!("{left} bytes before the end of {reply}"))?;
        left -= piece;
        std::thread::sleep(ms(20)); // The pace of the reader.
    }
    client.get("/")?.expect(200)?;
    Ok(())
}

fn wait_is_no_idleness(column: &Column) -> anyhow::Result<()> {
    let limits = ["--idle-ms", "--head-ms", "--body-ms", "--write-ms"];
    let flags: Vec<_> = limits.iter().flat_map(|limit| [*limit, "100"]).collect();
    let server = column.serve(&flags)?;
    let mut client = server.connect()?;
    for path in ["/wait/350000", "/sleep/350000"] {
        client.get(path)?.expect(200)?;
    }
    Ok(())
}

fn others_during_wait(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let start = Instant::now();
    let mut waiters = Vec::new();
    for _ in 0..8 {
        let mut waiter = server.connect()?;
        waiter.ask("/wait/1500000")?;
        waiters.push(waiter);
    }
    served_by(&mut server.connect()?, start + ms(1_500))?;
    for waiter in &mut waiters {
        waiter.reply()?.expect(200)?;
    }
    ensure!(
        start.elapsed() < ms(4_500),
        "waits take turns: {:?}",
        start.elapsed()
    );
    Ok(())
}

/// Where threads compute, the end of a wait must not have whoever keeps the time compute what comes
/// next. Where a pool is behind loops, the workers are the loops: with one, all share it.
fn others_behind_wait(column: &Column) -> anyhow::Result<()> {
    const SHARED: Moot = Moot("what blocks there, blocks all that its loop or process has");
    ensure!(column.roles.computes == "a thread", SHARED);
    let loops = column.own.workers.calls == Calls::ExtraThread;
    let server = column.serve_with_workers(if loops { 1 } else { 4 }, &[])?;
    let (mut blocker, mut other) = (server.connect()?, server.connect()?);
    other.get("/")?.expect(200)?;
    let start = Instant::now();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
    blocker.send(get("/wait/1000") + &get("/sleep/2000000"))?;
    other.silence(ms(200))?;
    served_by(&mut other, start + ms(2_000))?;
    for _ in 0..2 {
        blocker.reply()?.expect(200)?;
    }
    Ok(())
}

/// Expects replies before `end`.
fn served_by(client: &mut Client, end: Instant) -> anyhow::Result<()> {
    for _ in 0..10 {
        client.get("/")?.expect(200)?;
    }
    ensure!(Instant::now() < end, "served too late");
    Ok(())
}

fn others_during_unread(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--write-ms", "5000"])?;
    let start = Instant::now();
    let mut hogs = Vec::new();
    for _ in 0..4 {
        let mut hog = server.connect()?;
        hog.ask("/bytes/67108864")?;
        hogs.push(hog);
    }
    served_by(&mut server.connect()?, start + ms(4_000))
}

fn others_during_slow_heads(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let start = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect()?;
        client.send("GET / HTTP/1.1\r\n")?;
        slow.push(client);
    }
    served_by(&mut server.connect()?, start + ms(4_000))
}
