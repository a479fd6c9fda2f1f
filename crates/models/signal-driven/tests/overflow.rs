//! A queue of signals that is full all the time: signals are lost, and others arrive after the
//! descriptor that they are about was closed and its number given to another connection.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

/// How long a reply may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status line of the reply to `request`. Where the reply is long, the client resets then.
fn status(addr: &str, request: &str) -> String {
    let mut client = TcpStream::connect(addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut reply = [0; 65_536];
    let bytes = client.read(&mut reply).unwrap();
    let line = reply[..bytes.min(12)].to_vec();
    String::from_utf8(line).unwrap()
}

#[test]
fn a_late_signal_closes_no_other_connection() {
    let few = Some(2);
    let limit = Rlimit {
        current: few,
        maximum: few,
    };
    setrlimit(Resource::Sigpending, limit).unwrap(); // The server inherits it.
    let mut child = Command::new(env!("CARGO_BIN_EXE_signal-driven"))
        .args(["--listen=127.0.0.1:0", "--queue-delay-ms=0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let _running = Running(child);
    stdout.read_line(&mut line).unwrap();
    let addr = line.trim().trim_start_matches("listening on ");
    let get = |path| status(addr, &format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
    for round in 0..200 {
        // These clients reset, and the bad request has the server half-close: both lead to
        // hang-ups.
        for _ in 0..3 {
            assert_eq!(get("/bytes/100000"), "HTTP/1.1 200", "{round}");
        }
        assert_eq!(status(addr, "BAD\r\n\r\n"), "HTTP/1.1 400", "{round}");
        for _ in 0..3 {
            assert_eq!(get("/wait/1000"), "HTTP/1.1 200", "{round}");
        }
    }
}
