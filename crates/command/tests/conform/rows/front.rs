//! Slow clients, and what holds them in place of a worker: a front (`--front poll`), or the kernel
//! (`--front defer`).

use anyhow::{Context, ensure};

use super::framing::{expect_numbered, numbered};
use super::listeners::socket_path;
use super::row;
use crate::design::{SLOW_ONE_WORKER, SLOW_SIXTY};
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, ms, run};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("front: three hundred slow clients", three_hundred),
    row(SLOW_SIXTY, sixty),
    row("front: without one, slow clients hold the pool", held),
    row(SLOW_ONE_WORKER, one_worker),
    row("front: what it holds is open and idle", counted),
    row("front: a burst of requests", burst),
    row("front: more slow readers than processes for them", senders),
    row("front: a drain lets slow requests complete", drained),
    row("front: refused where there is none", refused),
    row("--front defer: silent clients hold no worker", deferred),
    row("--front defer: no TCP", no_tcp),
];

/// No deadline passes while the test runs.
const PATIENT: &[&str] = &[
    "--head-ms",
    "60000",
    "--body-ms",
    "60000",
    "--write-ms",
    "60000",
    "--idle-ms",
    "60000",
];

/// More than the kernel takes for a client that does not read.
const REPLY_BYTES: usize = 6 << 20;

/// Clients that are slow in every way, until they are told to go on.
struct Slow {
    heads: Vec<Client>,
    bodies: Vec<Client>,
    readers: Vec<Client>,
}

impl Slow {
    fn come(server: &Server, heads: usize, bodies: usize, readers: usize) -> anyhow::Result<Slow> {
        let several = |count: usize, sent: &str| -> anyhow::Result<Vec<Client>> {
            let clients = (0..count).map(|_| {
                let mut client = server.connect()?;
                client.buffer_little()?;
                client.send(sent)?;
                Ok(client)
            });
            clients.collect()
        };
        Ok(Slow {
            heads: several(heads, "GET /json HTTP/1.1\r\nHo")?,
            bodies: several(
                bodies,
                "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345",
            )?,
            readers: several(
                readers,
                &format!("GET /bytes/{REPLY_BYTES} HTTP/1.1\r\nHost: t\r\n\r\n"),
            )?,
        })
    }

    /// All were open all the time: each gets what it has asked for.
    fn go_on(mut self) -> anyhow::Result<()> {
        for (number, client) in self.heads.iter_mut().enumerate() {
            client.send("st: t\r\n\r\n")?;
            let reply = client.reply().and_then(|reply| reply.expect(200));
            reply.with_context(|| format!("slow head {number}"))?;
        }
        for (number, client) in self.bodies.iter_mut().enumerate() {
            client.send("67890")?;
            let reply = client.reply().and_then(|reply| reply.expect(200));
            let reply = reply.with_context(|| format!("slow body {number}"))?;
            ensure!(reply.body == b"1234567890", "{reply}");
        }
        for (number, client) in self.readers.iter_mut().enumerate() {
            let reply = client.reply().and_then(|reply| reply.expect(200));
            let reply = reply.with_context(|| format!("slow reader {number}"))?;
            ensure!(
                reply.body.len() == REPLY_BYTES,
                "{} bytes",
                reply.body.len()
            );
            client.get("/json")?.expect(200)?;
        }
        Ok(())
    }
}

/// Good clients, on one connection, on connections of their own, and pipelined.
fn good_ones_are_served(server: &Server) -> anyhow::Result<()> {
    let mut client = server.connect()?;
    for number in 0..20 {
        let reply = client.get("/").and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("request {number} on one connection"))?;
    }
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\ngood")?;
    ensure!(client.reply()?.expect(200)?.body == b"good");
    client.send(numbered(10))?;
    expect_numbered(&mut client, 10).context("pipelined")?;
    for number in 0..10 {
        let reply = server.connect()?.get("/");
        let reply = reply.and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("connection {number}"))?;
    }
    Ok(())
}

fn sixty(column: &Column) -> anyhow::Result<()> {
    let server = column.serve_with_workers(4, PATIENT)?;
    let slow = Slow::come(&server, 25, 25, 10)?;
    good_ones_are_served(&server)?;
    slow.go_on()
}

