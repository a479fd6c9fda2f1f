//! The watchdog of a service manager: it is told that the server is well for as long as it is.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::listeners::socket_path;
use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("WATCHDOG=1 while the server is well", well),
    row("no WATCHDOG=1 while every worker is stuck", stuck),
    row("WATCHDOG=1 through a restart", restarted),
];

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new() -> anyhow::Result<Manager> {
        let path = socket_path();
        let socket = UnixDatagram::bind(&path)?;
        Ok(Manager { socket, path })
    }

    /// A server that is to say within 200 ms that it is well.
    fn serve(&self, column: &Column, flags: &[&str]) -> anyhow::Result<Server> {
        if column.needs_a_super_server() {
            return Err(Moot("a process for each connection has no watchdog").into());
        }
        let mut command = column.command(&["127.0.0.1:0"], flags);
        command
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID");
        Server::start(command, 1)
    }

    /// The next message, if one comes in that time.
    fn hear(&self, within: Duration) -> anyhow::Result<Option<String>> {
        self.socket.set_read_timeout(Some(within))?;
        let mut buffer = [0; 300];
        match self.socket.recv(&mut buffer) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a message that begins so.
    fn hear_until(&self, beginning: &str) -> anyhow::Result<()> {
        while let Some(text) = self.hear(PATIENCE)? {
            if text.starts_with(beginning) {
                return Ok(());
            }
        }
        bail!("{beginning} does not come")
    }

    /// Waits for so many WATCHDOG=1.
    fn hear_beats(&self, count: usize) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut beats = 0;
        while beats < count {
            let text = self.hear(PATIENCE)?.context("no message")?;
            beats += usize::from(text == "WATCHDOG=1");
            ensure!(start.elapsed() < PATIENCE, "{beats} of {count}");
        }
        Ok(())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn well(column: &Column) -> anyhow::Result<()> {
    let manager = Manager::new()?;
    let mut server = manager.serve(column, &["--drain-idle-ms", "100"])?;
    manager.hear_beats(4)?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    // A request that takes its time is none that is stuck, and a drain is no illness.
    client.ask("/wait/2000000")?;
    manager.hear_beats(4)?;
    server.signal(Signal::TERM);
    manager.hear_until("STOPPING=1")?;
    manager.hear_beats(2)?;
    client.reply()?.expect(200)?;
    drop(client);
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// One worker, and a call that does not end soon. Without `--stuck-ms` the interval itself is the bound, and
/// nothing kills the worker before the manager does.
fn stuck(column: &Column) -> anyhow::Result<()> {
    let manager = Manager::new()?;
    let admin = format!("unix:{}", socket_path().display());
    let few = [
        "--admin",
        &admin,
        "--threads-max",
        "1",
        "--drain-idle-ms",
        "100",
        "--connections-max",
        "1",
    ];
    let mut server = manager.serve(column, &[&few[..], &column.workers("1")].concat())?;
    let workers = workers(&admin)?;
    if workers != 1 {
        return Err(Moot("it has more workers than one").into());
    }
    manager.hear_beats(2)?;
    let mut client = server.connect()?;
    client.ask("/sleep/3000000")?;
    // The beats end, though not at once.
    let start = Instant::now();
    while manager.hear(ms(500))?.is_some() {
        if start.elapsed() > ms(2_500) {
            bail!("it says that it is well, and its worker is stuck");
        }
    }
    ensure!(process::is_alive(server.pid()), "it has ended");
    client.reply()?.expect(200)?;
    manager.hear_beats(2)?;
    drop(client);
    server.drain(PATIENCE)?;
    Ok(())
}

fn workers(admin: &str) -> anyhow::Result<usize> {
    let mut client = Client::connect(admin)?;
    let page = String::from_utf8(client.get("/metrics")?.expect(200)?.body)?;
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix("turnstile_workers "));
    Ok(line.context("turnstile_workers")?.parse()?)
}

/// A successor says so under its own process id.
fn restarted(column: &Column) -> anyhow::Result<()> {
    let manager = Manager::new()?;
    let file = socket_path().with_extension("pid");
    let name = file.to_str().context("a path of text")?;
    let mut server = manager.serve(column, &["--drain-idle-ms", "100", "--pid-file", name])?;
    manager.hear_beats(1)?;
    let old = server.pid();
    server.signal(Signal::USR2);
    let read = || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.trim().parse().ok().filter(|pid: &u32| *pid != old)
    };
    eventually("another process", PATIENCE, || read().is_some())?;
    let new = read().context("another process")?;
    eventually("the end of the old one", PATIENCE, || {
        !process::is_alive(old)
    })?;
    while manager.hear(ms(1))?.is_some() {}
    let beaten = manager.hear_beats(3);
    process::signal(new, Signal::TERM);
    server.ends_well(PATIENCE)?;
    beaten
}
