//! What advisories and trackers of 2025 and 2026 have reported of other servers: messages whose end, or
//! whose target, two readers could see in two places.

use anyhow::{Context, ensure};

use super::row;
use super::services::Folder;
use crate::harness::{Client, Column, Server, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("Upgrade with a body, and a request behind it", upgrade),
    row("transfer codings that are nearly chunked", codings),
    row("chunk sizes from 2^63 on, cut at every byte", sizes),
    row("chunk extensions with bare LF, CR or NUL", extensions),
    row("a body that ends inside its last chunk", unfinished),
    row("GET with a body that comes late", late_body),
    row("Expect on what is answered early", expectations),
    row("targets of other methods", targets),
    row("fields that may come once, twice", repeated),
    row("trailers that name framing fields", trailers),
];

/// What must not be taken for a request.
const SMUGGLED: &str = "GET /bytes/7 HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nHost: t\r\n";
const CHUNKED: &str = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One reply with one of these statuses, then FIN. What stands behind the refused request is not answered.
fn refuses(server: &Server, pieces: &[&str], statuses: &[u16]) -> anyhow::Result<()> {
    let attempt = || {
        let mut client = server.connect()?;
        for piece in pieces {
            client.send(piece)?;
            std::thread::yield_now();
        }
        client.send(SMUGGLED)?;
        let reply = client.reply()?;
        ensure!(
            statuses.contains(&reply.status) && reply.closes(),
            "{statuses:?} and close expected, not {reply}"
        );
        client.end()
    };
    attempt().with_context(|| format!("{pieces:?}"))
}

/// `Upgrade` may be ignored (RFC 9110 section 7.8), and then the body is a body.
fn upgrade(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for fields in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.3, foo/2\r\n",
    ] {
        let mut client = server.connect()?;
        client.send(format!(
            "{POST}{fields}Content-Length: 5\r\n\r\nhello{SMUGGLED}"
        ))?;
        let reply = client.reply()?.expect(200).context(fields)?;
        ensure!(reply.body == b"hello", "{fields}: {reply}");
        let reply = client.reply()?.expect(200).context(fields)?;
        ensure!(reply.body.len() == 7, "{fields}: {reply}");
        client.silence(ms(5))?;
    }
    Ok(())
}

fn codings(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for coding in [
        "chunked, xchunked",
        "xchunked, chunked",
        "xchunked",
        "chunked,\r\n xchunked",
        "\r\n chunked",
        "chunked\r\n\t, chunked",
        "\"chunked\"",
        "'chunked'",
        "\x0bchunked",
        "chunked\x0b",
        "\x0cchunked",
        "chunked\x0c",
        "chunked;q=1",
        "chunked chunked",
        "chunked\0",
        ", chunked, identity",
    ] {
        let request = format!("{POST}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        refuses(&server, &[&request], &[400, 501])?;
    }
    // Tabs and spaces at the edges are no part of a value (RFC 9110 section 5.5).
    for coding in ["\tchunked", "chunked\t ", " \t chunked", "CHUNKED"] {
        let mut client = server.connect()?;
        let body = "5\r\nhello\r\n0\r\n\r\n";
        client.send(format!(
            "{POST}Transfer-Encoding:{coding}\r\n\r\n{body}{SMUGGLED}"
        ))?;
        let reply = client.reply()?.expect(200).context(coding)?;
        ensure!(reply.body == b"hello", "{coding:?}: {reply}");
        ensure!(client.reply()?.expect(200)?.body.len() == 7, "{coding:?}");
    }
    Ok(())
}

fn sizes(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for size in [
        "8000000000000000",
        "8000000000000005",
        "fffffffffffffffe",
        "ffffffffffffffff",
        "FFFFFFFFFFFFFFFF",
        "10000000000000000",
        "10000000000000005",
        "00000000000000005",
    ] {
        let line = format!("{size}\r\nhello\r\n0\r\n\r\n");
        for at in 1..=size.len() + 2 {
            let (before, after) = line.split_at(at);
            refuses(&server, &[CHUNKED, before, after], &[400, 413])?;
        }
    }
    Ok(())
}

fn extensions(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for body in [
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "5;a=\"b\rc\"\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0;a\n\r\n",
        "5\r\nhello\r\n0;\0\r\n\r\n",
        // More data than the size says.
        "5\r\nhello, world\r\n0\r\n\r\n",
        "5\r\nhelloGET / HTTP/1.1\r\n\r\n",
        "0\r\nhello\r\n\r\n",
    ] {
        refuses(&server, &[CHUNKED, body], &[400])?;
    }
    Ok(())
}

/// The service sees whole bodies only.
fn unfinished(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let server = folder.serve(column)?;
    let put = "PUT /kv/cut HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for end in [
        "",
        "0",
        "0\r",
        "0\r\n",
        "0\r\n\r",
        "0\r\nX: 1\r\n",
        "0;a\r\n",
    ] {
        let mut client = server.connect()?;
        client.send(format!("{put}{end}"))?;
        client.finish_writing()?;
        client.end().with_context(|| format!("{end:?}"))?;
        let reply = server.connect()?.get("/kv/cut")?.expect(404);
        reply.with_context(|| format!("the service was called after {end:?}"))?;
    }
    let mut client = server.connect()?;
    client.send(format!("{put}0\r\n\r\n"))?;
    client.reply()?.expect(201)?;
    ensure!(client.get("/kv/cut")?.expect(200)?.body == b"hello");
    Ok(())
}