fn three_hundred(column: &Column) -> anyhow::Result<()> {
    ensure!(column.front, WITHOUT);
    let mut server = column.serve_with_workers(4, PATIENT)?;
    let slow = Slow::come(&server, 130, 130, 40)?;
    good_ones_are_served(&server)?;
    slow.go_on()?;
    good_ones_are_served(&server)?;
    let exit = server.drain(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 cut"), "{exit:?}");
    Ok(())
}

const WITHOUT: Moot = Moot("it has no front");

/// By design, which is why there are fronts. Where each worker has a listener, the kernel spreads clients at
/// random: of 64 clients, none goes to one of four workers in one run of 25 million.
fn held(column: &Column) -> anyhow::Result<()> {
    ensure!(!column.front && column.with_front().is_some(), WITHOUT);
    let server = column.serve_with_workers(4, PATIENT)?;
    let slow = Slow::come(&server, 64, 0, 0)?;
    let mut good = server.connect()?;
    good.ask("/")?;
    good.silence(ms(300))?;
    // As they end, the next have their turn.
    drop(slow);
    good.reply()?.expect(200)?;
    Ok(())
}

/// A worker that is busy delays requests, but no client that is not ready; and none is lost.
fn one_worker(column: &Column) -> anyhow::Result<()> {
    let server = column.serve_with_workers(1, &[PATIENT, &["--queue-max", "2"]].concat())?;
    let slow = Slow::come(&server, 10, 10, 5)?;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect()?;
        let one = "GET /sleep/2000 HTTP/1.1\r\nHost: t\r\n\r\n";
        client.send(one.repeat(5))?;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        for _ in 0..5 {
            let reply = client.reply().and_then(|reply| reply.expect(200));
            reply.with_context(|| format!("client {number}"))?;
        }
    }
    good_ones_are_served(&server)?;
    slow.go_on()
}

/// A figure of `/metrics`.
fn figure(admin: &str, name: &str) -> anyhow::Result<u64> {
    let reply = Client::connect(admin)?.get("/metrics")?.expect(200)?;
    let text = String::from_utf8(reply.body)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.with_context(|| format!("no {name}"))?;
    Ok(value.trim().parse::<f64>()? as u64)
}

/// Clients that leave the front in any way leave nothing behind.
fn counted(column: &Column) -> anyhow::Result<()> {
    ensure!(column.front, WITHOUT);
    let path = socket_path();
    let admin = format!("unix:{}", path.display());
    let flags = [PATIENT, &["--admin", &admin]].concat();
    let server = column.serve_with_workers(4, &flags)?;
    let slow = Slow::come(&server, 20, 20, 5)?;
    let mut idle = server.connect()?;
    idle.get("/")?.expect(200)?;
    let is = |name: &str, expected: u64| figure(&admin, name).is_ok_and(|seen| seen == expected);
    eventually("46 are open and idle", PATIENCE, || {
        is("turnstile_connections_open ", 46) && is("turnstile_connections_idle ", 46)
    })?;
    eventually("no worker is busy", PATIENCE, || {
        is("turnstile_workers_busy ", 0)
    })?;
    for (number, client) in slow.heads.into_iter().enumerate() {
        if number % 2 == 0 {
            client.reset()?;
        }
    }
    for (number, mut client) in slow.bodies.into_iter().enumerate() {
        if number % 2 == 0 {
            client.finish_writing()?;
            client.end()?;
        }
    }
    for client in slow.readers {
        client.reset()?;
    }
    eventually("one is open", PATIENCE, || {
        is("turnstile_connections_open ", 1)
    })?;
    idle.get("/")?.expect(200)?;
    Ok(())
}

/// Complete at the same moment, more than the workers or their sockets take: all are served.
fn burst(column: &Column) -> anyhow::Result<()> {
    ensure!(column.front, WITHOUT);
    let server = column.serve_with_workers(BURST, PATIENT)?;
    let body = "x".repeat(3_000);
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (most, last) = body.split_at(body.len() - 1);
    let mut clients = Vec::new();
    for _ in 0..BURST {
        let mut client = server.connect()?;
        client.send(format!("{head}{most}"))?;
        clients.push(client);
    }
    for client in &mut clients {
        client.send(last)?;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        let reply = reply.with_context(|| format!("client {number}"))?;
        ensure!(reply.body == body.as_bytes(), "client {number}");
    }
    Ok(())
}

