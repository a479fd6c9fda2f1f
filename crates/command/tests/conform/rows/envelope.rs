//! What a supervisor does to a server, and what it gives it to run with.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

use super::listeners::socket_path;
use super::row;
use crate::design::{UNIX_MODE, WORKERS_TERMINATED};
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, eventually, ms, run};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row(WORKERS_TERMINATED, workers_terminated),
    row("SIGTERM to the process group", group_terminated),
    row("SIGTERM with --drain-delay-ms", delayed),
    row("SIGTERM twice ends a delay", hurried),
    row("--user and --group", other_user),
    row("--user that is not, or may not be", no_user),
    row(UNIX_MODE, unix_mode),
    row("threads that cannot be had", few_threads),
    row("--db that is no database", no_database),
];

/// Each ends when it has served what it has, and another takes its place.
fn workers_terminated(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(Moot("its workers are no processes").into());
    }
    let flags = ["--drain-idle-ms", "100"];
    let mut server = column.serve(&[&flags[..], &column.workers("3")].concat())?;
    for _ in 0..2 {
        let (mut idle, mut busy) = (server.connect()?, server.connect()?);
        idle.get("/")?.expect(200)?;
        busy.ask("/sleep/1000000")?;
        busy.silence(ms(100))?;
        let old = process::children(server.pid());
        ensure!(!old.is_empty(), "there is no child");
        old.iter()
            .for_each(|pid| process::signal(*pid, Signal::TERM));
        let reply = busy.reply()?.expect(200)?;
        ensure!(reply.closes(), "it must say close: {reply}");
        idle.end()?;
        eventually("the end of all that were told", PATIENCE, || {
            old.iter().all(|pid| !process::is_alive(*pid))
        })?;
        server.connect()?.get("/json")?.expect(200)?;
    }
    let exit = server.drain(PATIENCE)?;
    ensure!(
        exit.stderr.contains(" 0 cut, 0 workers replaced"),
        "{exit:?}"
    );
    ensure!(!exit.stderr.contains("ended:"), "{exit:?}");
    Ok(())
}