/// The body of a GET has no meaning (RFC 9110 section 9.3.1), but it is no request.
fn late_body(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    std::fs::write(folder.at("root/a"), "three")?;
    let server = folder.serve(column)?;
    for path in ["/files/a", "/bytes/5", "/nothing"] {
        let mut client = server.connect()?;
        let length = SMUGGLED.len();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        if !client.hears_nothing(ms(500))? {
            // It may answer without the body; then it drops the body, or closes.
            client.reply()?;
        }
        let more = "GET /bytes/3 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        let sent = client.send(format!("{SMUGGLED}{more}"));
        let Ok(rest) = client.rest() else {
            continue; // Closed, with the body unread.
        };
        let text = String::from_utf8_lossy(&rest);
        ensure!(
            !text.contains("Content-Length: 7\r\n"),
            "{path}: the body was served: {text}"
        );
        sent.context("the body")?;
    }
    Ok(())
}

fn expectations(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    // What is refused, whether for its target or for its length, is so at once or after an interim reply.
    let length = SMUGGLED.len();
    for (path, length, status) in [("/nothing", length, 404), ("/echo", 2_000_000, 413)] {
        let mut client = server.connect()?;
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        let first = client.reply()?;
        let sent = client.send(SMUGGLED);
        let last = if first.status == 100 {
            client.reply()?
        } else {
            first
        };
        let last = last.expect(status).with_context(|| path.to_owned())?;
        if last.closes() {
            client.end()?;
            continue;
        }
        sent?;
        // The next reply is of the next request.
        let reply = client.get("/bytes/3")?.expect(200)?;
        ensure!(reply.body.len() == 3, "{path}: the body was served");
    }
    let ask = |expectation: &str, status| {
        let mut client = server.connect()?;
        client.send(format!("{POST}{expectation}Content-Length: 5\r\n\r\n"))?;
        let reply = client.reply()?.expect(status);
        reply.with_context(|| expectation.to_owned())?;
        anyhow::Ok(client)
    };
    for unknown in [
        "Expect: y, 100-continue\r\n",
        "Expect: 100-continue, y\r\n",
        "Expect: 100-continue\r\nExpect: y\r\n",
    ] {
        let mut client = ask(unknown, 417)?;
        client.end().context("417 closes")?;
    }
    // It is a list, and both its members are known.
    for known in [
        "Expect: 100-continue, 100-continue\r\n",
        "Expect: 100-continue\r\nExpect: 100-Continue\r\n",
    ] {
        let mut client = ask(known, 100)?;
        client.send("hello")?;
        ensure!(client.reply()?.expect(200)?.body == b"hello", "{known}");
    }
    Ok(())
}

fn targets(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for line in [
        "GET t:80",
        "POST t:80",
        "OPTIONS t:80",
        "GET *",
        "HEAD *",
        "POST *",
        "GET **",
        "OPTIONS **",
        "GET bytes/5",
        "GET ../bytes/5",
        "GET ?x",
        "GET ./",
        "GET http:/bytes/5",
        "GET http:///bytes/5",
        "GET \\bytes\\5",
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: t\r\n\r\n");
        refuses(&server, &[&request], &[400])?;
    }
    let mut client = server.connect()?;
    client.send("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n")?;
    client.reply()?.expect(204)?;
    Ok(())
}

fn repeated(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for fields in [
        "Host: t\r\nHost: t\r\n",
        "Host: t\r\nX: 1\r\nhost: u\r\n",
        "Host: t\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n",
        "Host: t\r\nContent-Type: text/plain\r\ncontent-type: text/html\r\n",
        "Host: t\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\n{fields}\r\n");
        refuses(&server, &[&request], &[400])?;
    }
    Ok(())
}

/// They are dropped or refused, and frame nothing.
fn trailers(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[])?;
    for trailer in [
        "Content-Length: 38",
        "Transfer-Encoding: chunked",
        "Host: u",
        "Connection: close",
        "Expect: 100-continue",
    ] {
        let mut client = server.connect()?;
        client.send(format!(
            "{CHUNKED}5\r\nhello\r\n0\r\n{trailer}\r\n\r\n{SMUGGLED}"
        ))?;
        let reply = client.reply().with_context(|| trailer.to_owned())?;
        if reply.status == 400 {
            client.end()?;
            continue;
        }
        let reply = reply.expect(200).context(trailer)?;
        ensure!(reply.body == b"hello", "{trailer}: {reply}");
        let reply = client.reply()?.expect(200).context(trailer)?;
        ensure!(reply.body.len() == 7, "{trailer}: {reply}");
        whole(&mut client, trailer)?;
    }
    Ok(())
}

/// The connection goes on as if nothing had been.
fn whole(client: &mut Client, what: &str) -> anyhow::Result<()> {
    client.silence(ms(5)).with_context(|| what.to_owned())?;
    client.get("/")?.expect(200)?;
    Ok(())
}