/// Requests at once: a socket between two processes has room for half of them.
const BURST: usize = 150;

/// Each keeps a process. Beyond the bound requests wait for one, and none is lost.
fn senders(column: &Column) -> anyhow::Result<()> {
    let forks = column.front && column.starts_for_requests() && column.serves_in_children();
    ensure!(forks, Moot("it forks for no request"));
    let flags = [PATIENT, &["--sending-max", "3"]].concat();
    let mut server = column.serve_with_workers(2, &flags)?;
    let mut slow = Slow::come(&server, 0, 0, 5)?;
    let at_work = || process::children(server.pid()).len();
    eventually("a front and five children", PATIENCE, || at_work() >= 6)?;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect()?;
        client.ask("/json")?;
        waiting.push(client);
    }
    for client in &mut waiting {
        ensure!(client.hears_nothing(ms(20))?, "there is a sixth child");
    }
    // One goes: all others are served, one after another.
    let gone = slow.readers.pop();
    gone.context("a reader")?.reset()?;
    for (number, client) in waiting.iter_mut().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("client {number}"))?;
    }
    slow.go_on()?;
    let exit = server.drain(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 cut"), "{exit:?}");
    Ok(())
}

fn drained(column: &Column) -> anyhow::Result<()> {
    ensure!(column.front, WITHOUT);
    let mut server = column.serve_with_workers(2, PATIENT)?;
    let mut idle = server.connect()?;
    idle.get("/")?.expect(200)?;
    let slow = Slow::come(&server, 5, 5, 3)?;
    idle.get("/")?.expect(200)?; // Those before are accepted.
    server.signal(Signal::TERM);
    idle.end()?;
    for mut client in slow.heads {
        client.send("st: t\r\n\r\n")?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.closes(), "{reply}");
        client.end()?;
    }
    for mut client in slow.bodies {
        client.send("67890")?;
        ensure!(client.reply()?.expect(200)?.closes(), "it must say close");
        client.end()?;
    }
    for mut client in slow.readers {
        let reply = client.reply()?.expect(200)?;
        ensure!(
            reply.body.len() == REPLY_BYTES,
            "{} bytes",
            reply.body.len()
        );
        client.end()?;
    }
    let exit = server.ends_well(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 cut"), "{exit:?}");
    Ok(())
}

/// A model without a front says so in one line.
fn refused(column: &Column) -> anyhow::Result<()> {
    ensure!(column.with_front().is_none(), Moot("it can have one"));
    let exit = run(column.command(&[], &["--front", "poll"]))?;
    let said = exit.stderr.starts_with("error: --front: ") && exit.stderr.lines().count() == 1;
    ensure!(exit.code == Some(2) && said, "{exit:?}");
    Ok(())
}

fn deferred(column: &Column) -> anyhow::Result<()> {
    ensure!(!column.front, Moot("it is one or the other"));
    let flags = [PATIENT, &["--front", "defer"]].concat();
    let mut server = column.serve_with_workers(2, &flags)?;
    let silent = (0..8).map(|_| server.connect());
    let silent: Vec<Client> = silent.collect::<anyhow::Result<_>>()?;
    for number in 0..10 {
        let reply = server.connect()?.get("/");
        let reply = reply.and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("connection {number}"))?;
    }
    for mut client in silent {
        client.get("/")?.expect(200)?;
    }
    server.drain(PATIENCE)?;
    Ok(())
}

fn no_tcp(column: &Column) -> anyhow::Result<()> {
    ensure!(!column.front, Moot("it is one or the other"));
    let path = socket_path();
    let listen = format!("unix:{}", path.display());
    let exit = run(column.command(&[&listen], &["--front", "defer"]))?;
    let lines: Vec<_> = exit.stderr.lines().collect();
    ensure!(!path.exists(), "it leaves its socket behind");
    let [.., last] = &lines[..] else {
        anyhow::bail!("{exit:?}");
    };
    ensure!(
        exit.code == Some(2) && last.starts_with("error: --"),
        "{exit:?}"
    );
    Ok(())
}
