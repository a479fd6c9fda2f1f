//! SIGUSR2: a new program takes the place of the old one, and nobody notices.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, ensure};

use super::listeners::socket_path;
use super::row;
use crate::design::RESTART_UNIX;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, eventually, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("restart: nothing is lost under load", under_load),
    row(RESTART_UNIX, unix),
    row("restart: a successor that dies", dies),
    row(
        "restart: a successor that dies with the listeners",
        dies_late,
    ),
    row("restart: a successor that never gets ready", hangs),
    row("restart: SIGUSR2 several times", several),
    row("restart: SIGTERM meanwhile", terminated),
];

/// A server, and all that replace it, by the file with their process id. Dropping it kills the last.
struct Line {
    first: Server,
    file: PathBuf,
    pid: u32,
}

impl Line {
    fn begin(column: &Column, listen: &str, flags: &[&str]) -> anyhow::Result<Line> {
        let file = socket_path().with_extension("pid");
        let name = file.to_str().context("a path of text")?.to_owned();
        let workers = column.workers("3");
        // How long a connection may be idle that was accepted by a server that drains. A client whose turn on the
        // CPU comes later than that between its connect and its send has lost nothing by a restart.
        let own = ["--pid-file", &name, "--drain-idle-ms", "1500"];
        let first = column.serve_on(&[listen], &[&own, flags, &workers[..]].concat())?;
        let pid = first.pid();
        ensure!(read(&file) == Some(pid), "the file holds {:?}", read(&file));
        Ok(Line { first, file, pid })
    }

    /// Sends SIGUSR2 and waits until another process has taken over and the old one has gone.
    fn restart(&mut self) -> anyhow::Result<()> {
        let old = self.pid;
        process::signal(old, Signal::USR2);
        self.await_change(old)
    }

    fn await_change(&mut self, old: u32) -> anyhow::Result<()> {
        let new = || read(&self.file).filter(|pid| *pid != old);
        eventually("another process", PATIENCE, || new().is_some())?;
        self.pid = new().context("another process")?;
        // The first is a child of this test, which has not reaped it.
        eventually("the end of the old one", PATIENCE, || {
            !process::is_alive(old)
        })
    }

    fn end(mut self) -> anyhow::Result<String> {
        process::signal(self.pid, Signal::TERM);
        let exit = self.first.ends_well(PATIENCE)?;
        ensure!(
            !self.file.exists(),
            "the file of the process id is left behind"
        );
        Ok(exit.stderr)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.pid != self.first.pid() && read(&self.file) == Some(self.pid) {
            process::signal(self.pid, Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.file);
    }
}

fn read(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// What became of connections with one request each.
#[derive(Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
}

/// A client with a connection per request, until `done`. Refused is what `connect` says; whatever goes wrong
/// after that is lost.
fn churn(addr: &str, done: &AtomicBool, counts: &Counts) -> anyhow::Result<()> {
    while !done.load(Ordering::Relaxed) {
        let mut client = match Client::connect(addr) {
            Ok(client) => client,
            Err(error) => {
                let cause = error.root_cause().downcast_ref::<std::io::Error>();
                let kind = cause.map(std::io::Error::kind);
                ensure!(
                    matches!(
                        kind,
                        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound)
                    ),
                    "{error:#}"
                );
                counts.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        };
        let reply = client
            .send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            .and_then(|()| client.reply())
            .and_then(|reply| reply.expect(200));
        reply.context("accepted and lost")?;
        client.end()?;
        counts.served.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(ms(1)); // The pace of a visitor: other cells run beside this one.
    }
    Ok(())
}

/// How many restarts a cell makes: few, unless `TURNSTILE_CELL_RESTARTS` says more.
fn restarts() -> usize {
    let asked = std::env::var("TURNSTILE_CELL_RESTARTS");
    asked.map_or(Ok(2), |text| text.parse()).unwrap_or(2)
}

fn under_load(column: &Column) -> anyhow::Result<()> {
    let mut line = Line::begin(column, "127.0.0.1:0", &[])?;
    let addr = line.first.addrs[0].clone();
    line.restart()?;
    let at_rest = || {
        (
            process::descriptors(line.pid),
            process::family(line.pid).len(),
            process::threads(line.pid),
        )
    };
    // It is ready with its first worker, and starts the others meanwhile.
    eventually("a server at rest", PATIENCE * 2, || {
        let before = at_rest();
        (0..12).all(|_| {
            std::thread::sleep(ms(50));
            before == at_rest()
        })
    })?;
    let (descriptors, processes, threads) = at_rest();
    let (done, counts) = (AtomicBool::new(false), Counts::default());
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| churn(&addr, &done, &counts)))
            .collect();
        let restarted: anyhow::Result<()> = (0..restarts()).try_for_each(|_| {
            let before = counts.served.load(Ordering::Relaxed);
            line.restart()?;
            eventually("served by the new one", PATIENCE, || {
                counts.served.load(Ordering::Relaxed) > before + 20
            })?;
            Ok(())
        });
        done.store(true, Ordering::Relaxed);
        for visitor in visitors {
            visitor.join().expect("visitors return their errors")?;
        }
        restarted
    })?;
    let refused = counts.refused.load(Ordering::Relaxed);
    ensure!(refused == 0, "{refused} were refused");
    eventually(
        "no more descriptors, processes and threads than before",
        PATIENCE,
        || {
            // A child may have inherited one more or less, by what its parent held when it was forked;
            // what grows with every restart is found by `TURNSTILE_CELL_RESTARTS=100`.
            process::descriptors(line.pid) <= descriptors + processes
                && process::family(line.pid).len() <= processes
                && process::threads(line.pid) == threads
        },
    )
    .with_context(|| {
        format!(
            "{} descriptors, {} processes, {} threads; before: {descriptors}, {processes}, {threads}",
            process::descriptors(line.pid),
            process::family(line.pid).len(),
            process::threads(line.pid)
        )
    })?;
    let log = line.end()?;
    let drained = log.matches("drained:").count();
    ensure!(drained == restarts() + 2, "{drained} accounts: {log}");
    Ok(())
}

