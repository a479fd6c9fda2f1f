//! In front of a back end: bodies that go on as they come, replies that come early or with more than was
//! asked for, and who the back end is told to have asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, ensure};

use super::gateways::{Folder, serve};
use super::row;
use crate::harness::{Client, Column, PATIENCE, ms, run};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("gateway: who asks is passed on", who_asks),
    row("gateway: a large body goes on as it comes", large_bodies),
    row(
        "gateway: a large body for a program",
        large_bodies_of_programs,
    ),
    row("gateway: a reply before the body was sent", early_replies),
    row("gateway: both ways at once", both_ways),
    row("gateway: what is not asked for is not passed on", unasked),
    row("gateway: a back end is asked again on its connection", kept),
    row("gateway: an exchange has an end", total),
    row("gateway: unusable values", unusable),
];

/// Bodies beyond this are not kept in memory.
const SMALL: [&str; 2] = ["--body-bytes-max", "65536"];

/// A back end of one's own, each of whose connections is a call of `act`.
struct BackEnd {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl BackEnd {
    fn new(act: impl Fn(TcpStream) + Send + Sync + 'static) -> anyhow::Result<BackEnd> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let connections = Arc::new(AtomicUsize::new(0));
        let (act, counted) = (Arc::new(act), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().take(64).flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let act = Arc::clone(&act);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.set_write_timeout(Some(PATIENCE));
                std::thread::spawn(move || act(stream));
            }
        });
        Ok(BackEnd { url, connections })
    }

    /// One that answers every head that it reads with these bytes.
    fn saying(reply: &'static str) -> anyhow::Result<BackEnd> {
        BackEnd::new(move |mut stream| {
            while head(&mut stream).is_some() {
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        })
    }
}

/// A head, to the last byte of it.
fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn say(stream: &mut TcpStream, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

fn lines_of<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let of = |line: &'a str| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    };
    head.lines().filter_map(of).collect()
}

fn who_asks(column: &Column) -> anyhow::Result<()> {
    let back_end = BackEnd::new(|mut stream| {
        while let Some(head) = head(&mut stream) {
            say(&mut stream, head.as_bytes());
        }
    })?;
    let lie = "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
               X-Real-IP: 1.2.3.4\r\nConnection: x-private\r\nX-Private: 1\r\nTE: trailers\r\n";
    let request = format!("GET /a?b HTTP/1.1\r\nHost: h\r\n{lie}\r\n");
    let proxy = ["--proxy", &back_end.url];
    let Some(server) = serve(column, &proxy)? else {
        return Ok(());
    };
    let mut client = server.connect()?;
    for _ in 0..2 {
        client.send(&request)?;
        let head = String::from_utf8(client.reply()?.expect(200)?.body)?;
        for (name, values) in [
            ("x-forwarded-for", vec!["127.0.0.1"]),
            ("forwarded", vec!["for=127.0.0.1;proto=http"]),
            ("x-forwarded-proto", vec!["http"]),
            ("x-forwarded-host", vec!["h"]),
            ("x-real-ip", vec![]),
            ("x-private", vec![]),
            ("te", vec![]),
            ("connection", vec![]),
        ] {
            ensure!(lines_of(&head, name) == values, "{name} in {head}");
        }
    }
    drop(client);
    let trusting = ["--trusted-proxies", "10.0.0.0/8,127.0.0.0/8"];
    let server = column.serve(&[&proxy[..], &trusting].concat())?;
    let mut client = server.connect()?;
    client.send(&request)?;
    let head = String::from_utf8(client.reply()?.expect(200)?.body)?;
    for (name, value) in [
        ("x-forwarded-for", "1.2.3.4, 127.0.0.1"),
        ("forwarded", "for=1.2.3.4, for=127.0.0.1;proto=http"),
        ("x-forwarded-proto", "https"),
    ] {
        ensure!(lines_of(&head, name) == [value], "{name} in {head}");
    }
    let folder = Folder::new()?;
    let script = folder.script(
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s' \"$REMOTE_ADDR\" \"$REMOTE_PORT\"\n",
    )?;
    let server = column.serve(&["--exec", &script])?;
    let mut client = server.connect()?;
    let own = format!("127.0.0.1 {}", client.port()?);
    for _ in 0..2 {
        let reply = client.get("/")?.expect(200)?;
        ensure!(reply.body == own.as_bytes(), "{reply}, not {own}");
    }
    Ok(())
}

/// Sends a body of `bytes` bytes in two halves, the second once `half` has said that the first has arrived.
fn send_halves(
    client: &mut Client,
    is_chunked: bool,
    bytes: usize,
    half: &Receiver<usize>,
) -> anyhow::Result<()> {
    let length = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {bytes}"),
    };
    client.send(format!("POST /p HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n"))?;
    for part in 0..2 {
        for _ in 0..bytes / 2 / 50_000 {
            if is_chunked {
                client.send("c350\r\n")?;
            }
            client.send([b'x'; 50_000])?;
            if is_chunked {
                client.send("\r\n")?;
            }
        }
        if part == 0 {
            half.recv_timeout(PATIENCE).context("no half has arrived")?;
        }
    }
    if is_chunked {
        client.send("0\r\n\r\n")?;
    }
    Ok(())
}

