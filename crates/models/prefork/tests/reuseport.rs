//! `--variant reuseport`: each listener has a backlog of its own, and a drain must lose none.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Killed with the test that fails.
struct Server(Child, SocketAddr);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(workers: &str) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_prefork"))
        .args(["--variant", "reuseport", "--listen", "127.0.0.1:0"])
        .args(["--workers", workers, "--queue-delay-ms", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ").unwrap();
    let addr = addr.parse().unwrap();
    Server(child, addr)
}

fn ask(server: &Server, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.1).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        client,
        "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    client
}

#[test]
fn a_drain_serves_every_backlog() {
    let mut server = serve("4");
    // Some children sleep while connections wait in their backlogs.
    let clients: Vec<_> = (0..60)
        .map(|number| {
            let path = if number < 8 { "/sleep/200000" } else { "/json" };
            ask(&server, path)
        })
        .collect();
    let pid = server.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut reply = String::new();
        let read = client.read_to_string(&mut reply);
        assert!(
            read.is_ok() && reply.starts_with("HTTP/1.1 200 OK"),
            "client {number}: {read:?} {reply:?}"
        );
    }
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    let stderr = server.0.stderr.take();
    stderr.unwrap().read_to_string(&mut log).unwrap();
    assert!(
        log.contains("drained: 60 connections, 60 requests"),
        "{log}"
    );
}

#[test]
fn what_replaces_a_killed_child_has_its_listener() {
    let server = serve("1");
    let whoami = |server: &Server| {
        let mut reply = String::new();
        ask(server, "/whoami").read_to_string(&mut reply).unwrap();
        let pid = reply.split_once("\"pid\":").unwrap().1;
        pid.split_once(',').unwrap().0.to_owned()
    };
    let first = whoami(&server);
    let killed = Command::new("kill").args(["-KILL", &first]).status();
    assert!(killed.unwrap().success());
    // Until it has ended, it might accept the next connection and take it along.
    let begun = Instant::now();
    while Path::new("/proc").join(&first).exists() {
        assert!(begun.elapsed() < PATIENCE, "it lives on");
        std::thread::yield_now();
    }
    // With one child there is no other listener to be sent to.
    assert_ne!(whoami(&server), first);
}
