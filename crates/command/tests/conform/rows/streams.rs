//! Replies without a length: framing, ends that come early, the drain.

use anyhow::ensure;

use super::row;
use crate::design::ENDLESS;
use crate::harness::process::Signal;
use crate::harness::{Column, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("stream: chunks, then the next reply", chunks),
    row("stream: HTTP/1.0 gets it up to the end", old_client),
    row("stream: many pieces, read slowly", many),
    row("stream: a client that goes away", gone),
    row(ENDLESS, endless),
];

fn lines(count: usize) -> Vec<u8> {
    let lines = (1..=count).map(|number| format!("line {number}\n"));
    lines.collect::<String>().into_bytes()
}

fn chunks(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for pause in ["0", "3000"] {
        // Pipelined, so that the second waits while the first is made.
        client.ask(&format!("/stream/5/{pause}"))?;
        client.ask("/json")?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.body == lines(5), "{reply}");
        client.reply()?.expect(200)?;
    }
    client.send("HEAD /stream/5/0 HTTP/1.1\r\nHost: t\r\n\r\n")?;
    client.reply_to_head()?.0.expect(200)?;
    client.get("/stream/5")?.expect(400)?;
    Ok(())
}

fn old_client(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.send("GET /stream/40/500 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")?;
    let reply = String::from_utf8(client.rest()?)?;
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
    ensure!(body.as_bytes() == lines(40), "{reply}");
    ensure!(head.contains("\r\nConnection: close"), "{head}");
    ensure!(!head.contains("\r\nTransfer-Encoding"), "{head}");
    Ok(())
}

fn many(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.buffer_little()?;
    client.ask("/stream/30000/0")?;
    client.ask("/json")?;
    ensure!(client.reply()?.expect(200)?.body == lines(30_000), "lines");
    client.reply()?.expect(200)?;
    Ok(())
}

fn gone(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for _ in 0..3 {
        let mut client = server.connect()?;
        client.ask("/stream/0/1000")?;
        client.bytes(200)?;
        client.reset()?;
        let mut client = server.connect()?;
        client.ask("/stream/0/1000")?;
        client.bytes(200)?;
    }
    // One worker serves one connection after another, so it has noticed.
    server.connect()?.get("/json")?.expect(200)?;
    Ok(())
}

fn endless(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&["--stream-ms-max", "100"])?;
    let count = column.clients_at_once(3);
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect()?;
        client.ask("/stream/0/60000000")?;
        clients.push(client);
    }
    for client in &mut clients {
        client.reply_to_head()?.0.expect(200)?;
        for number in 1..=3 {
            ensure!(client.chunk()? == format!("line {number}\n").as_bytes());
        }
    }
    server.signal(Signal::TERM);
    for client in &mut clients {
        while !client.chunk()?.is_empty() {}
        client.end()?;
    }
    let exit = server.ends_well(ms(3_000))?;
    ensure!(exit.stderr.contains(" 0 cut"), "{exit:?}");
    Ok(())
}
