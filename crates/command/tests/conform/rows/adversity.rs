//! Clients in numbers that go, come again, and take what is others'.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::listeners::socket_path;
use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("late answers go to no other client", late_answers),
    row("echoes while buffers are exhausted", exhausted_buffers),
    row("a thousand resets before accept", resets_before_accept),
    row("many closes by the server, then SIGTERM", many_closes),
    row("drain: a request every two seconds", slow_rate),
    row(
        "drain: an unread reply is cut at its deadline",
        write_deadline,
    ),
];

const SUPER_SERVER_ACCEPTS: Moot = Moot("the super-server accepts");

/// Clients leave while their requests are computed. Those who come next get the same descriptors, and
/// nothing that was meant for others.
fn late_answers(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--idle-ms", "400"])?;
    for round in 0..2 {
        let mut gone = Vec::new();
        for number in 0..8 {
            let mut client = server.connect()?;
            let path = ["/sleep/100000", "/wait/100000"][number % 2];
            client.send(format!(
                "GET {path} HTTP/1.1\r\nHost: t\r\n\r\nGET /bytes/50 HTTP/1.1\r\nHost: t\r\n\r\n"
            ))?;
            gone.push(client);
        }
        gone[0].silence(ms(30))?;
        for (number, client) in gone.into_iter().enumerate() {
            match number % 3 {
                0 => client.reset()?,
                _ => drop(client),
            }
        }
        let mut next = Vec::new();
        for number in 0..8 {
            let mut client = server.connect()?;
            client.ask(&format!("/bytes/{}", 1_000 + number))?;
            next.push(client);
        }
        for (number, client) in next.iter_mut().enumerate() {
            let reply = client.reply().and_then(|reply| reply.expect(200));
            let reply = reply.with_context(|| format!("client {number}, round {round}"))?;
            ensure!(reply.body.len() == 1_000 + number, "{number}: {reply}");
            // Longer than what the others have asked for, up to the end by the idle limit.
            client.end().with_context(|| format!("client {number}"))?;
        }
    }
    Ok(())
}

/// Bodies of which half has come, from more connections than there are buffers: each gets its own bytes
/// back, and no thread spins until the other half comes.
fn exhausted_buffers(column: &Column) -> anyhow::Result<()> {
    const CLIENTS: usize = 64;
    const BYTES: usize = 20_000;
    let pattern = |client: usize| -> Vec<u8> {
        (0..BYTES)
            .map(|at| ((client * 7 + at) % 251) as u8)
            .collect()
    };
    let flags = [
        "--lent-buffers",
        "4",
        "--lent-buffer-bytes",
        "1024",
        "--body-ms",
        "30000",
        "--head-ms",
        "30000",
    ];
    let server = column.serve(&flags)?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = server.connect()?;
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {BYTES}\r\n\r\n"
        ))?;
        client.send(&pattern(number)[..BYTES / 2])?;
        clients.push(client);
    }
    if !column.never_rests() {
        let rests = || {
            let start = process::cpu(server.pid());
            std::thread::sleep(ms(500)); // The time over which CPU is counted.
            process::cpu(server.pid()).saturating_sub(start) < ms(100)
        };
        eventually("no CPU while nothing comes", PATIENCE, rests)?;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&pattern(number)[BYTES / 2..])?;
        let reply = client.reply().and_then(|reply| reply.expect(200));
        let reply = reply.with_context(|| format!("client {number}"))?;
        ensure!(reply.body == pattern(number), "{number}: foreign bytes");
        client.end()?;
    }
    Ok(())
}

/// Does something while no process of the server runs.
fn while_it_stands(
    server: &Server,
    act: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let all: Vec<_> = process::family(server.pid())
        .iter()
        .map(|one| one.pid)
        .collect();
    all.iter()
        .for_each(|pid| process::signal(*pid, Signal::STOP));
    let acted = act();
    all.iter()
        .for_each(|pid| process::signal(*pid, Signal::CONT));
    acted
}

fn resets_before_accept(column: &Column) -> anyhow::Result<()> {
    if column.needs_a_super_server() {
        return Err(SUPER_SERVER_ACCEPTS.into());
    }
    let mut server = column.serve(&[])?;
    server.connect()?.get("/")?.expect(200)?;
    for _ in 0..5 {
        while_it_stands(&server, || {
            for number in 0..200 {
                let mut client = server.connect()?;
                if number % 2 == 0 {
                    client.ask("/")?;
                }
                client.reset()?;
            }
            Ok(())
        })?;
        server.connect()?.get("/json")?.expect(200)?;
    }
    let exit = server.drain(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 workers replaced"), "{exit:?}");
    Ok(())
}

/// How many connections the server closes: few, unless `TURNSTILE_CLOSES` says more.
fn closes() -> usize {
    let asked = std::env::var("TURNSTILE_CLOSES");
    asked.map_or(Ok(400), |text| text.parse()).unwrap_or(400)
}

fn many_closes(column: &Column) -> anyhow::Result<()> {
    if column.needs_a_super_server() {
        return Err(Moot("it has no --admin").into());
    }
    let admin = format!("unix:{}", socket_path().display());
    let mut server = column.serve(&["--admin", &admin])?;
    let addr = &server.addrs[0];
    let one = || -> anyhow::Result<()> {
        let mut client = Client::connect(addr)?;
        client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
        client.reply()?.expect(200)?;
        client.end()
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..closes() / 4).try_for_each(|_| one())))
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().expect("clients return their errors"))
    })?;
    let mut page = String::new();
    let at_zero = || {
        page = metrics(&admin).unwrap_or_default();
        [
            "turnstile_connections_open 0",
            "turnstile_requests_in_flight 0",
        ]
        .iter()
        .all(|line| page.lines().any(|one| one == *line))
    };
    let settled = eventually("gauges at 0", PATIENCE, at_zero);
    settled.with_context(|| page.clone())?;
    let exit = server.drain(ms(2_000))?;
    let count = closes() / 4 * 4;
    let all = format!("drained: {count} connections, {count} requests");
    ensure!(exit.stderr.contains(&all), "{exit:?}");
    Ok(())
}

fn metrics(admin: &str) -> anyhow::Result<String> {
    let mut client = Client::connect(admin)?;
    client.send("GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8(client.rest()?)?)
}

/// Persistent connections that are idle for most of the time: their last reply says close.
fn slow_rate(column: &Column) -> anyhow::Result<()> {
    const PACE: Duration = ms(2_000);
    let mut server = column.serve(&["--drain-idle-ms", "6000"])?;
    let count = column.clients_at_once(4);
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect()?;
        client.get("/")?.expect(200)?;
        clients.push(client);
    }
    server.signal(Signal::TERM);
    for (number, client) in clients.iter_mut().enumerate() {
        let pause = if number == 0 { PACE } else { ms(50) };
        client
            .silence(pause)
            .with_context(|| format!("client {number}"))?;
        ensure!(
            client.get("/json")?.expect(200)?.closes(),
            "it must say close"
        );
        client.end()?;
    }
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// A reader that takes nothing has `--write-ms` and no more, whatever interrupts the send: a drain
/// interrupts it every 50 ms. Twice the limit would be longer than this waits.
fn write_deadline(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--write-ms", "4500", "--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    client.buffer_little()?;
    client.ask("/bytes/67108864")?;
    client.reply_to_head()?;
    server.signal(Signal::TERM);
    let exit = server.ends_well(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 cut"), "cut by the drain: {exit:?}");
    let heard = client.hear_out()?;
    ensure!(heard < 60 << 20, "{heard} bytes came");
    Ok(())
}
