//! In front of a back end that answers too early, too much or too slowly.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};

use super::back_ends::{BackEnd, SMALL, head, lines_of, say, send_halves};
use super::gateways::{Folder, serve};
use super::row;
use crate::design::{ASKED_AGAIN, BOTH_WAYS, EARLY_REPLY};
use crate::harness::{Column, PATIENCE, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row(EARLY_REPLY, early_replies),
    row(BOTH_WAYS, both_ways),
    row("gateway: what is not asked for is not passed on", unasked),
    row("gateway: a forged second reply reaches no client", forged),
    row(ASKED_AGAIN, kept),
    row("gateway: an exchange has an end", total),
];

fn early_replies(column: &Column) -> anyhow::Result<()> {
    let refusing = |reply: &'static str, closes: bool| {
        BackEnd::new(move |mut stream| {
            let _ = head(&mut stream);
            let _ = stream.write_all(reply.as_bytes());
            if !closes {
                // It reads nothing, and waits to be left.
                std::thread::sleep(ms(2_000));
            }
        })
    };
    for (reply, closes, status) in [
        (
            "HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            true,
            413,
        ),
        (
            "HTTP/1.1 401 Who\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nwho",
            false,
            401,
        ),
        ("", true, 502),
    ] {
        let back_end = refusing(reply, closes)?;
        let flags = [&["--proxy", &back_end.url][..], &SMALL].concat();
        let Some(server) = serve(column, &flags)? else {
            return Ok(());
        };
        let mut client = server.connect()?;
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000000\r\n\r\n")?;
        // As long as there is no answer, and no further.
        for _ in 0..200 {
            if client.send(vec![0; 100_000]).is_err() || !client.hears_nothing(ms(20))? {
                break;
            }
        }
        let got = client
            .reply()
            .with_context(|| reply.to_owned())?
            .expect(status)?;
        ensure!(got.closes(), "it lets the rest come as a request: {got}");
    }
    // No back end listens there: that is known before the body has come.
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{gone}");
    let server = column.serve(&[&["--proxy", &url][..], &SMALL].concat())?;
    let mut client = server.connect()?;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000000\r\n\r\nbegins")?;
    client.send([0; 10_000])?;
    client.reply()?.expect(502)?;
    held_back(column)
}

/// A client holds a large body back until it is told to send it: the back end decides whether it is.
fn held_back(column: &Column) -> anyhow::Result<()> {
    const HELD: &str =
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n";
    for (reply, status) in [
        (
            "HTTP/1.1 401 Who\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nwho",
            401,
        ),
        (
            "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 303 There\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
            303,
        ),
        ("", 502),
    ] {
        let back_end = BackEnd::new(move |mut stream| {
            let _ = head(&mut stream);
            let _ = stream.write_all(reply.as_bytes());
        })?;
        let server = column.serve(&[&["--proxy", &back_end.url][..], &SMALL].concat())?;
        let mut client = server.connect()?;
        client.send(HELD)?;
        let got = client.reply().with_context(|| reply.to_owned())?;
        ensure!(got.expect(status)?.closes(), "{reply}");
    }
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        let back_end = BackEnd::new(move |mut stream| {
            let Some(head) = head(&mut stream) else {
                return;
            };
            let _ = stream.write_all(interim.as_bytes());
            let mut body = vec![0; 100_000];
            if stream.read_exact(&mut body).is_ok() {
                let expected = lines_of(&head, "expect").join(",");
                say(&mut stream, expected.as_bytes());
            }
        })?;
        let server = column.serve(&[&["--proxy", &back_end.url][..], &SMALL].concat())?;
        let mut client = server.connect()?;
        client.send(HELD)?;
        client.reply()?.expect(100)?;
        client.send([b'x'; 100_000])?;
        let got = client.reply()?.expect(200)?;
        ensure!(got.body == b"100-continue", "{interim:?}: {got}");
    }
    Ok(())
}

fn both_ways(column: &Column) -> anyhow::Result<()> {
    // It sends back what it reads, in one go: who does not read while he writes waits for ever.
    let back_end = BackEnd::new(|mut stream| {
        let Some(head) = head(&mut stream) else {
            return;
        };
        let is_chunked = !lines_of(&head, "transfer-encoding").is_empty();
        let length = lines_of(&head, "content-length").join("");
        let framing = match is_chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {length}"),
        };
        let reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n{framing}\r\n\r\n"
        );
        let _ = stream.write_all(reply.as_bytes());
        let mut piece = vec![0; 64 << 10];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            if stream.write_all(&piece[..read]).is_err() {
                return;
            }
        }
    })?;
    let proxy = ["--proxy", &back_end.url];
    for flags in [proxy.to_vec(), [&proxy[..], &SMALL].concat()] {
        let Some(server) = serve(column, &flags)? else {
            return Ok(());
        };
        for is_chunked in [false, true] {
            let (sender, half) = channel();
            sender.send(0)?;
            let mut client = server.connect()?;
            let bytes = if flags.len() > 2 { 6_000_000 } else { 900_000 };
            send_halves(&mut client, is_chunked, bytes, &half)?;
            let reply = client.reply()?.expect(200)?;
            let whole = reply.body.len() == bytes && reply.body.iter().all(|&byte| byte == b'x');
            ensure!(whole, "{} of {bytes}", reply.body.len());
        }
    }
    Ok(())
}

