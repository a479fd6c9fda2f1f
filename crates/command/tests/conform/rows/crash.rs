//! Processes that die: workers by SIGKILL, and parents.

use anyhow::ensure;

use super::routes::pid_behind;
use super::row;
use crate::design::WORKER_KILLED;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row(WORKER_KILLED, worker_killed),
    row("kill -9 of every worker", all_killed),
    row("kill -9 of the parent", parent_killed),
    row("no zombies, no lost descriptors", leaves_nothing),
];

const ONE_PROCESS: Moot = Moot("one process serves: who kills it kills the server");

/// A connection, and the process behind it, if that is not the server's first one.
fn connect(column: &Column, server: &Server) -> anyhow::Result<(Client, u32)> {
    let mut client = server.connect()?;
    let pid = pid_behind(&mut client)?;
    let forked = pid != server.pid();
    ensure!(forked || !column.serves_in_children(), "the parent serves");
    ensure!(forked, ONE_PROCESS);
    Ok((client, pid))
}

fn worker_killed(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_with_workers(4, &[])?;
    let workers = process::children(server.pid()).len();
    let (mut victim, pid) = connect(column, &server)?;
    // Where processes share a listener, several clients may come to the same one.
    let mut tried = Vec::new();
    let mut other = loop {
        let (client, other_pid) = connect(column, &server)?;
        if pid != other_pid {
            break client;
        }
        tried.push(client);
        ensure!(tried.len() < 64, "all clients in one process");
    };
    process::signal(pid, Signal::KILL);
    victim.hear_out()?;
    other.get("/")?.expect(200)?;
    // Every place is filled again.
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(connect(column, &server)?);
    }
    drop(victim);
    eventually("no zombie", PATIENCE, || {
        process::zombies(server.pid()) == 0
    })?;
    eventually("as many workers as before", PATIENCE, || {
        process::children(server.pid()).len() >= workers
    })?;
    drop((more, other));
    let exit = server.drain(PATIENCE)?;
    ensure!(
        exit.stderr.contains(&pid.to_string()),
        "it must be logged: {}",
        exit.stderr
    );
    Ok(())
}

/// Again and again, so that replacing has to pause; in the end all is well.
fn all_killed(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_with_workers(3, &["--respawn-pause-ms-max", "50"])?;
    drop(connect(column, &server)?);
    for _ in 0..3 {
        for pid in process::children(server.pid()) {
            process::signal(pid, Signal::KILL);
        }
        let (mut client, _) = connect_anew(column, &server)?;
        client.get("/")?.expect(200)?;
    }
    eventually("no zombie", PATIENCE, || {
        process::zombies(server.pid()) == 0
    })?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// A connection that a worker about to die has not taken along.
fn connect_anew(column: &Column, server: &Server) -> anyhow::Result<(Client, u32)> {
    let mut last = connect(column, server);
    for _ in 0..10 {
        if last.is_ok() {
            break;
        }
        last = connect(column, server);
    }
    last
}

fn parent_killed(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_with_workers(3, &[])?;
    let (mut client, pid) = connect(column, &server)?;
    process::signal(server.pid(), Signal::KILL);
    // Standard error ends when the last of its processes has.
    server.exit(ms(2_000))?;
    client.hear_out()?;
    // It closes its files before it has quite ended.
    eventually("worker that outlives its parent", PATIENCE, || {
        !process::is_alive(pid)
    })
}

fn leaves_nothing(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_with_workers(4, &[])?;
    server.connect()?.get("/")?.expect(200)?;
    let (descriptors, processes) = settled(&server)?;
    for path in ["/", "/bytes/100000", "/wait/1000", "/nothing"] {
        for _ in 0..10 {
            server.connect()?.get(path)?;
        }
        let mut bad = server.connect()?;
        bad.send("BAD\r\n\r\n")?;
        bad.reply()?.expect(400)?;
    }
    eventually("no zombie", PATIENCE, || {
        process::zombies(server.pid()) == 0
    })?;
    eventually("no more descriptors than before", PATIENCE, || {
        process::descriptors(server.pid()) <= descriptors
    })?;
    eventually("no more processes than before", PATIENCE, || {
        process::family(server.pid()).len() <= processes
    })?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// Descriptors and processes of a server that has nothing to do.
fn settled(server: &Server) -> anyhow::Result<(usize, usize)> {
    let now = || {
        (
            process::descriptors(server.pid()),
            process::family(server.pid()).len(),
        )
    };
    let mut last = now();
    eventually("a server at rest", PATIENCE, || {
        std::thread::sleep(ms(50));
        let before = std::mem::replace(&mut last, now());
        before == last
    })?;
    Ok(last)
}
