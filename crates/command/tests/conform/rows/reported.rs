//! What was reported of this server, each with the kind around it.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::envelope::nobody;
use super::listeners::socket_path;
use super::row;
use super::services::{Folder, ask};
use crate::design::{DESCRIPTORS_AND_LOG, SECOND_SERVER};
use crate::harness::process::Signal;
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, ms, run};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row(SECOND_SERVER, second_server),
    row("a file system socket is no abstract one", abstract_socket),
    row(DESCRIPTORS_AND_LOG, descriptors_and_log),
    row(
        "forks and threads that cannot be had for clients",
        no_more_workers,
    ),
];

/// Rows of the service, which a super-server's program has as well.
pub const SERVICE_ROWS: &[Row] = &[
    row("preconditions of the store", preconditions),
    row("If-Modified-Since twice", modified_since),
    row("a limit of file size", file_size),
    row("0.0.0.0 and [::] together", both_families),
];

/// The path is the second server's from its start, though the first has not ended.
fn second_server(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let addr = format!("unix:{}", path.display());
    let mut first = column.serve_on(&[&addr], &["--drain-idle-ms", "100"])?;
    let mut busy = first.connect()?;
    busy.ask("/wait/1000000")?;
    busy.silence(ms(100))?;
    first.signal(Signal::TERM);
    let start = Instant::now();
    // A model of one worker listens until that is free, for those who wait in the backlog.
    let mut second = loop {
        match column.serve_on(&[&addr], &["--drain-idle-ms", "100"]) {
            Ok(second) => break second,
            Err(error) => {
                let in_use = format!("{error:#}").contains("Address already in use");
                ensure!(in_use && start.elapsed() < PATIENCE, "{error:#}");
            }
        }
    };
    Client::connect(&addr)?.get("/")?.expect(200)?;
    busy.reply()?.expect(200)?;
    drop(busy);
    first.ends_well(PATIENCE)?;
    ensure!(path.exists(), "the first has removed the second's path");
    Client::connect(&addr)?.get("/json")?.expect(200)?;
    second.drain(PATIENCE)?;
    ensure!(!path.exists(), "the path outlives both");
    Ok(())
}

/// `unix:@name` has no file, and `unix:./@name` is one.
fn abstract_socket(column: &Column) -> anyhow::Result<()> {
    let name = format!("turnstile-{}-{}", std::process::id(), column.label());
    let addr = format!("unix:@{name}");
    let Ok(mut server) = column.serve_on(&[&addr], &[]) else {
        let exit = run(column.command(&[&addr], &[]))?;
        ensure!(
            exit.code == Some(2) && exit.stderr.lines().count() == 1,
            "{exit:?}"
        );
        return Ok(());
    };
    ensure!(server.addrs[0] == addr, "{}", server.addrs[0]);
    ensure!(
        !std::path::Path::new(&format!("@{name}")).exists(),
        "a file"
    );
    server.drain(PATIENCE)?;
    Ok(())
}

/// Clients come and go for a while where there are no descriptors. The log gets lines by the episode, not
/// by the attempt, and those who come in the end are served.
fn descriptors_and_log(column: &Column) -> anyhow::Result<()> {
    let mut server = super::scarcity::scarce(column)?;
    let start = Instant::now();
    let mut held = Vec::new();
    while start.elapsed() < ms(3_000) {
        let mut client = server.connect()?;
        client.ask("/")?;
        held.push(client);
        if held.len() > 90 {
            held.drain(..10);
        }
        std::thread::sleep(ms(2)); // The pace of visitors.
    }
    drop(held);
    for _ in 0..3 {
        server.connect()?.get("/")?.expect(200)?;
    }
    let exit = server.drain(PATIENCE)?;
    let lines = exit.stderr.lines().count();
    ensure!(lines <= 20, "{lines} lines in the log: {}", exit.stderr);
    Ok(())
}

/// More clients than the processes or threads that a user may have. Each waits for its turn, or is told
/// 503; no connection is reset.
fn no_more_workers(column: &Column) -> anyhow::Result<()> {
    let user = nobody()?;
    let flags = ["--user", &user, "--group", &user, "--drain-idle-ms", "100"];
    let serve = column.command(&["127.0.0.1:0"], &flags);
    let mut command = Command::new("sh");
    let script = "ulimit -u 70; exec \"$@\" </dev/null";
    command
        .args(["-c", script, "sh", TURNSTILE])
        .args(serve.get_args());
    let mut server = Server::start(command, 1)?;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = server.connect()?;
        client.send("GET /wait/100000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
        clients.push(client);
    }
    let mut served = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = client.reply().with_context(|| format!("client {number}"))?;
        ensure!(matches!(reply.status, 200 | 503), "{number}: {reply}");
        served += usize::from(reply.status == 200);
    }
    ensure!(served >= 50, "{served} of 100 served");
    drop(clients);
    server.connect()?.get("/json")?.expect(200)?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// RFC 9110 section 13.2.1: where a precondition fails, the method is not performed.
