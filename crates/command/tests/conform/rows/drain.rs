//! SIGTERM and SIGINT: nothing that was begun is lost, and the end comes.

use std::time::Instant;

use anyhow::{Context, ensure};

use super::framing::numbered;
use super::row;
use crate::design::{DRAIN_IDLE, DRAIN_LAST_REQUEST, DRAIN_RACE};
use crate::harness::process::Signal;
use crate::harness::{Client, Column, PATIENCE, Server, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("drain: cut at --drain-ms: unread", |column| {
        cut(column, "/bytes/67108864")
    }),
    row("drain: cut at --drain-ms: wait", |column| {
        cut(column, "/wait/60000000")
    }),
    row("drain: cut at --drain-ms: sleep", |column| {
        cut(column, "/sleep/60000000")
    }),
    row(DRAIN_IDLE, idle),
    row(DRAIN_LAST_REQUEST, last_request),
    row(DRAIN_RACE, race),
    row("drain: wait in flight", |column| {
        in_flight(column, "/wait/400000")
    }),
    row("drain: sleep in flight", |column| {
        in_flight(column, "/sleep/400000")
    }),
    row("drain: pipelined behind a sleep", pipelined),
    row("drain: upload in flight", upload),
    row("drain: download in flight", download),
    row("drain: the backlog is served", backlog),
    row("drain: new connections", refuses),
    row("drain: short connections all the while", stampede),
    row("SIGTERM without connections", |column| {
        alone(column, Signal::TERM)
    }),
    row("SIGINT without connections", |column| {
        alone(column, Signal::INT)
    }),
    row("SIGTERM twice", twice),
    row("SIGTERM twice hurries", |column| {
        ends_soon(column, &[Signal::TERM, Signal::TERM])
    }),
    row("SIGQUIT ends at once", |column| {
        ends_soon(column, &[Signal::QUIT])
    }),
    row("SIGHUP changes nothing", hang_up),
];

fn alone(column: &Column, signal: Signal) -> anyhow::Result<()> {
    let mut server = column.serve(&[])?;
    server.signal(signal);
    let exit = server.ends_well(ms(2_000))?;
    ensure!(
        exit.stderr.contains("drained: 0 connections, 0 requests"),
        "{exit:?}"
    );
    Ok(())
}

fn twice(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.ask("/sleep/200000")?;
    // Either signal may come after the reply on a machine that is busy, which is as good: what was asked is
    // answered, within the second that a hurried drain has.
    client.hears_nothing(ms(50))?;
    server.signal(Signal::TERM);
    client.hears_nothing(ms(50))?;
    server.signal(Signal::INT);
    client.reply()?.expect(200)?;
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// Connections that have had a reply and wait; the a model that may not serve more at once has but one of them.
fn idlers(server: &Server, column: &Column) -> anyhow::Result<Vec<Client>> {
    let count = column.clients_at_once(5);
    (0..count)
        .map(|_| {
            let mut client = server.connect()?;
            client.get("/")?.expect(200)?;
            Ok(client)
        })
        .collect()
}

fn idle(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "300"])?;
    let mut idlers = idlers(&server, column)?;
    let start = Instant::now();
    server.signal(Signal::TERM);
    for client in &mut idlers {
        client.end()?;
        let took = start.elapsed();
        ensure!(took >= ms(280), "closed after {took:?}, before its grace");
        ensure!(took < ms(2_000), "closed only after {took:?}");
    }
    server.ends_well(ms(1_500))?;
    Ok(())
}

fn last_request(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "1500"])?;
    let mut idlers = idlers(&server, column)?;
    server.signal(Signal::TERM);
    idlers[0]
        .silence(ms(150))
        .context("it must not close at once")?;
    for client in &mut idlers {
        ensure!(
            client.get("/json")?.expect(200)?.closes(),
            "it must say close"
        );
        client.end()?;
    }
    // Nobody is left, so nothing is left to wait for.
    server.ends_well(ms(1_000))?;
    Ok(())
}

