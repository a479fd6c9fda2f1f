//! Many clients at once, and clients that behave badly together.

use anyhow::Context;

use super::framing::{expect_numbered, numbered};
use super::row;
use crate::design::{MORE_THAN_WORKERS, TWO_HUNDRED};
use crate::harness::{Column, PATIENCE, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row(TWO_HUNDRED, two_hundred),
    row(MORE_THAN_WORKERS, more_than_workers),
    row("a client beyond the workers has its turn", turn_comes),
    row("a queue of one loses no client", queue_of_one),
    row("fifty resets do no harm", resets),
    row("short connections in a row", short),
    row("short connections side by side", side_by_side),
];

fn two_hundred(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_with_workers(200, &[])?;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.connect()?);
    }
    for round in 0..3 {
        for client in &mut clients {
            client.send(numbered(2))?;
        }
        for (number, client) in clients.iter_mut().enumerate() {
            expect_numbered(client, 2).with_context(|| format!("client {number}, {round}"))?;
        }
    }
    drop(clients);
    server.drain(PATIENCE)?;
    Ok(())
}

/// Wherever connections wait inside the server, one may: the others wait outside, or unread.
fn queue_of_one(column: &Column) -> anyhow::Result<()> {
    let server = column.serve_with_workers(1, &["--queue-max", "1", "--threads-max", "1"])?;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect()?;
        client.send("GET /sleep/5000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("client {number}"))?;
        client.end()?;
    }
    Ok(())
}

fn more_than_workers(column: &Column) -> anyhow::Result<()> {
    let server = column.serve_with_workers(2, &[])?;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(server.connect()?);
    }
    for client in clients.iter_mut().rev() {
        client.get("/")?.expect(200)?;
    }
    Ok(())
}

/// Served at once, or when the one before has gone.
fn turn_comes(column: &Column) -> anyhow::Result<()> {
    let server = column.serve_with_workers(2, &[])?;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect()?;
        client.ask("/")?;
        clients.push(client);
    }
    for (number, mut client) in clients.into_iter().enumerate() {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("client {number}"))?;
    }
    Ok(())
}

fn resets(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&[])?;
    let mut clients = Vec::new();
    for number in 0..50 {
        let mut client = server.connect()?;
        match number % 5 {
            0 => {}
            1 => client.send("GET / HT")?,
            2 => client.ask("/bytes/67108864")?,
            3 => client.ask("/wait/50000")?,
            _ => client.send(numbered(100))?,
        }
        clients.push(client);
    }
    for client in clients {
        client.reset()?;
    }
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    client.silence(ms(5))?;
    drop(client);
    server.drain(PATIENCE)?;
    Ok(())
}

fn short(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for number in 0..100 {
        let reply = server
            .connect()?
            .get("/")
            .and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("connection {number}"))?;
    }
    Ok(())
}

fn side_by_side(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&[])?;
    let addr = &server.addrs[0];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..20).try_for_each(|_| {
                        let mut client = crate::harness::Client::connect(addr)?;
                        client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
                        client.reply()?.expect(200)?;
                        client.end()
                    })
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().expect("clients return their errors"))
    })?;
    let exit = server.drain(PATIENCE)?;
    let all = exit.stderr.contains("160 requests");
    anyhow::ensure!(all || column.needs_a_super_server(), "{}", exit.stderr);
    Ok(())
}
