//! The last slot of the table is for the client that comes first, at whichever listener.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

#[test]
fn a_client_at_the_second_listener_gets_it() {
    for variant in ["io-uring", "posix-aio"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_proactor"))
            .args(["--listen=127.0.0.1:0", "--listen=127.0.0.1:0"])
            .args(["--connections-max=1", "--queue-delay-ms=0"])
            .args(["--variant", variant])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let _running = Running(child);
        let line = lines.take(2).last().unwrap().unwrap();
        let mut client = TcpStream::connect(line.trim_start_matches("listening on ")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut reply = [0; 12];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200", "{variant}");
    }
}
