//! Running out of descriptors, and of allowed connections.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::row;
use crate::design::{DRAIN_WITHOUT_DESCRIPTORS, OUT_OF_DESCRIPTORS};
use crate::harness::process::Signal;
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, ms, process};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row(OUT_OF_DESCRIPTORS, descriptors),
    row(DRAIN_WITHOUT_DESCRIPTORS, descriptors_in_drain),
    row("connections at their bound", bounded),
    row("sockets at the bound of connections", bounded_sockets),
    row(
        "sockets at the bound of connections, several listeners",
        bounded_listeners,
    ),
];

/// The same command under a descriptor limit of 64, which also bounds what it may raise it to.
pub fn scarce(column: &Column) -> anyhow::Result<Server> {
    let serve = column.command(&["127.0.0.1:0"], &few_workers(column));
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -n 64; exec \"$@\" </dev/null",
            "sh",
            TURNSTILE,
        ])
        .args(serve.get_args());
    Server::start(command, 1)
}

/// Where the first process holds a descriptor a worker, so many that there is room for others.
fn few_workers(column: &Column) -> Vec<&'static str> {
    match column.label().as_str() {
        "prefork:pass-fd" | "prefork:reuseport" => column.workers("16"),
        "prefork+front" => column.workers("8"),
        _ => Vec::new(),
    }
}

/// One connection that was there before, and a crowd that is more than there is room for.
fn crowd_around(server: &Server) -> anyhow::Result<(Client, Vec<Client>)> {
    let mut before = server.connect()?;
    before.get("/")?.expect(200)?;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut client = server.connect()?;
        client.ask("/")?;
        crowd.push(client);
    }
    Ok((before, crowd))
}

fn descriptors(column: &Column) -> anyhow::Result<()> {
    let mut server = scarce(column)?;
    let (mut before, crowd) = crowd_around(&server)?;
    before.get("/json")?.expect(200)?;
    // The first second may still be busy with the crowd, the third may not.
    let mut used = ms(0);
    for _ in 0..3 {
        let start = process::cpu(server.pid());
        before.silence(ms(1_000))?;
        used = process::cpu(server.pid()).saturating_sub(start);
        if used < RESTS {
            break;
        }
    }
    ensure!(used < RESTS, "it spins: {used:?} of CPU in a second");
    let reply = before.get("/json").and_then(|reply| reply.expect(200));
    reply.context("the established connection")?;
    drop((before, crowd));
    recovers(&server)?;
    // One line for all attempts of these seconds, and in the end one that says how many there were.
    let exit = server.drain(PATIENCE)?;
    let lines = exit.stderr.lines().filter(|line| line.contains("accept"));
    ensure!(lines.count() <= 2, "{exit:?}");
    Ok(())
}

/// Less CPU than this in a second is rest: 5 %.
const RESTS: Duration = ms(50);

/// Whoever waits in the backlog is served when others have gone, and nobody spins until then.
fn descriptors_in_drain(column: &Column) -> anyhow::Result<()> {
    let mut server = scarce(column)?;
    let mut crowd = Vec::new();
    for _ in 0..70 {
        let mut client = server.connect()?;
        client.ask("/wait/2000000")?;
        crowd.push(client);
    }
    crowd[0].silence(ms(300))?;
    server.signal(Signal::TERM);
    crowd[0].silence(ms(50))?;
    let start = process::cpu(server.pid());
    crowd[0].silence(ms(1_000))?;
    let used = process::cpu(server.pid()).saturating_sub(start);
    ensure!(used < ms(200), "it spins: {used:?} of CPU in a second");
    for (number, mut client) in crowd.into_iter().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("number {number} of the crowd"))?;
    }
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// All is as before once the crowd has gone.
fn recovers(server: &Server) -> anyhow::Result<()> {
    for number in 0..5 {
        let start = std::time::Instant::now();
        let reply = server
            .connect()?
            .get("/")
            .and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("client {number} after the crowd"))?;
        ensure!(start.elapsed() < ms(2_000), "after {:?}", start.elapsed());
    }
    Ok(())
}

/// Nobody beyond the bound is answered before another has gone.
fn bounded(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--connections-max", "8"])?;
    let most = if column.has_one_client() { 1 } else { 8 };
    let (mut before, mut crowd) = crowd_around(&server)?;
    before.get("/json")?.expect(200)?;
    before.silence(ms(500))?; // Time for those to be answered who should not be.
    let mut held = 1;
    for client in &mut crowd {
        held += usize::from(!client.hears_nothing(ms(1))?);
    }
    ensure!(held == most, "{held} connections are held, not {most}");
    // As those that are held go, those that wait have their turn.
    drop(before);
    for (number, mut client) in crowd.into_iter().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("number {number} of the crowd"))?;
    }
    recovers(&server)
}

/// The bound is one for all listeners together, however its last places are taken.
fn bounded_listeners(column: &Column) -> anyhow::Result<()> {
    let most = if column.label() == "iterative" { 1 } else { 8 };
    let flags = [&["--connections-max", "8"][..], &column.workers("7")].concat();
    let server = column.serve_on(&["127.0.0.1:0"; 4], &flags)?;
    let before = process::connections(server.pid());
    for round in 0..3 {
        // Clients at all listeners at once, more than there are places; each has one for as long as it waits.
        let mut clients = Vec::new();
        for number in 0..20 {
            let mut client = Client::connect(&server.addrs[number % 4])?;
            client.send("GET /wait/100000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
            clients.push(client);
        }
        // A connection that ends gives its place away a moment before its descriptor is closed.
        let held = (0..5).map(|_| {
            std::thread::sleep(ms(10));
            process::connections(server.pid())
                .difference(&before)
                .count()
        });
        let held = held.min().unwrap_or_default();
        ensure!(
            held <= most,
            "round {round}: {held} connections are held, not {most} at most"
        );
        for (number, mut client) in clients.into_iter().enumerate() {
            let reply = client.reply().and_then(|reply| reply.expect(200));
            reply.with_context(|| format!("round {round}: number {number}"))?;
        }
    }
    recovers(&server)
}

/// A client beyond the bound waits in the backlog, and not inside the server.
fn bounded_sockets(column: &Column) -> anyhow::Result<()> {
    let most = if column.label() == "iterative" { 1 } else { 8 };
    let mut flags = vec!["--connections-max", "8"];
    flags.extend(column.workers("3"));
    let server = column.serve(&flags)?;
    let before = process::connections(server.pid());
    let (mut first, crowd) = crowd_around(&server)?;
    first.get("/json")?.expect(200)?;
    first.silence(ms(300))?; // Time for more to be accepted than should be.
    let held = process::connections(server.pid())
        .difference(&before)
        .count();
    ensure!(
        held <= most,
        "{held} connections are held, not {most} at most"
    );
    drop(first);
    for (number, mut client) in crowd.into_iter().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("number {number} of the crowd"))?;
    }
    recovers(&server)
}
