//! The floors (`scripts/floor`) that the models are measured against: each builds without a warning,
//! answers a request, and in the mode `pipe` each request of two that arrive together; and the client
//! that does not parse gets replies from each.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const REPLY: &str = "HTTP/1.1 200 OK\r\nServer: F\r\nDate: Mon, 23 Nov 2026 06:00:00 GMT\r\n\
                     Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

struct Floor {
    child: Child,
    port: String,
}

impl Floor {
    /// Starts a floor in a mode and waits until it listens; `None` if it ended before.
    fn start(program: &Path, mode: Option<&str>) -> Option<Floor> {
        let mut command = Command::new(program);
        let mut child = command
            .arg("0")
            .args(mode)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().strip_prefix("listening on 127.0.0.1:");
        let port = port.unwrap_or_default().to_owned();
        let floor = Floor { child, port };
        (!floor.port.is_empty()).then_some(floor)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    /// Sends `requests` in one piece and expects the same number of `replies` at once, twice.
    fn converse(&self, name: &str, requests: usize) {
        let mut stream = self.connect();
        for _ in 0..2 {
            stream.write_all(&REQUEST.repeat(requests)).unwrap();
            let mut got = vec![0; REPLY.len() * requests];
            stream.read_exact(&mut got).unwrap();
            let got = String::from_utf8(got).unwrap();
            assert_eq!(got, REPLY.repeat(requests), "{name}");
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

fn make(out: &Path, target: &str) -> String {
    let output = Command::new("make")
        .args(["-s", "-C", "../../scripts/floor", target])
        .arg(format!("OUT={}", out.display()))
        .arg("CFLAGS=-O2 -Wall -Wextra -Werror")
        .env_remove("MAKEFLAGS") // Of the make that may run this test.
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn skipped(what: &str, why: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED {what}: {why}, so nothing was tested here"
    );
}

/// One reply per request in each mode, and replies for the client that does not parse.
fn answers(out: &Path, name: &str, ways: &[&str]) {
    let program = out.join(name);
    let start = |mode| Floor::start(&program, mode).expect("the ready line");
    let floor = start(None);
    floor.converse(name, 1);
    for way in ways {
        let mut client = Command::new(out.join("rawload"));
        client.args([&floor.port, "64", "0.1", way]);
        assert!(client.output().unwrap().status.success(), "{name}: {way}");
    }
    start(Some("pipe")).converse(name, 2);
    start(Some("pipe")).converse(name, 16);

    let mut reply = String::new();
    let floor = start(Some("close"));
    let mut stream = floor.connect();
    stream.write_all(REQUEST).unwrap();
    stream.read_to_string(&mut reply).unwrap();
    let closing = REPLY.replacen(
        "\r\nContent-Type",
        "\r\nConnection: close\r\nContent-Type",
        1,
    );
    assert_eq!(reply, closing, "{name}");
}

#[test]
fn every_floor_answers() {
    if let Some(tool) = ["make", "cc"].iter().find(|tool| !is_installed(tool)) {
        return skipped("every_floor_answers", &format!("{tool} is not installed"));
    }
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("floor");
    make(&out, "all");
    let built = make(&out, "list");
    let mut floors: Vec<_> = built.split_whitespace().collect();
    floors.retain(|name| name.starts_with("floor-"));

    // The ring and the client are built where there is liburing, and run where the kernel has it.
    let mut ways = vec!["epoll", "uring"];
    if !floors.contains(&"floor-uring") {
        skipped("floor-uring and rawload", "liburing 2.3 is not installed");
        ways.clear();
    } else if Floor::start(&out.join("floor-uring"), None).is_none() {
        skipped("floor-uring", "io_uring is forbidden or too old here");
        floors.retain(|name| *name != "floor-uring");
        ways.pop();
    }
    for name in floors {
        answers(&out, name, &ways);
    }
}