fn race(column: &Column) -> anyhow::Result<()> {
    for _ in 0..3 {
        let mut server = column.serve(&["--drain-idle-ms", "400"])?;
        let mut idlers = idlers(&server, column)?;
        server.signal(Signal::TERM);
        for client in &mut idlers {
            client.ask("/json")?;
        }
        for client in &mut idlers {
            client.reply()?.expect(200)?;
            client.end()?;
        }
        server.ends_well(ms(2_000))?;
    }
    Ok(())
}

fn in_flight(column: &Column, path: &str) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    client.ask(path)?;
    client.silence(ms(150))?;
    server.signal(Signal::TERM);
    let reply = client.reply()?.expect(200)?;
    ensure!(reply.closes(), "it must say close: {reply}");
    client.end()?;
    server.ends_well(ms(1_500))?;
    Ok(())
}

/// Requests that were there before the signal. After a reply that says close, no other follows.
fn pipelined(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    let more = numbered(3);
    client.send(format!(
        "GET /sleep/300000 HTTP/1.1\r\nHost: t\r\n\r\n{more}"
    ))?;
    client.silence(ms(100))?;
    server.signal(Signal::TERM);
    let mut count = 0;
    while !client.reply()?.expect(200)?.closes() {
        count += 1;
        ensure!(count < 4, "four replies, and none says close");
    }
    client.end()?;
    server.ends_well(ms(1_500))?;
    Ok(())
}

fn upload(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello")?;
    client.silence(ms(100))?;
    server.signal(Signal::TERM);
    client.silence(ms(400))?;
    client.send("world")?;
    let reply = client.reply()?.expect(200)?;
    ensure!(reply.body == b"helloworld" && reply.closes(), "{reply}");
    client.end()?;
    server.ends_well(ms(1_500))?;
    Ok(())
}

fn download(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    client.ask("/bytes/67108864")?;
    let (_, length) = client.reply_to_head()?;
    server.signal(Signal::TERM);
    std::thread::sleep(ms(300)); // A reader that pauses.
    client.bytes(length)?;
    client.end()?;
    server.ends_well(ms(1_500))?;
    Ok(())
}

/// Connections that nobody has accepted when the signal comes: the one worker sleeps.
fn backlog(column: &Column) -> anyhow::Result<()> {
    let few = ["--drain-idle-ms", "100", "--threads-max", "1"];
    let mut server = column.serve_with_workers(1, &few)?;
    // Where a request that sleeps takes its thread with it, there is one thread more.
    let sleepers = 1 + usize::from(column.own.needs.aside.is_some());
    let mut first: Vec<_> = (0..sleepers)
        .map(|_| server.connect())
        .collect::<Result<_, _>>()?;
    for client in &mut first {
        client.ask("/sleep/500000")?;
        client.silence(ms(100))?; // It has the worker before anybody else comes.
    }
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect()?;
        client.ask("/json")?;
        waiting.push(client);
    }
    first[0].silence(ms(100))?;
    server.signal(Signal::TERM);
    for mut client in first {
        client.reply()?.expect(200)?;
    }
    for (number, client) in waiting.iter_mut().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        let reply = reply.with_context(|| format!("number {number} in the backlog"))?;
        ensure!(reply.closes(), "number {number} must say close");
        client.end()?;
    }
    server.ends_well(ms(2_000))?;
    Ok(())
}