fn preconditions(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    ensure!(ask(&mut client, "PUT /kv/a", b"one")? == 201);
    let mut with = |line: &str, field: &str, body: &[u8], status: u16| -> anyhow::Result<()> {
        let length = body.len();
        client.send(format!(
            "{line} HTTP/1.1\r\nHost: t\r\n{field}\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        client.send(body)?;
        let reply = client.reply()?.expect(status);
        reply.with_context(|| format!("{line} with {field}"))?;
        Ok(())
    };
    with("PUT /kv/a", "If-None-Match: *", b"two", 412)?;
    with("PUT /kv/a", "If-Match: \"nothing\"", b"two", 412)?;
    with("DELETE /kv/a", "If-Match: \"nothing\"", b"", 412)?;
    with("PUT /kv/b", "If-Match: *", b"two", 412)?;
    with("PUT /kv/b", "If-None-Match: *", b"two", 201)?;
    with("DELETE /kv/b", "If-Match: *", b"", 204)?;
    ensure!(client.get("/kv/a")?.expect(200)?.body == b"one", "changed");
    client.get("/kv/b")?.expect(404)?;
    Ok(())
}

/// More than one is no date, and a field that is none is ignored (RFC 9110 section 13.1.3).
fn modified_since(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    std::fs::write(folder.at("root/a"), "here")?;
    let server = folder.serve(column)?;
    let mut client = server.connect()?;
    let modified = client.get("/files/a")?.expect(200)?;
    let modified = modified.field("last-modified").context("Last-Modified")?;
    let since = format!("If-Modified-Since: {modified}\r\n");
    for (fields, status) in [
        (since.clone(), 304),
        (since.repeat(2), 200),
        ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
    ] {
        client.send(format!("GET /files/a HTTP/1.1\r\nHost: t\r\n{fields}\r\n"))?;
        client.reply()?.expect(status).context(fields)?;
    }
    Ok(())
}

/// What the store cannot write is 500, and costs no process.
fn file_size(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let db = folder.at("store");
    let db = db.to_str().context("a path of text")?;
    let serve = column.command(&["127.0.0.1:0"], &["--db", db]);
    let mut command = Command::new("bash");
    let script = "ulimit -f 200; exec \"$@\" </dev/null"; // KiB
    command
        .args(["-c", script, "bash"])
        .arg(serve.get_program())
        .args(serve.get_args());
    let mut server = Server::start(command, 1)?;
    let mut client = server.connect()?;
    let mut refused = 0;
    for number in 0..20 {
        let status = ask(&mut client, &format!("PUT /kv/{number}"), &[b'v'; 50_000])?;
        ensure!(
            matches!(status, 201 | 500 | 503 | 507),
            "{number}: {status}"
        );
        refused += usize::from(status != 201);
    }
    ensure!(refused > 0, "everything fits");
    client.get("/")?.expect(200)?;
    drop(client);
    server.connect()?.get("/json")?.expect(200)?;
    let exit = server.drain(PATIENCE)?;
    let none = exit.stderr.contains(" 0 workers replaced");
    ensure!(none || column.needs_a_super_server(), "{exit:?}");
    Ok(())
}

/// `[::]` takes the connections of IPv4 as well, so beside it there is nothing for `0.0.0.0`: one line says that the
/// address is in use, and no client is served by half.
fn both_families(column: &Column) -> anyhow::Result<()> {
    ensure!(
        !column.needs_a_super_server(),
        Moot("a super-server listens for it")
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let both = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    for listen in [vec![both[0], both[1]], vec![both[1], both[0]]] {
        let exit = run(column.command(&listen, &column.workers("2")))?;
        let said = exit.stderr.lines().last().unwrap_or_default();
        ensure!(
            exit.code == Some(1) && said.starts_with("error: cannot listen on"),
            "{exit:?}"
        );
        ensure!(exit.stdout.is_empty(), "it says that it listens: {exit:?}");
    }
    Ok(())
}
