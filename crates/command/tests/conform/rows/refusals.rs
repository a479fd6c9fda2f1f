//! Messages that could be read in two ways: 400 and close, always.

use anyhow::{Context, ensure};

use super::row;
use crate::harness::Column;
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("smuggling shapes are 400", smuggling),
    row("bad chunks are 400", chunks),
    row("other versions and codings", versions),
];

/// Heads that must be refused; `$` stands for `Host: t` and the line end.
const SHAPES: &[&str] = &[
    "POST /echo HTTP/1.1\r\n$Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: 5, 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: +5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: -5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: 0x5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length: 5 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length:\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$Content-Length : 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$ Content-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$X: a\r\n Content-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n$X: a\r\n\tfolded\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\n$Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.0\r\n$Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n$Host: t\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: user@t\r\n\r\n",
    "GET / HTTP/1.1\nHost: t\n\n",
    "GET / HTTP/1.1\r\n$X: a\nY: b\r\n\r\n",
    "GET / HTTP/1.1\r\n$X: a\rY: b\r\n\r\n",
    "GET / HTTP/1.1\r\n$X: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\n$X\r\n\r\n",
    "GET / HTTP/1.1\r\n$: a\r\n\r\n",
    "GET / HTTP/1.1\r\n$X(y): a\r\n\r\n",
    "GET  / HTTP/1.1\r\n$\r\n",
    "GET /  HTTP/1.1\r\n$\r\n",
    "GET / HTTP/1.1 \r\n$\r\n",
    "GET /a b HTTP/1.1\r\n$\r\n",
    "GET /a#b HTTP/1.1\r\n$\r\n",
    "GET a HTTP/1.1\r\n$\r\n",
    "GET * HTTP/1.1\r\n$\r\n",
    "GET http://u@h/ HTTP/1.1\r\n$\r\n",
    "GET /\r\n\r\n",
    "G(T / HTTP/1.1\r\n$\r\n",
    " GET / HTTP/1.1\r\n$\r\n",
    "\nGET / HTTP/1.1\r\n$\r\n",
    "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
];

/// What must not be taken for a second request.
const SMUGGLED: &str = "GET /bytes/7 HTTP/1.1\r\nHost: t\r\n\r\n";

fn smuggling(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for shape in SHAPES {
        expect_refusal(&server, &shape.replace('$', "Host: t\r\n"), 400)?;
    }
    Ok(())
}

/// One reply with this status, then FIN: nothing behind it is answered.
fn expect_refusal(
    server: &crate::harness::Server,
    request: &str,
    status: u16,
) -> anyhow::Result<()> {
    let refused = || {
        let mut client = server.connect()?;
        client.send(format!("{request}{SMUGGLED}"))?;
        ensure!(client.reply()?.expect(status)?.closes(), "it must close");
        client.end()
    };
    refused().with_context(|| format!("{request:?}"))
}

fn chunks(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    let head = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a=\"b\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: a\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
    ] {
        expect_refusal(&server, &format!("{head}{body}"), 400)?;
    }
    Ok(())
}

fn versions(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for (request, status) in [
        ("GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: t\r\n\r\n", 505),
        ("GET / HTTP/1\r\nHost: t\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: t\r\n\r\n", 400),
        (
            "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
        ),
    ] {
        expect_refusal(&server, request, status)?;
    }
    Ok(())
}
