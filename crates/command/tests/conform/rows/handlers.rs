//! Handlers that misbehave cost the reply they were asked for, and no other: see
//! [`Misbehaving`](crate::handlers).

use std::process::Stdio;

use anyhow::{Context, ensure};
use turnstile::{Calls, Holds};

use super::gateways::Folder;
use super::row;
use crate::handlers::{MISBEHAVING, PANICS_AS_ASKED};
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, Exit, PATIENCE, Server, eventually, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("handler: a panic costs one reply", panics),
    row("handler: one that never returns is left", never_returns),
    row("handler: one that blocks", blocks),
    row("handler: the last of two bodies counts", twice),
    row("handler: a wrong length is 500 or cut", lengths),
    row("handler: a body that fails half-way is cut", half),
    row("handler: a silent body ends with its client", silent),
];

/// This test binary as a server with this model, whose handlers misbehave.
fn serve(column: &Column, flags: &[&str]) -> anyhow::Result<Server> {
    let own = std::env::current_exe()?;
    let program = [own.to_str().context("a path of text")?, MISBEHAVING];
    let mut command = column.command_of(program, &["127.0.0.1:0"], flags);
    command.stdin(Stdio::null());
    Server::start(command, 1)
}

/// Ends it, well. Where a super-server accepts, it is that one which says so.
fn end(column: &Column, server: &mut Server) -> anyhow::Result<Exit> {
    if !column.needs_a_super_server() {
        return server.drain(PATIENCE);
    }
    server.signal(Signal::TERM);
    let exit = server.exit(PATIENCE)?;
    ensure!(exit.code == Some(0), "{exit:?}");
    Ok(exit)
}

/// Asks for `path` and for more behind it, which is not answered: a reply that was cut, or stands for one that
/// could not be made, is the last.
fn ask_with_more(server: &Server, path: &str) -> anyhow::Result<Client> {
    let mut client = server.connect()?;
    let line = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
    client.send(line(path) + &line("/"))?;
    Ok(client)
}

/// 500, and the end of this connection alone.
fn is_failed(server: &Server, path: &str) -> anyhow::Result<()> {
    let mut client = ask_with_more(server, path)?;
    let reply = client.reply()?.expect(500)?;
    ensure!(reply.closes(), "{path}: {reply}");
    client.end().with_context(|| path.to_owned())
}

fn is_well(server: &Server) -> anyhow::Result<()> {
    let reply = server.connect()?.get("/")?.expect(200)?;
    ensure!(reply.body == b"well", "{reply}");
    Ok(())
}

fn panics(column: &Column) -> anyhow::Result<()> {
    let mut server = serve(column, &column.workers("1"))?;
    is_well(&server)?;
    // Processes that stay from one connection to the next, and from one request to the next.
    let stay = column.serves_in_children() && !column.forks_for_clients() && !column.front;
    let before = process::children(server.pid());
    let mut other = match column.own.workers.holds {
        Holds::Many => Some(server.connect()?),
        Holds::One | Holds::Workers => None,
    };
    for _ in 0..3 {
        is_failed(&server, "/panic")?;
        is_well(&server)?;
        if let Some(other) = &mut other {
            let reply = other.get("/").context("another connection")?;
            reply.expect(200)?;
        }
    }
    let now = process::children(server.pid());
    ensure!(!stay || now == before, "{before:?} were replaced: {now:?}");
    drop(other);
    let exit = end(column, &mut server)?;
    let said = exit.stderr.matches(PANICS_AS_ASKED).count();
    ensure!(said == 3, "{said} panics in the log: {exit:?}");
    Ok(())
}

/// It keeps its worker, and no drain waits for it beyond the grace.
fn never_returns(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut server = serve(column, &["--drain-ms", "200"])?;
    let mut client = server.connect()?;
    client.ask(&format!("/never?{}", folder.path()?))?;
    eventually("the handler is called", PATIENCE, || {
        folder.0.join("begun").exists()
    })?;
    let exit = end(column, &mut server)?;
    ensure!(client.hear_out()? == 0, "it has answered");
    ensure!(exit.stderr.contains(" 1 cut"), "{exit:?}");
    Ok(())
}