fn unix(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let addr = format!("unix:{}", path.display());
    let mut line = Line::begin(column, &addr, &[])?;
    for _ in 0..2 {
        line.restart()?;
        ensure!(path.exists(), "the path has gone with the old server");
        Client::connect(&addr)?.get("/")?.expect(200)?;
    }
    line.end()?;
    ensure!(!path.exists(), "the path outlives the last server");
    Ok(())
}

/// The file of the process id cannot be written any more, which the successor finds out before it is ready.
fn dies(column: &Column) -> anyhow::Result<()> {
    let line = Line::begin(column, "127.0.0.1:0", &[])?;
    let addr = line.first.addrs[0].clone();
    for _ in 0..2 {
        std::fs::remove_file(&line.file)?;
        std::fs::create_dir(&line.file)?;
        process::signal(line.pid, Signal::USR2);
        let mut client = Client::connect(&addr)?;
        for _ in 0..10 {
            client.get("/")?.expect(200)?;
            std::thread::sleep(ms(40)); // Any moment of the attempt will do.
        }
        drop(client);
        Client::connect(&addr)?.get("/")?.expect(200)?;
        std::fs::remove_dir(&line.file)?;
        std::fs::write(&line.file, line.pid.to_string())?;
    }
    is_replaced_after_two(line)
}

/// After two successors that have died, the next one is as good as any.
fn is_replaced_after_two(mut line: Line) -> anyhow::Result<()> {
    line.restart()?;
    Client::connect(&line.first.addrs[0])?
        .get("/")?
        .expect(200)?;
    let log = line.end()?;
    let told = log.matches("ended before it was ready").count();
    ensure!(told == 2, "one line for each of two: {log}");
    Ok(())
}

