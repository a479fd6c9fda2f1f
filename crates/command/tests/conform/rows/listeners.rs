//! Where a server may listen.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

use super::framing::{expect_numbered, numbered};
use super::row;
use crate::design::{FOREIGN_PATH, INHERITED, SEVERAL, SHUT_OUTSIDE, STALE, SUCCESSOR, UNIX};
use crate::harness::process::Signal;
use crate::harness::{Client, Column, PATIENCE, Server, TURNSTILE, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("IPv6", ipv6),
    row(UNIX, unix),
    row(STALE, stale),
    row(FOREIGN_PATH, super::restart::path_of_another),
    row(INHERITED, inherited),
    row(SUCCESSOR, successor),
    row(SHUT_OUTSIDE, shut_outside),
    row(SEVERAL, several),
];

fn works(addr: &str) -> anyhow::Result<()> {
    let mut client = Client::connect(addr)?;
    client.send(numbered(20))?;
    expect_numbered(&mut client, 20)?;
    let reply = client.get("/bytes/3000000")?.expect(200)?;
    ensure!(reply.body.len() == 3_000_000, "{} bytes", reply.body.len());
    Ok(())
}

fn ipv6(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve_on(&["[::1]:0"], &[])?;
    ensure!(server.addrs[0].starts_with("[::1]:"), "{}", server.addrs[0]);
    works(&server.addrs[0])?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// A path in the temporary directory that nobody else uses.
pub fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("{}{number}.sock", prefix()))
}

fn prefix() -> String {
    format!("turnstile-{}-", std::process::id())
}

/// Removes what is left at such paths: a server that is killed leaves its sockets. One that still ends may remove its
/// own at the same time, so that a path that is gone is no error.
pub fn remove_paths() {
    let all = std::fs::read_dir(std::env::temp_dir());
    let all = all.into_iter().flatten().flatten();
    let own = all.filter(|file| file.file_name().to_string_lossy().starts_with(&prefix()));
    for path in own.map(|file| file.path()) {
        let _ = std::fs::remove_file(path);
    }
}

fn unix(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    let addr = format!("unix:{}", path.display());
    let mut server = column.serve_on(&[&addr], &["--idle-ms", "300"])?;
    ensure!(server.addrs[0] == addr, "{}", server.addrs[0]);
    works(&addr)?;
    let mut idler = server.connect()?;
    idler.get("/")?.expect(200)?;
    idler.end().context("idle")?;
    let mut busy = server.connect()?;
    busy.ask("/sleep/200000")?;
    busy.silence(ms(50))?;
    server.signal(Signal::TERM);
    busy.reply()?.expect(200)?;
    server.ends_well(PATIENCE)?;
    ensure!(!path.exists(), "{addr} is left behind");
    Ok(())
}

fn stale(column: &Column) -> anyhow::Result<()> {
    let path = socket_path();
    drop(UnixListener::bind(&path)?);
    ensure!(path.exists(), "nothing stale to replace");
    let mut server = column.serve_on(&[&format!("unix:{}", path.display())], &[])?;
    works(&server.addrs[0])?;
    server.drain(PATIENCE)?;
    ensure!(!path.exists(), "{} is left behind", path.display());
    Ok(())
}

/// A server that is handed a listener as descriptor 3, as systemd would.
fn hand_over(column: &Column, listener: &TcpListener) -> anyhow::Result<Server> {
    let serve = column.command(&["fd:3"], &["--drain-idle-ms", "100"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 3<&0 </dev/null", "sh", TURNSTILE])
        .args(serve.get_args())
        .stdin(OwnedFd::from(listener.try_clone()?));
    Server::start(command, 1)
}

fn inherited(column: &Column) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?.to_string();
    let mut server = hand_over(column, &listener)?;
    ensure!(
        server.addrs[0] == addr,
        "it says {}, not {addr}",
        server.addrs[0]
    );
    drop(listener);
    works(&addr)?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// Idle acceptors must wake without `shutdown` of what is not theirs alone.
fn successor(column: &Column) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?.to_string();
    for _ in 0..2 {
        let mut server = hand_over(column, &listener)?;
        works(&addr)?;
        server.drain(PATIENCE)?;
    }
    let client = Client::connect(&addr)?;
    ensure!(
        listener.accept().is_ok(),
        "nobody can accept there any more"
    );
    drop(client);
    Ok(())
}

/// Nobody can come any more: the server says so and drains, and does not look at the listener for ever.
fn shut_outside(column: &Column) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut server = hand_over(column, &listener)?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    drop(client); // Who serves one client at a time is at the listener again.
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Read)?;
    let exit = server.ends_well(PATIENCE)?;
    let told = exit.stderr.matches("a listener was shut down").count();
    ensure!(told == 1, "it must say so once: {}", exit.stderr);
    Ok(())
}

fn several(column: &Column) -> anyhow::Result<()> {
    let unix = format!("unix:{}", socket_path().display());
    let all = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0", &unix];
    let mut server = column.serve_on(&all, &["--drain-idle-ms", "100"])?;
    for _ in 0..3 {
        for addr in &server.addrs {
            works(addr).with_context(|| addr.clone())?;
        }
    }
    server.drain(PATIENCE)?;
    Ok(())
}