/// During a drain a connection is served or refused, never reset.
fn refuses(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100"])?;
    let mut busy = server.connect()?;
    busy.ask("/wait/500000")?;
    busy.silence(ms(100))?;
    server.signal(Signal::TERM);
    busy.silence(ms(100))?;
    match server.connect() {
        Ok(mut late) => {
            late.ask("/")?;
            ensure!(late.reply()?.expect(200)?.closes(), "it must say close");
        }
        Err(error) => {
            let refused = error.root_cause().downcast_ref::<std::io::Error>();
            let kind = refused.map(std::io::Error::kind);
            ensure!(
                kind == Some(std::io::ErrorKind::ConnectionRefused),
                "{error:#}"
            );
        }
    }
    busy.reply()?.expect(200)?;
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// How many drains a cell makes: one, unless `TURNSTILE_DRAINS` says more. Then it prints what became of them.
fn drains() -> Option<usize> {
    std::env::var("TURNSTILE_DRAINS").ok()?.parse().ok()
}

/// Clients that come and go while the signal comes: each is served, or refused at the listener. A client that could
/// connect and is not served is lost, and that fails.
fn stampede(column: &Column) -> anyhow::Result<()> {
    let asked = drains();
    let (mut served, mut refused) = (0, 0);
    for number in 0..asked.unwrap_or(1) {
        let drained = drain_under_load(column).with_context(|| format!("drain {number}"))?;
        served += drained.0;
        refused += drained.1;
    }
    if let Some(asked) = asked {
        let label = column.label();
        println!(
            "{label}: {asked} drains: {served} served, {refused} refused, 0 accepted and lost"
        );
    }
    Ok(())
}

/// How many were served, and refused, in one drain.
fn drain_under_load(column: &Column) -> anyhow::Result<(u64, u64)> {
    let mut server = column.serve(&["--drain-idle-ms", "1500"])?;
    let addr = server.addrs[0].clone();
    let start = Instant::now();
    let counted = std::thread::scope(|scope| {
        let visitor = || {
            let mut served = 0;
            while start.elapsed() < PATIENCE {
                let mut client = match Client::connect(&addr) {
                    Ok(client) => client,
                    Err(error) => {
                        // Refused is not lost, and anything else is neither.
                        let cause = error.root_cause().downcast_ref::<std::io::Error>();
                        let kind = cause.map(std::io::Error::kind);
                        let refused = kind == Some(std::io::ErrorKind::ConnectionRefused);
                        ensure!(refused, "{error:#}");
                        return Ok(served);
                    }
                };
                let asked = client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
                let reply = asked.and_then(|()| client.reply());
                let reply = reply.and_then(|reply| reply.expect(200));
                reply.with_context(|| format!("accepted and lost, after {served} were served"))?;
                client.end()?;
                served += 1;
            }
            anyhow::bail!("the listener is never shut")
        };
        let visitors: Vec<_> = (0..6).map(|_| scope.spawn(visitor)).collect();
        std::thread::sleep(ms(150)); // Any moment will do.
        server.signal(Signal::TERM);
        let mut counted = (0, 0);
        for visitor in visitors {
            let served = visitor.join().expect("visitors return their errors")?;
            ensure!(served > 0, "not one was served");
            counted.0 += served;
            counted.1 += 1; // Each comes until it is refused.
        }
        Ok(counted)
    })?;
    server.ends_well(PATIENCE)?;
    Ok(counted)
}

fn cut(column: &Column, path: &str) -> anyhow::Result<()> {
    let mut server = column.serve(&["--drain-idle-ms", "100", "--drain-ms", "500"])?;
    let mut client = server.connect()?;
    client.ask(path)?;
    if path.starts_with("/bytes") {
        client.reply_to_head()?;
    } else {
        client.silence(ms(150))?;
    }
    let start = Instant::now();
    server.signal(Signal::TERM);
    let exit = server.ends_well(ms(3_000))?;
    ensure!(
        start.elapsed() >= ms(480),
        "cut after {:?}",
        start.elapsed()
    );
    ensure!(
        exit.stderr.contains(" 1 cut"),
        "it must count: {}",
        exit.stderr
    );
    let heard = client.hear_out()?;
    ensure!(heard < 60 << 20, "{heard} bytes came");
    Ok(())
}

/// A request that would take a minute does not.
fn ends_soon(column: &Column, signals: &[Signal]) -> anyhow::Result<()> {
    for path in ["/wait/60000000", "/sleep/60000000"] {
        let mut server = column.serve(&["--drain-idle-ms", "100"])?;
        let mut client = server.connect()?;
        client.ask(path)?;
        client.silence(ms(150))?;
        for signal in signals {
            server.signal_taken(*signal)?;
        }
        let exit = server.ends_well(PATIENCE)?;
        ensure!(exit.stderr.contains(" 1 cut"), "{path}: {}", exit.stderr);
        client.hear_out()?;
    }
    Ok(())
}

fn hang_up(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    server.signal(Signal::HUP);
    client.get("/")?.expect(200)?;
    drop(client);
    server.drain(PATIENCE)?;
    Ok(())
}
