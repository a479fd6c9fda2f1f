//! In front of a back end: large bodies go on as they come, and the back end is told who has asked.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};

use anyhow::ensure;

use super::back_ends::{BackEnd, SMALL, head, lines_of, say, send_halves};
use super::gateways::{Folder, serve};
use super::row;
use crate::design::{LARGE_AS_IT_COMES, LARGE_FOR_A_PROGRAM};
use crate::harness::{Column, run};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("gateway: who asks is passed on", who_asks),
    row(LARGE_AS_IT_COMES, large_bodies),
    row(LARGE_FOR_A_PROGRAM, large_bodies_of_programs),
    row("gateway: unusable values", unusable),
];

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
