//! An example as a running program, for its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A server. Dropping it kills it.
pub struct Started {
    child: Child,
    addr: String,
}

impl Started {
    /// Starts `program` at a port of loopback and waits until it listens.
    pub fn new(program: &str, args: &[&str]) -> Started {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        // Tests run beside each other on few CPUs: requests wait, and all are to be served.
        command.args(["--queue-delay-ms", "0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ").unwrap().into();
        Started { child, addr }
    }

    /// Where it listens.
    #[allow(dead_code)] // Each example's test uses its part.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The whole reply to a request with this line and this body.
    #[allow(dead_code)] // Each test uses its own part of this.
    pub fn ask(&self, line: &str, body: &str) -> String {
        self.ask_with(&format!("{line} HTTP/1.1"), body)
    }

    /// The same, given the whole request line and further fields.
    #[allow(dead_code)]
    pub fn ask_with(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Tells it to end, which it does well.
    pub fn drain(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// The exit status, and what was written on standard error, of a program that does not start.
#[allow(dead_code)]
pub fn refused(program: &str, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0"]).args(args);
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