/// It holds a loop that has no thread beside it to call it, and the server has said so. Otherwise others are served
/// meanwhile, if there is anybody who could.
fn blocks(column: &Column) -> anyhow::Result<()> {
    let workers = &column.own.workers;
    let aside = column.own.needs.aside.is_some() || workers.calls == Calls::ExtraThread;
    let holds_loop = matches!(workers.calls, Calls::Loop | Calls::Task) && !aside;
    let one_thread = column.front && workers.count == turnstile::Count::One;
    let has_others = !holds_loop && !column.has_one_client() && !one_thread;
    let folder = Folder::new()?;
    let count = if has_others { "2" } else { "1" };
    let mut server = serve(column, &column.workers(count))?;
    let mut client = server.connect()?;
    client.ask(&format!("/gate?{}", folder.path()?))?;
    eventually("the handler is called", PATIENCE, || {
        folder.0.join("begun").exists()
    })?;
    let mut other = server.connect()?;
    other.ask("/")?;
    // A listener of its own each: the kernel may have chosen the worker that is busy.
    let is_hashed = column.has_own_listeners();
    if column.needs_a_super_server() || (has_others && !is_hashed) {
        other.reply().context("beside it")?.expect(200)?;
    } else if !is_hashed {
        ensure!(other.hears_nothing(ms(50))?, "it did not block");
    }
    std::fs::write(folder.0.join("open"), "")?;
    let reply = client.reply()?.expect(200)?;
    ensure!(reply.body == b"open", "{reply}");
    drop(client);
    if !(column.needs_a_super_server() || (has_others && !is_hashed)) {
        other.reply().context("behind it")?.expect(200)?;
    }
    drop(other);
    let exit = end(column, &mut server)?;
    let says = exit.stderr.contains("hold the loop");
    ensure!(says == holds_loop, "it says so: {says}: {exit:?}");
    Ok(())
}

fn twice(column: &Column) -> anyhow::Result<()> {
    let server = serve(column, &[])?;
    let mut client = server.connect()?;
    for path in ["/twice", "/stream-then-body", "/body-then-stream"] {
        let reply = client.get(path)?.expect(200)?;
        ensure!(reply.body == b"second", "{path}: {reply}");
    }
    client.get("/")?.expect(200)?;
    client.silence(ms(5))
}

fn lengths(column: &Column) -> anyhow::Result<()> {
    let server = serve(column, &[])?;
    is_failed(&server, "/length")?;
    for (path, declared) in [("/short", 10), ("/short-reader", 10), ("/long", 4)] {
        let mut client = ask_with_more(&server, path)?;
        let (reply, length) = client.reply_to_head()?;
        ensure!(reply.status == 200 && length == declared, "{path}: {reply}");
        ensure!(client.bytes(4)? == b"half", "{path}");
        // Neither more than was declared, nor another reply.
        let more = client.hear_out()?;
        ensure!(more == 0, "{path}: {more} bytes more");
    }
    is_well(&server)
}

fn half(column: &Column) -> anyhow::Result<()> {
    let mut server = serve(column, &[])?;
    let mut client = ask_with_more(&server, "/half")?;
    let (reply, length) = client.reply_to_head()?;
    ensure!(reply.status == 200 && length == 10, "{reply}");
    ensure!(client.bytes(4)? == b"half");
    ensure!(client.hear_out()? == 0, "it is not cut");
    drop(client);
    for path in ["/half-stream", "/panic-later"] {
        let mut client = ask_with_more(&server, path)?;
        client.reply_to_head()?.0.expect(200)?;
        ensure!(client.chunk()? == b"half", "{path}");
        // Without a last chunk it is no whole body.
        ensure!(client.hear_out()? == 0, "{path}: it is not cut");
    }
    is_well(&server)?;
    let exit = end(column, &mut server)?;
    let said = exit.stderr.matches(PANICS_AS_ASKED).count();
    ensure!(said == 1, "{said} panics in the log: {exit:?}");
    Ok(())
}

/// A reset is noticed although nothing is sent, and the body is dropped. A FIN is no reason: its sender reads on.
fn silent(column: &Column) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut server = serve(column, &["--stream-ms-max", "300"])?;
    let mut client = server.connect()?;
    client.ask(&format!("/silent?{}", folder.path()?))?;
    client.reply_to_head()?.0.expect(200)?;
    ensure!(client.chunk()? == b"half");
    client.finish_writing()?;
    ensure!(client.hears_nothing(ms(100))?, "a FIN has ended it");
    ensure!(!folder.0.join("ended").exists(), "a FIN has ended it");
    client.reset()?;
    eventually("the end of the body", PATIENCE, || {
        folder.0.join("ended").exists()
    })?;
    is_well(&server)?;
    end(column, &mut server)?;
    Ok(())
}
