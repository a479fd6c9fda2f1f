//! This test binary as a server: `--kind KIND MODEL FLAGS...`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, FromArgMatches};
use turnstile::ServeArgs;

use crate::every_model::Column;
use crate::kinds;

/// What a reply may take at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn serve(kind: &str, rest: &[String]) -> ExitCode {
    let (model, flags) = rest.split_first().unwrap();
    let command = ServeArgs::augment_args(clap::Command::new("services"));
    let args: Vec<OsString> = std::iter::once("services".into())
        .chain(flags.iter().map(OsString::from))
        .collect();
    let matches = command.get_matches_from(args);
    kinds::serve(kind, model, ServeArgs::from_arg_matches(&matches).unwrap())
}

fn command(kind: &str, column: &Column, flags: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--kind", kind, &column.label()])
        .args(["--listen", "127.0.0.1:0"])
        // On a busy machine requests wait, and are served all the same.
        .args(["--queue-delay-ms", "0"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a program ended.
#[derive(Debug)]
pub struct End {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a server that must end by itself.
pub fn ended(kind: &str, column: &Column) -> End {
    let output = command(kind, column, &[]).output().unwrap();
    End {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running server. Dropping it kills it.
pub struct Program {
    child: Child,
    addr: String,
}

impl Program {
    pub fn start(kind: &str, column: &Column, flags: &[&str]) -> Program {
        // Only where the number of workers may be chosen.
        let one = column.variant.workers.count == turnstile::Count::One;
        let flags = if one && flags.first() == Some(&"--workers") {
            &[]
        } else {
            flags
        };
        let mut child = command(kind, column, flags).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let addr = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_default()
            .into();
        Program { child, addr }
    }

    /// Where it listens.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The whole reply, or as much of it as came.
    pub fn get(&self, path: &str) -> String {
        rest(self.begin(path))
    }

    /// The whole reply to a HEAD.
    pub fn head(&self, path: &str) -> String {
        rest(self.begin_with("HEAD", path))
    }

    /// Sends a request, on a connection of its own.
    pub fn begin(&self, path: &str) -> TcpStream {
        self.begin_with("GET", path)
    }

    fn begin_with(&self, method: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream
    }

    /// Whether requests that were sent have reached the server: the kernel has nothing left of them.
    pub fn has_begun(&self, connections: usize) -> bool {
        let port: u16 = self.addr.rsplit(':').next().unwrap().parse().unwrap();
        let own = format!(":{port:04X} ");
        for _ in 0..2_000 {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let fields = table
                .lines()
                .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
            let taken = fields.filter(|fields| {
                // Local address, state (established), unread bytes, and an inode once it is accepted.
                fields.len() > 9
                    && format!("{} ", fields[1]).ends_with(&own)
                    && fields[3] == "01"
                    && fields[4].ends_with(":00000000")
                    && fields[9] != "0"
            });
            if taken.count() >= connections {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// How it ends by itself, at its first client.
    pub fn ended_by_a_client(mut self) -> End {
        drop(self.begin("/"));
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        End {
            code: self.child.wait().unwrap().code(),
            stdout: String::new(),
            stderr,
        }
    }

    /// Tells it to end, which it does well, and returns its standard error.
    pub fn drain(mut self) -> String {
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status().unwrap();
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{stderr}");
        stderr
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What else comes on a connection. A reset ends it like a FIN.
pub fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Reads on, until `end` has come.
pub fn read_until(stream: &mut TcpStream, end: &str) {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end.as_bytes()) {
        let bytes = stream.read(&mut byte).unwrap();
        assert_eq!(bytes, 1, "{}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
    }
}
