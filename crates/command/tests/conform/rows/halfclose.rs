//! Clients that send FIN before they have their replies.

use anyhow::ensure;

use super::framing::{expect_numbered, numbered};
use super::row;
use crate::harness::{Client, Column, Server};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("FIN after a request", one),
    row("FIN after 1000 requests", many),
    row("FIN during a wait", |column| during(column, "/wait/150000")),
    row("FIN during a sleep", |column| {
        during(column, "/sleep/150000")
    }),
    row("FIN before a large reply", large),
    row("FIN inside a request", unfinished),
];

fn send_and_finish(server: &Server, bytes: impl AsRef<[u8]>) -> anyhow::Result<Client> {
    let mut client = server.connect()?;
    client.send(bytes)?;
    client.finish_writing()?;
    Ok(client)
}

fn one(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = send_and_finish(&server, "GET / HTTP/1.1\r\nHost: t\r\n\r\n")?;
    client.reply()?.expect(200)?;
    client.end()
}

fn many(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = send_and_finish(&server, numbered(1_000))?;
    expect_numbered(&mut client, 1_000)?;
    client.end()
}

fn during(column: &Column, path: &str) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let again = numbered(1);
    let both = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n{again}");
    let mut client = send_and_finish(&server, both)?;
    client.reply()?.expect(200)?;
    expect_numbered(&mut client, 1)?;
    client.end()
}

fn large(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = send_and_finish(&server, "GET /bytes/9000000 HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let reply = client.reply()?.expect(200)?;
    ensure!(reply.body.len() == 9_000_000, "{} bytes", reply.body.len());
    client.end()
}

/// No reply to half a request, and no harm to the next client.
fn unfinished(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for part in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: t\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf",
    ] {
        send_and_finish(&server, part)?.end()?;
    }
    server.connect()?.get("/")?.expect(200)?;
    Ok(())
}
