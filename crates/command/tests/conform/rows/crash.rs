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
    row(
        "front: kill -9 of a process, and of the front",
        front_killed,
    ),
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

const OF_THE_FRONT: Moot = Moot("its connections are the front's, which has a row of its own");

/// Asks for `path`, and says which process serves it: of those behind a front the one that has served last, or one
/// that is there for this request.
fn ask(server: &Server, client: &mut Client, path: &str) -> anyhow::Result<u32> {
    let last = pid_behind(client)?;
    std::thread::sleep(ms(100)); // One that was there for this request has ended.
    let before = process::children(server.pid());
    client.ask(path)?;
    client.silence(ms(200))?;
    let now = process::children(server.pid());
    let new: Vec<_> = now.iter().filter(|pid| !before.contains(pid)).collect();
    match new[..] {
        [pid] if !now.contains(&last) => Ok(*pid),
        _ => Ok(last),
    }
}

/// A process behind a front takes the request along that it has, and nothing else; a front takes the clients.
fn front_killed(column: &Column) -> anyhow::Result<()> {
    ensure!(column.front, Moot("it has no front"));
    ensure!(column.serves_in_children(), ONE_PROCESS);
    let flags = ["--respawn-pause-ms-max", "50", "--in-flight-max", "1"];
    let mut server = column.serve_with_workers(1, &flags)?;
    let mut idle = server.connect()?;
    let front = match &process::children(server.pid())[..] {
        [] => anyhow::bail!("no processes"),
        all => *all.iter().max().unwrap_or(&0),
    };
    idle.get("/")?.expect(200)?;
    for path in ["/sleep/60000000", "/wait/60000000"] {
        let mut busy = server.connect()?;
        let pid = ask(&server, &mut busy, path)?;
        ensure!(pid != front, "the front serves");
        process::signal(pid, Signal::KILL);
        busy.hear_out()?;
        eventually("served by another", PATIENCE, || {
            let again = idle.get("/").and_then(|reply| reply.expect(200));
            again.is_ok()
        })?;
    }
    process::signal(front, Signal::KILL);
    idle.hear_out()?;
    server.recovers()?;
    server.drain(PATIENCE)?;
    Ok(())
}

fn worker_killed(column: &Column) -> anyhow::Result<()> {
    ensure!(!column.front || !column.serves_in_children(), OF_THE_FRONT);
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
