//! The server under test: started, verified, brought to rest, stopped.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};

use crate::cpus::CpuList;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Waited};
use crate::plan::Visit;
use crate::process::Process;
use crate::sys::Exit;
use crate::tree;

/// How long a server may take until it prints its line.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to answer the one request that verifies it.
const REPLY_WITHIN: Duration = Duration::from_secs(5);
/// Bound on a drain: nothing is connected any more when it begins.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Largest reply that is read for verification.
const REPLY_BYTES_MAX: u64 = 65_536;
/// A tree is at rest when it uses less than this in [`REST_STEP`].
const REST_NS: u64 = 50_000;
const REST_STEP: Duration = Duration::from_millis(3);
/// A server that never rests (busy polling) is not waited for any longer.
const REST_WITHIN: Duration = Duration::from_millis(90);
/// The body of `/plaintext`, of every model and of the null server.
const PLAINTEXT: &[u8] = b"Hello, World!";

/// How to start the server of a visit.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: String,
}

/// How a server ended.
#[derive(Debug)]
pub struct Drained {
    /// From SIGTERM to the end of the last process of its tree, ms.
    pub drain_ms: f64,
    /// What the kernel kept of the root.
    pub exit: Option<Exit>,
    /// A sentence for everything that was not as it must be.
    pub problems: Vec<String>,
}

impl Launch {
    /// The command line of a visit's server: a model of `server`, or the null server of `own`.
    pub fn of(visit: &Visit, server: &Path, own: &Path) -> Self {
        let mut args: Vec<String> = Vec::new();
        if visit.is_null() {
            args.push("null-server".to_owned());
            if !visit.scenario.keep_alive {
                args.push("--close".to_owned());
            }
        } else {
            args.extend(["serve", "--model", &visit.contender.model].map(str::to_owned));
            if !visit.contender.default {
                args.extend(["--variant".to_owned(), visit.contender.variant.clone()]);
            }
            if let Some(workers) = visit.workers {
                args.extend(["--workers".to_owned(), workers.to_string()]);
            }
        }
        args.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
        let program = if visit.is_null() { own } else { server };
        Self {
            program: program.to_owned(),
            args,
        }
    }

    /// The command line as it is recorded: without the path.
    pub fn command(&self) -> String {
        format!("turnstile {}", self.args.join(" "))
    }
}

impl Server {
    /// Starts it on `cpus` and waits until it says that it listens.
    ///
    /// # Errors
    /// [`Failure::Interrupted`], or why it does not listen.
    pub fn start(launch: &Launch, cpus: &CpuList, interrupt: &Interrupt) -> Result<Self, Failure> {
        let mut process = Process::spawn(&launch.program, &launch.args, cpus)
            .with_context(|| format!("the server {} cannot be run", launch.program.display()))?;
        match process.first_line("listening on ", START_WITHIN, interrupt) {
            Ok(address) => Ok(Self { process, address }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::Interrupted),
            Err(error) => {
                process.kill();
                let complaint = process.complaint().unwrap_or_else(|| error.to_string());
                Err(anyhow!("the server did not start: {complaint}").into())
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The root of its tree.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks once for `path` and checks the reply.
    ///
    /// # Errors
    /// What is wrong with the reply.
    pub fn verify(&self, path: &str) -> anyhow::Result<()> {
        verify(&self.address, path)
            .with_context(|| format!("GET {path} was not answered as it must be"))
    }

    /// Waits until the tree uses no CPU: connections that have just been closed cost the server a
    /// little, and that belongs to the window they were opened in. Rest has no event to wait for.
    ///
    /// Returns `false` when it does not come to rest.
    pub fn rest(&self) -> bool {
        let pids = tree::members(self.pid());
        let deadline = Instant::now() + REST_WITHIN;
        let mut before = tree::living_cpu_ns(&pids);
        while Instant::now() < deadline {
            std::thread::sleep(REST_STEP);
            let now = tree::living_cpu_ns(&pids);
            if now.saturating_sub(before) < REST_NS {
                return true;
            }
            before = now;
        }
        false
    }

    /// Sends SIGTERM, times the drain, and sees to it that nothing is left.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] or a failed system call; the tree is gone then, too.
    pub fn drain(mut self, interrupt: &Interrupt) -> Result<Drained, Failure> {
        let start = Instant::now();
        let mut problems = Vec::new();
        if self.process.wait(Duration::ZERO, interrupt)? == Waited::Ready {
            problems.push("the server ended before it was told to".to_owned());
        } else {
            self.process.terminate()?;
        }
        match self.process.wait(DRAIN_WITHIN, interrupt)? {
            Waited::Interrupted => return Err(Failure::Interrupted),
            Waited::Late => problems.push(format!(
                "no end of the drain within {} s",
                DRAIN_WITHIN.as_secs()
            )),
            Waited::Ready => {}
        }
        let left = if problems.is_empty() {
            self.process.left_over()
        } else {
            Vec::new()
        };
        let drain_ms = start.elapsed().as_secs_f64() * 1e3;
        if !left.is_empty() {
            problems.push(format!(
                "{} processes were left running after the drain",
                left.len()
            ));
        }
        self.process.kill();
        let exit = self.process.exit();
        if let Some(exit) = exit.filter(|exit| !exit.status.success() && problems.is_empty()) {
            let complaint = self
                .process
                .complaint()
                .map(|c| format!(" ({c})"))
                .unwrap_or_default();
            problems.push(format!(
                "the server ended with {} after SIGTERM{complaint}",
                exit.status
            ));
        }
        Ok(Drained {
            drain_ms,
            exit,
            problems,
        })
    }
}

/// One request over a connection of its own.
fn verify(address: &str, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).context("no connection")?;
    stream.set_read_timeout(Some(REPLY_WITHIN))?;
    stream.set_write_timeout(Some(REPLY_WITHIN))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("no request")?;
    let (mut reply, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some((status, body)) = complete(&reply)? {
            ensure!(status == 200, "status {status} instead of 200");
            if path == "/plaintext" {
                ensure!(
                    body == PLAINTEXT,
                    "body {:?}",
                    String::from_utf8_lossy(body)
                );
            }
            return Ok(());
        }
        let n = stream.read(&mut chunk).context("no reply")?;
        if n == 0 || reply.len() as u64 > REPLY_BYTES_MAX {
            bail!("the reply ended after {} bytes", reply.len());
        }
        reply.extend_from_slice(&chunk[..n]);
    }
}

/// Status and body of a reply with a `Content-Length`, once it is all there.
fn complete(reply: &[u8]) -> anyhow::Result<Option<(u16, &[u8])>> {
    let Some(end) = reply.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&reply[..end]);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok())
        .context("no status line")?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .context("no Content-Length")?;
    Ok(reply
        .get(end + 4..end + 4 + length)
        .map(|body| (status, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_apart_when_it_is_complete() {
        let reply = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\n\r\nabcd";
        assert_eq!(complete(reply).expect("good"), Some((200, &b"abc"[..])));
        assert_eq!(complete(&reply[..reply.len() - 2]).expect("good"), None);
        assert_eq!(complete(&reply[..20]).expect("good"), None);
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(complete(b"SSH-2.0\r\n\r\n").is_err());
    }
}
