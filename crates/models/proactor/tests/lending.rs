//! Memory that is lent to the kernel or to helper threads: too little of it, and peers that reset
//! while it is lent.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a reply may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn start(flags: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_proactor"))
            .args(["--listen", "127.0.0.1:0", "--drain-ms", "2000"])
            .args(["--queue-delay-ms", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let addr = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Server { child, addr }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What the server echoes of `body`.
    fn echo(&self, body: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n");
        reply.split_off(end.unwrap() + 4)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|number| (number / 5) as u8).collect()
}

/// One buffer of 64 bytes for all connections: receives find it in use again and again.
#[test]
fn a_single_small_buffer_is_enough_for_many() {
    let server = Server::start(&["--lent-buffers", "1", "--lent-buffer-bytes", "64"]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let body = body(20_000 + number);
                assert!(server.echo(&body) == body, "number {number}");
            });
        }
    });
}

/// Replies far larger than the sockets hold, to peers that reset in the middle of them.
#[test]
fn peers_that_reset_while_their_reply_is_in_flight() {
    for variant in ["io-uring", "posix-aio"] {
        let server = Server::start(&["--variant", variant]);
        for _ in 0..30 {
            let mut stream = server.connect();
            let get = b"GET /bytes/33554432 HTTP/1.1\r\nHost: t\r\n\r\n";
            stream.write_all(get).unwrap();
            stream.read_exact(&mut [0; 1000]).unwrap();
        }
        let body = body(100_000);
        assert!(server.echo(&body) == body, "{variant}");
    }
}