/// As a terminal or a service manager may do it: a drain, and nobody is replaced.
fn group_terminated(column: &Column) -> anyhow::Result<()> {
    let mut command = column.command(&["127.0.0.1:0"], &["--drain-idle-ms", "100"]);
    command.process_group(0);
    let mut server = Server::start(command, 1)?;
    let mut busy = server.connect()?;
    busy.ask("/sleep/300000")?;
    busy.silence(ms(100))?;
    let group = rustix::process::Pid::from_raw(server.pid() as i32).context("a group")?;
    // Some wait in the backlog of a model that serves one at a time.
    let mut crowd = (0..3)
        .map(|_| {
            let mut client = server.connect()?;
            client.ask("/json")?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<Client>>>()?;
    rustix::process::kill_process_group(group, Signal::TERM)?;
    busy.reply()?.expect(200)?;
    drop(busy);
    for client in &mut crowd {
        client.reply()?.expect(200)?;
        client.end()?;
    }
    let exit = server.ends_well(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 workers replaced"), "{exit:?}");
    Ok(())
}

/// What a load balancer needs: it is told at once, and what it sends until it has noticed is served.
fn delayed(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let admin = format!("unix:{}", path.display());
    let flags = [
        "--drain-delay-ms",
        "1500",
        "--drain-idle-ms",
        "100",
        "--admin",
        &admin,
    ];
    let mut server = column.serve(&flags)?;
    let is_ready = || -> anyhow::Result<bool> {
        let reply = Client::connect(&admin)?.get("/readyz")?;
        Ok(reply.status == 200)
    };
    ensure!(is_ready()?, "it serves, and is not ready");
    server.signal(Signal::TERM);
    eventually("not ready", PATIENCE, || !is_ready().unwrap_or(true))?;
    let mut late = server.connect()?;
    let reply = late.get("/")?.expect(200)?;
    ensure!(!reply.closes(), "it drains already: {reply}");
    late.end()?;
    server.ends_well(PATIENCE)?;
    Ok(())
}

fn hurried(column: &Column) -> anyhow::Result<()> {
    let flags = ["--drain-delay-ms", "60000", "--drain-idle-ms", "100"];
    let mut server = column.serve(&flags)?;
    server.connect()?.get("/")?.expect(200)?;
    server.signal_taken(Signal::TERM)?;
    server.signal(Signal::TERM);
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// A user that nobody else is, for limits that count what a user has.
pub fn nobody() -> anyhow::Result<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !rustix::process::geteuid().is_root() {
        return Err(Moot("only root may become somebody else").into());
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok((1_800_000_000 + (std::process::id() << 10) % (1 << 28) + number).to_string())
}

fn other_user(column: &Column) -> anyhow::Result<()> {
    let user = nobody()?;
    let file = socket_path().with_extension("pid");
    let name = file.to_str().context("a path of text")?;
    let flags = ["--user", &user, "--group", &user, "--pid-file", name];
    let mut server = column.serve(&flags)?;
    server.connect()?.get("/")?.expect(200)?;
    for one in process::family(server.pid()) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", one.pid)) else {
            ensure!(one.pid != server.pid(), "the server is gone");
            continue; // A child has ended with its client.
        };
        for field in ["Uid:", "Gid:"] {
            let line = status.lines().find(|line| line.starts_with(field));
            let mut ids = line.context(field)?.split_ascii_whitespace().skip(1);
            ensure!(ids.all(|id| id == user), "{status}");
        }
        let groups = status.lines().find(|line| line.starts_with("Groups:"));
        let more = groups.unwrap_or_default().split_ascii_whitespace().skip(1);
        ensure!(more.clone().all(|id| id == user), "{status}");
    }
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.trim() == server.pid().to_string(), "{text}");
    server.drain(PATIENCE)?;
    let _ = std::fs::remove_file(&file);
    Ok(())
}

fn no_user(column: &Column) -> anyhow::Result<()> {
    let refused = |flags: &[&str], code: i32| -> anyhow::Result<()> {
        let exit = run(column.command(&["127.0.0.1:0"], flags))?;
        ensure!(
            exit.code == Some(code) && exit.stdout.is_empty() && exit.stderr.lines().count() == 1,
            "{flags:?}: {exit:?}"
        );
        Ok(())
    };
    refused(&["--user", "no such user"], 2)?;
    refused(&["--group", "no such group"], 2)?;
    refused(&["--user", "1799999999"], 2)?;
    if !rustix::process::geteuid().is_root() {
        refused(&["--user", "0"], 1)?;
    }
    Ok(())
}

fn unix_mode(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let addr = format!("unix:{}", path.display());
    for mode in ["600", "777", "0660"] {
        let mut server = column.serve_on(&[&addr], &["--unix-mode", mode])?;
        let found = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(found == u32::from_str_radix(mode, 8)?, "{mode}: {found:o}");
        Client::connect(&addr)?.get("/")?.expect(200)?;
        server.drain(PATIENCE)?;
    }
    for mode in ["rw", "1777", "8"] {
        let exit = run(column.command(&[&addr], &["--unix-mode", mode]))?;
        ensure!(
            exit.code == Some(2) && exit.stdout.is_empty(),
            "{mode}: {exit:?}"
        );
    }
    Ok(())
}

/// A server that may have one thread or one child: it serves with that, or it ends before it listens.
fn few_threads(column: &Column) -> anyhow::Result<()> {
    let user = nobody()?;
    let command = || {
        let workers = column.workers("4");
        let flags = [&["--user", &user, "--group", &user][..], &workers].concat();
        let serve = column.command(&["127.0.0.1:0"], &flags);
        let mut command = Command::new("sh");
        let script = "ulimit -u 2; exec \"$@\" </dev/null";
        command
            .args(["-c", script, "sh", TURNSTILE])
            .args(serve.get_args());
        command
    };
    if let Ok(mut server) = Server::start(command(), 1) {
        server.connect()?.get("/")?.expect(200)?;
        server.drain(PATIENCE)?;
        return Ok(());
    }
    let exit = run(command())?;
    let errors = exit
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "));
    ensure!(
        exit.code == Some(1) && exit.stdout.is_empty() && errors.count() == 1,
        "{exit:?}"
    );
    Ok(())
}

fn no_database(column: &Column) -> anyhow::Result<()> {
    let path = socket_path().with_extension("db");
    let name = path.to_str().context("a path of text")?;
    std::fs::write(
        &path,
        "This is no database, however long one looks at it.".repeat(100),
    )?;
    let exit = run(column.command(&["127.0.0.1:0"], &["--db", name]))?;
    let folder = run(column.command(&["127.0.0.1:0"], &["--db", "/"]))?;
    std::fs::remove_file(&path)?;
    for exit in [exit, folder] {
        ensure!(
            exit.code == Some(1) && exit.stdout.is_empty() && exit.stderr.lines().count() == 1,
            "{exit:?}"
        );
    }
    Ok(())
}