/// The bytes of a body as `head` frames it. `half` is told once a quarter of `expected` has come, so that
/// what is still on its way does not matter.
fn body(stream: &mut TcpStream, head: &str, expected: usize, half: &Sender<usize>) -> usize {
    let is_chunked = !lines_of(head, "transfer-encoding").is_empty();
    let (mut bytes, mut total, mut told) = (0, 0, false);
    let mut ended = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = stream.read(&mut piece) else {
            return 0;
        };
        total += read;
        bytes += piece[..read].iter().filter(|&&byte| byte == b'x').count();
        if total >= expected / 4 && !told {
            told = true;
            let _ = half.send(total);
        }
        ended.extend_from_slice(&piece[..read]);
        ended.drain(..ended.len().saturating_sub(5));
        if (is_chunked && ended == b"0\r\n\r\n") || (!is_chunked && bytes >= expected) {
            return bytes;
        }
    }
}

fn large_bodies(column: &Column) -> anyhow::Result<()> {
    const BYTES: usize = 2_000_000;
    let (sender, half) = channel();
    let back_end = BackEnd::new(move |mut stream| {
        while let Some(head) = head(&mut stream) {
            let bytes = body(&mut stream, &head, BYTES, &sender);
            let lengths = lines_of(&head, "content-length").join(",");
            say(&mut stream, format!("{bytes} {lengths}").as_bytes());
        }
    })?;
    let flags = [&["--proxy", &back_end.url][..], &SMALL].concat();
    let Some(server) = serve(column, &flags)? else {
        return Ok(());
    };
    let mut client = server.connect()?;
    for (is_chunked, told) in [
        (false, "2000000 2000000"),
        (true, "2000000 "),
        (false, "2000000 2000000"),
    ] {
        send_halves(&mut client, is_chunked, BYTES, &half)?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.body == told.as_bytes(), "{reply}");
    }
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {BYTES}\r\n\r\n"
    ))?;
    client.reply()?.expect(100)?;
    client.send(vec![b'x'; BYTES])?;
    client.reply()?.expect(200)?;
    // More than a gateway passes on.
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        1_u64 << 40
    ))?;
    client.reply()?.expect(413)?;
    Ok(())
}

fn large_bodies_of_programs(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let script = folder.script(
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s ' \"$CONTENT_LENGTH\"\ntr -cd x | wc -c\n",
    )?;
    let flags = [&["--exec", &script][..], &SMALL].concat();
    let Some(server) = serve(column, &flags)? else {
        return Ok(());
    };
    let (sender, half) = channel();
    let mut client = server.connect()?;
    for is_chunked in [false, true] {
        sender.send(0)?;
        send_halves(&mut client, is_chunked, 1_000_000, &half)?;
        let reply = client.reply()?.expect(200)?;
        ensure!(reply.body == b"1000000 1000000\n", "{reply}");
    }
    Ok(())
}

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
        // As long as nobody answers, and no further.
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
    // Nobody there: that is known before the body has come.
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{gone}");
    let server = column.serve(&[&["--proxy", &url][..], &SMALL].concat())?;
    let mut client = server.connect()?;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000000\r\n\r\nbegins")?;
    client.send([0; 10_000])?;
    client.reply()?.expect(502)?;
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
        // More than was declared is a reply that nobody has asked for.
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

fn kept(column: &Column) -> anyhow::Result<()> {
    let back_end =
        BackEnd::saying("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nab")?;
    let Some(server) = serve(column, &["--proxy", &back_end.url])? else {
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

fn unusable(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let path = folder.path()?;
    std::fs::write(folder.0.join("data"), "no program")?;
    let data = format!("{path}/data");
    let nothing = format!("{path}/nothing");
    for flags in [
        &["--proxy", "nonsense"][..],
        &["--proxy", "https://127.0.0.1:1"],
        &["--proxy", "http://127.0.0.1:x"],
        &["--proxy", "http://"],
        &["--proxy", ""],
        &["--fastcgi", "127.0.0.1", "--root", path],
        &["--fastcgi", "unix:", "--root", path],
        &["--fastcgi", "", "--root", path],
        &["--fastcgi", "127.0.0.1:9000", "--root", &nothing],
        &["--exec", &nothing],
        &["--exec", path],
        &["--exec", &data],
    ] {
        let exit = run(column.command(&["127.0.0.1:0"], flags))?;
        ensure!(
            exit.code == Some(2) && exit.stdout.is_empty(),
            "{flags:?}: {exit:?}"
        );
        ensure!(exit.stderr.lines().count() == 1, "{flags:?}: {exit:?}");
    }
    Ok(())
}