fn unasked(column: &Column) -> anyhow::Result<()> {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab";
    for (reply, body) in [
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab",
            "ab",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab",
            "ab",
        ),
        // Trailers end here, and the connection is whole behind them.
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n",
            "ab",
        ),
        // More than was declared is a reply that was not asked for.
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nevil",
            "ab",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nevil",
            "ab",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\nmore",
            "",
        ),
        (OK, "ab"),
    ] {
        let back_end = BackEnd::saying(reply)?;
        let Some(server) = serve(column, &["--proxy", &back_end.url])? else {
            return Ok(());
        };
        let mut client = server.connect()?;
        for _ in 0..3 {
            let got = client.get("/").context(reply)?.expect(200)?;
            ensure!(got.body == body.as_bytes(), "{reply}: {got}");
            ensure!(
                got.field("x-t").is_none() && got.field("trailer").is_none(),
                "{got}"
            );
        }
    }
    let endless = BackEnd::new(|mut stream| {
        let _ = head(&mut stream);
        while stream.write_all(b"HTTP/1.1 102 Wait\r\n\r\n").is_ok() {}
    })?;
    let server = column.serve(&["--proxy", &endless.url])?;
    server.connect()?.get("/")?.expect(502)?;
    // An upgrade is not offered, so that none can be taken.
    let back_end = BackEnd::new(|mut stream| {
        while let Some(head) = head(&mut stream) {
            say(&mut stream, head.as_bytes());
        }
    })?;
    let server = column.serve(&["--proxy", &back_end.url])?;
    let mut client = server.connect()?;
    client
        .send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
    let head = String::from_utf8(client.reply()?.expect(200)?.body)?.to_lowercase();
    ensure!(!head.contains("upgrade"), "{head}");
    client.get("/")?.expect(200)?;
    Ok(())
}

/// A back end keeps its connection, and says more than the length of its reply: in the same write, or once that
/// reply has been passed on and the connection waits for the next request.
fn forged(column: &Column) -> anyhow::Result<()> {
    const HONEST: &str = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab";
    const FORGED: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Forged: 1\r\nContent-Length: 6\r\n\r\nforged";
    for is_late in [false, true] {
        let (passed, wait) = channel();
        let (say, forged) = channel();
        let wait = Mutex::new(wait);
        let back_end = BackEnd::new(move |mut stream| {
            while head(&mut stream).is_some() {
                let sent = match is_late {
                    false => stream.write_all([HONEST, FORGED].concat().as_bytes()),
                    true => stream.write_all(HONEST.as_bytes()).and_then(|()| {
                        let wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
                        let _ = wait.recv_timeout(PATIENCE);
                        stream.write_all(FORGED.as_bytes())
                    }),
                };
                let _ = say.send(sent.is_ok());
            }
        })?;
        let Some(server) = serve(column, &["--proxy", &back_end.url])? else {
            return Ok(());
        };
        let mut client = server.connect()?;
        for number in 1..=3 {
            let method = if number == 2 { "POST" } else { "GET" };
            client.send(format!(
                "{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
            ))?;
            let got = client.reply()?.expect(200)?;
            ensure!(
                got.body == b"ab" && got.field("x-forged").is_none(),
                "late: {is_late}, request {number}: {got}"
            );
            let connections = back_end.connections.load(Ordering::SeqCst);
            ensure!(
                connections == number,
                "late: {is_late}: {connections} connections for {number} requests"
            );
            passed.send(())?;
            // A connection whose client has left is no place for it, either.
            forged.recv_timeout(PATIENCE).context("it forges nothing")?;
        }
    }
    Ok(())
}

fn kept(column: &Column) -> anyhow::Result<()> {
    let back_end =
        BackEnd::saying("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab")?;
    // With a front any worker may serve the next request, and each has a connection of its own.
    let one: &[&str] = match column.front && column.own.workers.count != turnstile::Count::One {
        true => &["--workers", "1"],
        false => &[],
    };
    let Some(server) = serve(column, &[&["--proxy", &back_end.url][..], one].concat())? else {
        return Ok(());
    };
    let mut client = server.connect()?;
    for _ in 0..10 {
        client.get("/")?.expect(200)?;
    }
    let connections = back_end.connections.load(Ordering::SeqCst);
    ensure!(connections == 1, "{connections} connections");
    // One that is closed behind each reply, without a word, is not used again.
    let closing = BackEnd::new(|mut stream| {
        let _ = head(&mut stream);
        say(&mut stream, b"ab");
    })?;
    let server = column.serve(&["--proxy", &closing.url])?;
    let mut client = server.connect()?;
    for _ in 0..5 {
        client.get("/")?.expect(200)?;
    }
    Ok(())
}

/// Each wait is short enough, and together they are too long.
fn total(column: &Column) -> anyhow::Result<()> {
    let dripping = |first: &'static str| {
        BackEnd::new(move |mut stream| {
            let _ = head(&mut stream);
            let _ = stream.write_all(first.as_bytes());
            while stream.write_all(b"a").is_ok() {
                std::thread::sleep(ms(50));
            }
        })
    };
    let flags = ["--gateway-ms", "20000", "--gateway-total-ms", "500"];
    let back_end = dripping("HTTP/1.1 200 OK\r\nX-Endless: ")?;
    let Some(server) = serve(column, &[&["--proxy", &back_end.url][..], &flags].concat())? else {
        return Ok(());
    };
    server.connect()?.get("/")?.expect(504)?;
    let back_end =
        dripping("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 1000000\r\n\r\n")?;
    let server = column.serve(&[&["--proxy", &back_end.url][..], &flags].concat())?;
    ensure!(
        server.connect()?.get("/").is_err(),
        "a cut reply passes for a whole one"
    );
    let folder = Folder::new()?;
    let script = folder.script(
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nwhile printf a; do sleep 0.05; done\n",
    )?;
    let server = column.serve(&[&["--exec", &script][..], &flags].concat())?;
    ensure!(
        server.connect()?.get("/").is_err(),
        "a cut reply passes for a whole one"
    );
    Ok(())
}
