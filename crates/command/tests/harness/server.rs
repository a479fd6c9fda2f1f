//! The real binary as a child process.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::process::{self, Signal};
use super::{Client, eventually, ms};

/// How long anything may take that should take no time at all, on a machine that is busy.
pub const PATIENCE: Duration = ms(8_000);

/// A running server. Dropping it kills it, by its own process id.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens, as it printed it.
    pub addrs: Vec<String>,
    /// Standard error, once every process of the server has ended.
    ended: Receiver<String>,
    exited: bool,
}

/// How a process ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit code, unless a signal killed it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

thread_local! {
    static LOGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Standard error of all servers that this thread has seen end.
pub fn logs_of_this_thread() -> Vec<String> {
    LOGS.with(|logs| logs.borrow().clone())
}

/// Runs a command to its end, which must come soon.
pub fn run(mut command: Command) -> anyhow::Result<Exit> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, text) = channel();
    collect(child.stdout.take().context("stdout")?, sender);
    let (sender, log) = channel();
    collect(child.stderr.take().context("stderr")?, sender);
    let Ok(stderr) = log.recv_timeout(PATIENCE) else {
        child.kill()?;
        child.wait()?;
        bail!("{command:?} does not end");
    };
    let stdout = text.recv_timeout(PATIENCE)?;
    let code = child.wait()?.code();
    Ok(Exit {
        code,
        stdout,
        stderr,
    })
}

/// Reads to the end in a thread of its own and sends what came.
fn collect(mut from: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = to.send(String::from_utf8_lossy(&bytes).into_owned());
    });
}

impl Server {
    /// Starts `command`, which must announce `listeners` listeners.
    pub fn start(mut command: Command, listeners: usize) -> anyhow::Result<Server> {
        if command.get_program() == super::TURNSTILE {
            command.stdin(Stdio::null());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, ended) = channel();
        collect(child.stderr.take().context("stderr")?, sender);
        let stdout = BufReader::new(child.stdout.take().context("stdout")?);
        let mut server = Server {
            child,
            addrs: Vec::new(),
            ended,
            exited: false,
        };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        for _ in 0..listeners {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let exit = server.exit(ms(100));
                bail!("it does not say that it listens: {exit:?}");
            };
            let addr = line.strip_prefix("listening on ");
            server.addrs.push(
                addr.with_context(|| format!("it says {line:?}"))?
                    .to_owned(),
            );
        }
        Ok(server)
    }

    /// Id of its first process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to its first listener.
    pub fn connect(&self) -> anyhow::Result<Client> {
        Client::connect(&self.addrs[0])
    }

    /// The same from another address of this machine.
    pub fn connect_from(&self, source: [u8; 4]) -> anyhow::Result<Client> {
        Client::connect_from(source, &self.addrs[0])
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// The same, and waits until it is handled, so that another one is another one.
    pub fn signal_taken(&self, signal: Signal) -> anyhow::Result<()> {
        self.signal(signal);
        super::eventually("the signal is handled", PATIENCE, || {
            !process::is_pending(self.pid(), signal)
        })
    }

    /// Waits until every process of the server has ended.
    pub fn exit(&mut self, within: Duration) -> anyhow::Result<Exit> {
        let stderr = match self.ended.recv_timeout(within) {
            Ok(stderr) => stderr,
            Err(RecvTimeoutError::Timeout) => {
                bail!("it has not ended within {within:?}: {}", self.processes())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("its end was seen before"),
        };
        self.exited = true;
        LOGS.with(|logs| logs.borrow_mut().push(stderr.clone()));
        let code = self.child.wait()?.code();
        Ok(Exit {
            code,
            stdout: String::new(),
            stderr,
        })
    }

    /// Waits until a new client is served, and every child that has ended is reaped.
    pub fn recovers(&self) -> anyhow::Result<()> {
        eventually("a new client is served", PATIENCE, || {
            let reply = self.connect().and_then(|mut client| client.get("/"));
            reply.is_ok_and(|reply| reply.status == 200)
        })?;
        eventually("no zombie", PATIENCE, || process::zombies(self.pid()) == 0)
    }

    /// Sends SIGTERM and expects it to end well, no later than `within` from now.
    pub fn drain(&mut self, within: Duration) -> anyhow::Result<Exit> {
        self.signal(Signal::TERM);
        self.ends_well(within)
    }

    /// Expects exit code 0 and the account of the drain.
    pub fn ends_well(&mut self, within: Duration) -> anyhow::Result<Exit> {
        let start = Instant::now();
        let exit = self.exit(within)?;
        ensure!(
            exit.code == Some(0) && exit.stderr.contains("drained:"),
            "a drain ends with 0 and an account, not {exit:?} after {:?}",
            start.elapsed()
        );
        Ok(exit)
    }

    /// Its processes and their states, for messages.
    fn processes(&self) -> String {
        let all = process::family(self.pid());
        let each = all.iter().map(|one| format!("{}:{}", one.pid, one.state));
        format!("processes {}", each.collect::<Vec<_>>().join(" "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.exited {
            return;
        }
        let family = process::family(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
        match self.ended.recv_timeout(ms(2_000)) {
            Ok(stderr) => LOGS.with(|logs| logs.borrow_mut().push(stderr)),
            // Its children hold standard error open, so they are alive and their ids are theirs.
            Err(_) => family
                .iter()
                .skip(1)
                .for_each(|child| process::signal(child.pid, Signal::KILL)),
        }
    }
}