/// The file of the process id is one that nothing can be written to, which the successor finds out when it has
/// the listeners, and all but says that it is ready.
fn dies_late(column: &Column) -> anyhow::Result<()> {
    let line = Line::begin(column, "127.0.0.1:0", &[])?;
    let addr = line.first.addrs[0].clone();
    for _ in 0..2 {
        std::fs::remove_file(&line.file)?;
        std::os::unix::fs::symlink("/dev/full", &line.file)?;
        let name = line.file.to_str().context("a path of text")?.to_owned();
        // The watcher and the successor have no parent that waits for them.
        let is_under_way = || {
            let own: Vec<_> = process::family(line.pid)
                .iter()
                .map(|one| one.pid)
                .collect();
            process::naming(&name).iter().any(|pid| !own.contains(pid))
        };
        process::signal(line.pid, Signal::USR2);
        for _ in 0..15 {
            Client::connect(&addr)?.get("/")?.expect(200)?;
            std::thread::sleep(ms(40)); // Any moment of the attempt will do.
        }
        eventually("the end of the attempt", PATIENCE, || !is_under_way())?;
        Client::connect(&addr)?.get("/")?.expect(200)?;
        let _ = std::fs::remove_file(&line.file); // The successor may have done so.
        std::fs::write(&line.file, line.pid.to_string())?;
    }
    is_replaced_after_two(line)
}

/// The program's name leads to one that hangs, for longer than a server waits. Then it leads to the right one
/// again.
fn hangs(column: &Column) -> anyhow::Result<()> {
    let name = socket_path().with_extension("program");
    std::os::unix::fs::symlink(TURNSTILE, &name)?;
    let script = socket_path().with_extension("sh");
    std::fs::write(&script, "#!/bin/sh\nexec sleep 60\n")?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let hung = hang(column, &name, &script);
    let _ = std::fs::remove_file(&name);
    let _ = std::fs::remove_file(&script);
    hung
}

fn hang(column: &Column, name: &Path, script: &Path) -> anyhow::Result<()> {
    let file = socket_path().with_extension("pid");
    let pid_file = file.to_str().context("a path of text")?.to_owned();
    let serve = column.command(&["127.0.0.1:0"], &["--pid-file", &pid_file]);
    let mut command = std::process::Command::new(name);
    command
        .args(serve.get_args())
        .stdin(std::process::Stdio::null());
    let first = Server::start(command, 1)?;
    let (pid, addr) = (first.pid(), first.addrs[0].clone());
    let mut line = Line { first, file, pid };
    let lead_to = |target: &Path| -> anyhow::Result<()> {
        std::fs::remove_file(name)?;
        Ok(std::os::unix::fs::symlink(target, name)?)
    };
    lead_to(script)?;
    process::signal(line.pid, Signal::USR2);
    let start = std::time::Instant::now();
    while start.elapsed() < ms(11_000) {
        Client::connect(&addr)?.get("/")?.expect(200)?;
        std::thread::sleep(ms(100)); // The pace of a visitor.
    }
    ensure!(read(&line.file) == Some(line.pid), "another took its place");
    lead_to(Path::new(TURNSTILE))?;
    line.restart()?;
    Client::connect(&addr)?.get("/")?.expect(200)?;
    let log = line.end()?;
    let told = log.matches("not ready").count();
    ensure!(told == 1, "one line for one attempt: {log}");
    Ok(())
}

fn several(column: &Column) -> anyhow::Result<()> {
    let mut line = Line::begin(column, "127.0.0.1:0", &[])?;
    let addr = line.first.addrs[0].clone();
    let old = line.pid;
    for _ in 0..5 {
        process::signal(old, Signal::USR2);
    }
    line.await_change(old)?;
    let new = line.pid;
    Client::connect(&addr)?.get("/")?.expect(200)?;
    ensure!(process::is_alive(new), "the successor has gone");
    ensure!(
        read(&line.file) == Some(new),
        "there is more than one successor"
    );
    line.end()?;
    Ok(())
}

/// Who stops a server that is about to be replaced stops both.
fn terminated(column: &Column) -> anyhow::Result<()> {
    let mut line = Line::begin(column, "127.0.0.1:0", &[])?;
    process::signal(line.pid, Signal::USR2);
    process::signal(line.pid, Signal::TERM);
    // Standard error ends when the last process has.
    let exit = line.first.exit(PATIENCE)?;
    ensure!(exit.code == Some(0), "{exit:?}");
    Ok(())
}

/// A path that another server has taken over is that one's.
pub fn path_of_another(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let mut server = column.serve_on(&[&format!("unix:{}", path.display())], &[])?;
    std::fs::remove_file(&path)?;
    let _other = UnixListener::bind(&path)?;
    server.drain(PATIENCE)?;
    ensure!(path.exists(), "it has removed the socket of another");
    std::fs::remove_file(&path)?;
    Ok(())
}
