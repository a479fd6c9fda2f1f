//! As process 1 of a container, and under the limits of one.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use turnstile::Count;

use super::listeners::socket_path;
use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, metrics, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("process 1: orphans are reaped", orphans),
    row("process 1: signals are honoured", signals),
    row("process 1: a worker that ends is replaced", worker_ends),
    row("a CPU quota of one CPU is one worker", quota),
];

/// The server as process 1 of a process namespace of its own. Moot where that is not permitted.
fn serve(column: &Column, flags: &[&str]) -> anyhow::Result<(Server, u32)> {
    let own = ["--pid", "--fork", "--kill-child"];
    let allowed = Command::new("unshare").args(own).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return Err(Moot("unshare(1) may not make a process namespace here").into());
    }
    let serve = column.command(
        &["127.0.0.1:0"],
        &[&["--drain-idle-ms", "100"], flags].concat(),
    );
    let mut command = Command::new("unshare");
    command
        .args(own)
        .arg(serve.get_program())
        .args(serve.get_args())
        .stdin(std::process::Stdio::null());
    let server = Server::start(command, 1)?;
    let first = process::children(server.pid());
    Ok((server, *first.first().context("process 1")?))
}

/// Runs a script inside the namespace.
fn inside(first: u32, script: &str) -> anyhow::Result<()> {
    let status = Command::new("nsenter")
        .args(["--target", &first.to_string(), "--pid", "sh", "-c", script])
        .status()?;
    ensure!(status.success(), "{script}: {status}");
    Ok(())
}

/// Processes that lose their parent become children of process 1. They are reaped, however they end, and
/// are not taken for workers.
fn orphans(column: &Column) -> anyhow::Result<()> {
    let (mut server, first) = serve(column, &column.workers("2"))?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    for _ in 0..3 {
        inside(
            first,
            "(sleep 0.1; exit 7) & (sh -c 'sleep 0.2; kill -9 $$') & (exec sleep 0.1) & exit 0",
        )?;
    }
    let mut seen = 0;
    eventually("no zombie, for a while", PATIENCE, || {
        std::thread::sleep(ms(100)); // As long as the orphans live.
        seen = if process::zombies(server.pid()) == 0 {
            seen + 1
        } else {
            0
        };
        seen >= 6
    })?;
    client.get("/json")?.expect(200)?;
    drop(client);
    process::signal(first, Signal::TERM);
    let exit = server.ends_well(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 workers replaced"), "{exit:?}");
    ensure!(!exit.stderr.contains("ended"), "{exit:?}");
    Ok(())
}

/// Process 1 has no default actions: what is not handled has no effect.
fn signals(column: &Column) -> anyhow::Result<()> {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let (mut server, first) = serve(column, &[])?;
        let mut client = server.connect()?;
        client.get("/")?.expect(200)?;
        process::signal(first, Signal::HUP);
        process::signal(first, Signal::USR1);
        client.get("/json")?.expect(200)?;
        process::signal(first, signal);
        client.hear_out()?;
        server.ends_well(PATIENCE)?;
    }
    // With the end of process 1 the container would end, so there is no restart.
    let (mut server, first) = serve(column, &[])?;
    let own = process::children(first);
    let own = *own.first().context("the process that serves")?;
    process::signal(first, Signal::USR2);
    // It goes on serving once process 1 has passed the signal on, and the server has handled it.
    eventually("the signal is handled", PATIENCE, || {
        let pending = [first, own].map(|pid| process::is_pending(pid, Signal::USR2));
        let passes_on = process::state(first) != Some('S');
        pending == [false, false] && !passes_on
    })?;
    Client::connect(&server.addrs[0])?.get("/")?.expect(200)?;
    process::signal(first, Signal::TERM);
    let exit = server.ends_well(PATIENCE)?;
    let told = exit.stderr.matches("no restart: this is process 1").count();
    ensure!(told == 1, "{exit:?}");
    Ok(())
}

/// A control group with a quota of one CPU, removed in the end.
struct Group(PathBuf);

impl Group {
    /// In version 1 or 2, wherever a group with a quota can be made.
    fn of_one_cpu() -> Option<Group> {
        let name = format!(
            "turnstile-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let version_1 = ("cpu", "cpu.cfs_quota_us", "100000");
        let version_2 = ("", "cpu.max", "100000 100000");
        [version_1, version_2]
            .into_iter()
            .find_map(|(controller, file, quota)| {
                let above = Path::new("/sys/fs/cgroup").join(controller);
                if !above.join("cgroup.procs").exists() {
                    return None;
                }
                std::fs::create_dir(above.join(&name)).ok()?;
                let group = Group(above.join(&name)); // It is removed if it has no quota.
                std::fs::write(group.0.join(file), quota).ok()?;
                Some(group)
            })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last process may not have left it yet.
        let _ = eventually("an empty group", PATIENCE, || {
            !self.0.exists() || std::fs::remove_dir(&self.0).is_ok()
        });
    }
}

/// A quota of one CPU is one worker, whatever the machine has.
fn quota(column: &Column) -> anyhow::Result<()> {
    if column.own.workers.count != Count::PerCpu {
        return Err(Moot("it has no worker per CPU").into());
    }
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    if cpus < 2 {
        return Err(Moot("one CPU is one worker in any case").into());
    }
    let group =
        Group::of_one_cpu().ok_or(Moot("no control group with a quota can be made here"))?;
    let workers = |group: Option<&Group>| -> anyhow::Result<f64> {
        let admin = format!("unix:{}", socket_path().display());
        let serve = column.command(&["127.0.0.1:0"], &["--admin", &admin]);
        let mut command = Command::new("sh");
        let join = match group {
            Some(group) => format!("echo $$ > '{}' && ", group.0.join("cgroup.procs").display()),
            None => String::new(),
        };
        command
            .args(["-c", &format!("{join}exec \"$@\" </dev/null"), "sh"])
            .arg(serve.get_program())
            .args(serve.get_args());
        let mut server = Server::start(command, 1)?;
        server.connect()?.get("/")?.expect(200)?;
        let workers = metrics(&admin)?.value("turnstile_workers")?;
        server.drain(PATIENCE)?;
        Ok(workers)
    };
    let (without, with) = (workers(None)?, workers(Some(&group))?);
    ensure!(without == cpus as f64, "{without} workers on {cpus} CPUs");
    ensure!(with == 1.0, "{with} workers with a quota of one CPU");
    Ok(())
}

fn worker_ends(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() || column.forks_for_clients() {
        return Err(Moot("its workers are no processes that are replaced").into());
    }
    let (mut server, first) = serve(column, &column.workers("2"))?;
    server.connect()?.get("/")?.expect(200)?;
    let parent = process::children(first);
    let parent = *parent.first().context("the parent of the workers")?;
    eventually("two workers", PATIENCE, || {
        process::children(parent).len() >= 2
    })?;
    let workers = process::children(parent);
    inside(first, "(exit 3) & (exit 0) & exit 0")?;
    let victim = workers[0];
    process::signal(victim, Signal::KILL);
    eventually("another in its place", PATIENCE, || {
        let now = process::children(parent);
        now.len() >= workers.len() && !now.contains(&victim)
    })?;
    server.connect()?.get("/json")?.expect(200)?;
    process::signal(first, Signal::TERM);
    let exit = server.ends_well(PATIENCE)?;
    ensure!(exit.stderr.contains(" 1 workers replaced"), "{exit:?}");
    Ok(())
}
