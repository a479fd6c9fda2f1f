//! A known load on a server under strace.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually};
use crate::trace::Trace;

/// Connections, one after another, of one request each.
pub const CONNECTIONS: usize = 20;
/// Requests on one warm connection.
pub const REQUESTS: usize = 100;
/// Workers asked for, where a model can have several.
pub const WORKERS: &str = "3";
/// Datagrams, one after another, where a variant echoes them.
pub const DATAGRAMS: usize = 10;
/// Connections that are open at once, where that is more than a model's threads could hold.
const CROWD: usize = 8;

/// A trace, and when what was done.
#[derive(Debug)]
pub struct Driven {
    pub trace: Trace,
    /// Ready, and nobody has come yet.
    pub ready: f64,
    /// After the short connections.
    pub served: f64,
    /// A connection is open and has been served; its requests begin.
    pub warm: f64,
    /// They end.
    pub done: f64,
    /// While the warm connection stayed open, something else was done beside it, see [`beside`].
    pub second: f64,
    /// It never rests: what did not work, it tries for ever, and only what worked is counted.
    pub restless: bool,
    /// A program is started for each connection: its loader's calls are not counted.
    pub execs: bool,
    /// Threads that computed replies, as these said themselves.
    pub computed: Vec<u32>,
}

/// Runs `column` under strace.
///
/// # Errors
/// When it does not serve, or cannot be traced.
pub fn drive(column: &Column) -> anyhow::Result<Driven> {
    let name = format!(
        "turnstile-fidelity-{}-{}.strace",
        std::process::id(),
        column.label().replace(':', "-")
    );
    let path = std::env::temp_dir().join(name);
    let driven = record(column, &path);
    let _ = std::fs::remove_file(&path);
    driven
}

fn record(column: &Column, path: &Path) -> anyhow::Result<Driven> {
    let (mut server, pid) = traced(column, path)?;
    let ready = at_rest(column, pid)?;
    for number in 0..CONNECTIONS {
        let mut client = server.connect()?;
        client
            .get("/plaintext")
            .and_then(|reply| reply.expect(200))
            .with_context(|| format!("connection {number}"))?;
        settled(column, pid)?;
        drop(client);
        // The next one comes when all is over with this one.
        at_rest(column, pid)?;
    }
    let served = at_rest(column, pid)?;
    let mut client = server.connect()?;
    let computed = (0..3)
        .map(|_| thread_behind(&mut client))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let warm = at_rest(column, pid)?;
    for _ in 0..REQUESTS {
        client.get("/plaintext")?.expect(200)?;
        settled(column, pid)?;
    }
    let done = at_rest(column, pid)?;
    second(column, &server, pid).context("beside an open connection")?;
    let second = at_rest(column, pid)?;
    drop(client);
    process::signal(pid, Signal::TERM);
    server.exit(PATIENCE)?;
    let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
    Ok(Driven {
        trace: Trace::parse(&text)?,
        ready,
        served,
        warm,
        done,
        second,
        restless: column.never_rests(),
        execs: column.needs_a_super_server(),
        computed,
    })
}

/// Variants whose threads share a handle set.
pub fn shares_handles(column: &Column) -> bool {
    let sharing = [
        "leader-follower",
        "reactor-pool:half-sync",
        "reactor-pool:simulated-proactor",
        "multi-reactor:thread-per-event",
    ];
    sharing.contains(&column.label().as_str())
}

/// What comes while a thread has the connection in hand is an event more in a shared handle set, and
/// a tracer makes that likely. There the client waits until its reply is all over.
fn settled(column: &Column, pid: u32) -> anyhow::Result<()> {
    if shares_handles(column) {
        at_rest(column, pid)?;
    }
    Ok(())
}

/// What a variant is brought while a connection is open and idle, to show what it alone promises.
fn second(column: &Column, server: &Server, pid: u32) -> anyhow::Result<()> {
    match column.label().as_str() {
        _ if shares_handles(column) => {
            let mut client = server.connect()?;
            client.ask("/sleep/500000")?;
            at_rest(column, pid)?;
            client.ask("/plaintext")?;
            client.reply()?.expect(200)?;
            client.reply()?.expect(200)?;
        }
        _ if column.own.needs.accept_lock => {
            server.connect()?.get("/plaintext")?.expect(200)?;
        }
        "async-tasks" | "async-tasks:local" => {
            let clients = (0..CROWD).map(|_| server.connect());
            let mut clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
            for client in &mut clients {
                client.get("/plaintext")?.expect(200)?;
            }
        }
        "signal-driven:udp" => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(&server.addrs[0])?;
            for number in 0..DATAGRAMS {
                let sent = format!("datagram {number}");
                socket.send(sent.as_bytes())?;
                let mut echo = [0; 64];
                let bytes = socket.recv(&mut echo).with_context(|| sent.clone())?;
                ensure!(
                    &echo[..bytes] == sent.as_bytes(),
                    "{sent} came back otherwise"
                );
            }
        }
        _ => {}
    }
    Ok(())
}

/// The thread that answers `/whoami`.
fn thread_behind(client: &mut Client) -> anyhow::Result<u32> {
    let reply = client.get("/whoami")?.expect(200)?;
    let whoami: serde_json::Value = serde_json::from_slice(&reply.body)?;
    let thread = whoami["thread"]
        .as_u64()
        .context("whoami names no thread")?;
    Ok(u32::try_from(thread)?)
}

/// Less than lies between the looks at a server that rests.
const MARGIN: Duration = Duration::from_millis(2);

/// Waits until every thread sleeps, if they ever do, and says when that was: a moment ago, when they
/// slept already, since strace tells the end of a call not to the microsecond.
///
/// # Errors
/// They do not.
pub fn at_rest(column: &Column, pid: u32) -> anyhow::Result<f64> {
    let since_the_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH);
    if column.never_rests() {
        return Ok(since_the_epoch(SystemTime::now())?.as_secs_f64());
    }
    let mut looks = 0;
    eventually("every worker waits", PATIENCE, || {
        let rests = process::is_at_rest(pid);
        looks = if rests { looks + 1 } else { 0 };
        looks == 3
    })?;
    Ok(since_the_epoch(SystemTime::now() - MARGIN)?.as_secs_f64())
}

/// A server under strace, and its process id.
fn traced(column: &Column, path: &Path) -> anyhow::Result<(Server, u32)> {
    let serve = column.command(&["127.0.0.1:0"], &column.workers(WORKERS));
    let mut command = Command::new("strace");
    command
        .args(["-f", "-ttt", "-T", "-s", "32", "-o"])
        .arg(PathBuf::from(path))
        .arg(serve.get_program())
        .args(serve.get_args());
    let server = Server::start(command, 1)?;
    let children = process::children(server.pid());
    let pid = *children.first().context("strace has no child")?;
    Ok((server, pid))
}
