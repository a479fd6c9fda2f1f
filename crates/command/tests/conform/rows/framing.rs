//! How requests follow each other on a connection, and how their bytes may come.

use anyhow::{Context, ensure};

use super::row;
use crate::harness::{Client, Column, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("one byte a write", byte_by_byte),
    row("cut at every byte", cut_everywhere),
    row("16 requests in one write", |column| pipelined(column, 16)),
    row("1000 requests in one write", |column| {
        pipelined(column, 1_000)
    }),
    row("large replies pipelined", large_pipelined),
    row("chunked, with extensions and trailers", chunked),
    row("100-continue", continues),
    row("HTTP/1.0", old),
    row("Connection: close", close_asked),
    row("absolute-form", absolute),
    row("empty lines before a request", empty_lines),
];

const POST: &str = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKS: &str = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
                      3\r\nhel\r\n2;a=\"b\"\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n";
const GET: &str = "GET /bytes/5 HTTP/1.1\r\nHost: t\r\n\r\n";

fn byte_by_byte(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for (request, body) in [(POST, "hello"), (CHUNKS, "hello"), (GET, "abcde")] {
        for byte in request.bytes() {
            client.send([byte])?;
        }
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.body == body.as_bytes(), "{reply}");
    }
    Ok(())
}

fn cut_everywhere(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for request in [POST, CHUNKS, GET] {
        for at in 1..request.len() {
            client.send(&request[..at])?;
            std::thread::yield_now();
            client.send(&request[at..])?;
            let reply = client.reply().and_then(|reply| reply.expect(200));
            let reply = reply.with_context(|| format!("cut at {at}: {request:?}"))?;
            ensure!(reply.body.len() == 5, "cut at {at}: {reply}");
        }
    }
    client.silence(ms(5))
}

/// Requests in one write; replies in order, complete, and no more than those.
fn pipelined(column: &Column, count: usize) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.send(numbered(count))?;
    expect_numbered(&mut client, count)?;
    client.silence(ms(5))
}

/// Requests that echo their number.
pub fn numbered(count: usize) -> String {
    let one =
        |number| format!("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\n{number:06}");
    (0..count).map(one).collect()
}

/// Their replies.
pub fn expect_numbered(client: &mut Client, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let reply = client.reply().and_then(|reply| reply.expect(200));
        let reply = reply.with_context(|| format!("reply {number} of {count}"))?;
        ensure!(
            reply.body == format!("{number:06}").as_bytes(),
            "{number}: {reply}"
        );
    }
    Ok(())
}

fn large_pipelined(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let sizes = [3_000_000, 1, 200_000, 0, 65_536, 2_000_000, 7];
    let ask = |size| format!("GET /bytes/{size} HTTP/1.1\r\nHost: t\r\n\r\n");
    client.send(sizes.map(ask).concat())?;
    for size in sizes {
        let reply = client.reply()?.expect(200)?;
        ensure!(
            reply.body.len() == size,
            "{size} bytes, not {}",
            reply.body.len()
        );
    }
    client.silence(ms(5))
}

fn chunked(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let mut request =
        String::from("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut body = String::new();
    for size in [1, 15, 16, 255, 4_096, 70_000] {
        let data = "x".repeat(size);
        request += &format!("{size:x};ext=1\r\n{data}\r\n");
        body += &data;
    }
    request += "0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n";
    client.send(request.repeat(2) + GET)?;
    for _ in 0..2 {
        let reply = client.reply()?.expect(200)?;
        ensure!(
            reply.body == body.as_bytes(),
            "{} of {}",
            reply.body.len(),
            body.len()
        );
    }
    client.reply()?.expect(200)?;
    Ok(())
}

fn continues(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    let head = "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n";
    client.send(format!("{head}Content-Length: 5\r\n\r\n"))?;
    client.reply()?.expect(100)?;
    client.send("hello")?;
    ensure!(client.reply()?.expect(200)?.body == b"hello", "the body");
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))?;
    client.reply()?.expect(100)?;
    client.send("5\r\nhello\r\n0\r\n\r\n")?;
    ensure!(client.reply()?.expect(200)?.body == b"hello", "the chunks");
    // Too large: told before the body is sent.
    client.send(format!("{head}Content-Length: 9999999\r\n\r\n"))?;
    ensure!(client.reply()?.expect(413)?.closes(), "413 closes");
    client.end()?;
    drop(client);
    let mut client = server.connect()?;
    client
        .send("POST /echo HTTP/1.1\r\nHost: t\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\n")?;
    client.reply()?.expect(417)?;
    client.end()
}

fn old(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.field("connection") == Some("keep-alive"), "{reply}");
    }
    client.send("GET / HTTP/1.0\r\n\r\n")?;
    ensure!(client.reply()?.expect(200)?.closes(), "1.0 closes");
    client.end()
}

fn close_asked(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for more in ["", GET] {
        let mut client = server.connect()?;
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n{more}"
        ))?;
        ensure!(client.reply()?.expect(200)?.closes(), "it says close");
        client
            .end()
            .context("what follows a last request is not answered")?;
    }
    Ok(())
}

fn absolute(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    for (target, status) in [
        ("http://t/bytes/3", 200),
        ("HTTP://t:80", 200),
        ("http://t?x", 200),
        ("http://t/nothing", 404),
    ] {
        client.get(target)?.expect(status)?;
    }
    Ok(())
}

fn empty_lines(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let mut client = server.connect()?;
    client.send(format!("\r\n\r\n{GET}\r\n{GET}"))?;
    client.reply()?.expect(200)?;
    client.reply()?.expect(200)?;
    client.send("\r\n".repeat(6) + GET)?;
    client.reply()?.expect(400)?;
    client.end()
}
