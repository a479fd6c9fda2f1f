//! A child of the bench: started on its CPUs, waited for without polling, and ended with everything
//! below it.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::observe::sys::{self, Exit, rustix_pid, send};
use crate::observe::tree;

/// How many of the last bytes that a child writes to standard error are kept.
const STDERR_BYTES_MAX: usize = 4096;
/// A longer line is not one that is waited for.
const LINE_BYTES_MAX: usize = 256;
/// How long a tree that was killed may take to end.
const GONE_WITHIN: Duration = Duration::from_millis(500);

/// A running child and everything below it.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    /// What has been read and not been asked for.
    unread: Vec<u8>,
    stderr: Receiver<String>,
    exit: Option<Exit>,
    /// A line that was waited for on standard error has been seen.
    said: Arc<AtomicBool>,
    /// The root only keeps what is below it, see [`Process::spawn_kept`].
    keeps: bool,
    /// The whole tree has ended: its process numbers may belong to others by now.
    gone: bool,
}

impl Process {
    /// Starts `program` on `cpus`.
    pub fn spawn(program: &Path, args: &[impl AsRef<OsStr>], cpus: &CpuList) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        Self::start(command, cpus, None)
    }

    /// The same with a command that keeps another one below it (`turnstile keep`): what is below is
    /// killed before the root. [`Process::has_said`] tells when a line of standard error holds `line`.
    pub fn spawn_kept(
        mut command: Command,
        cpus: &CpuList,
        line: Option<&str>,
    ) -> io::Result<Self> {
        command.stdin(Stdio::null());
        let mut process = Self::start(command, cpus, line)?;
        process.keeps = true;
        Ok(process)
    }

    /// Whether the line that was waited for has been printed.
    pub fn has_said(&self) -> bool {
        self.said.load(Ordering::Relaxed)
    }

    /// The same with a child that pauses until it reads a line: see [`Process::line`] and
    /// [`Process::let_go_on`].
    pub fn spawn_with_stdin(
        program: &Path,
        args: &[impl AsRef<OsStr>],
        cpus: &CpuList,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped());
        Self::start(command, cpus, None)
    }

    fn start(mut command: Command, cpus: &CpuList, line: Option<&str>) -> io::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::confine(&mut command, cpus.mask());
        let mut child = command.spawn()?;
        let (send, receive) = channel();
        let said = Arc::new(AtomicBool::new(false));
        if let Some(stderr) = child.stderr.take() {
            let (line, said) = (line.map(str::to_owned), Arc::clone(&said));
            std::thread::spawn(move || keep_tail(stderr, &send, line.as_deref(), &said));
        }
        let pid = child.id();
        let pidfd = pidfd_open(rustix_pid(pid)?, PidfdFlags::empty())?;
        Ok(Self {
            pid,
            pidfd,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            unread: Vec::new(),
            stderr: receive,
            exit: None,
            said,
            keeps: false,
            gone: false,
        })
    }

    /// The root of the tree.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for a first line that begins with `prefix`, and gives the rest of it.
    ///
    /// # Errors
    /// `UnexpectedEof` when output ends first, `InvalidData` on another line, `TimedOut`, or
    /// `Interrupted` by a signal to the bench.
    pub fn first_line(
        &mut self,
        prefix: &str,
        within: Duration,
        interrupt: &Interrupt,
    ) -> io::Result<String> {
        let line = self.line(within, interrupt)?;
        self.discard_output();
        line.strip_prefix(prefix)
            .map(str::to_owned)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("printed '{line}'")))
    }

    /// Reads what it prints from now on, and forgets it: a pipe without a reader would block a child that
    /// goes on writing.
    pub fn discard_output(&mut self) {
        if let Some(mut stdout) = self.stdout.take() {
            std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        }
    }

    /// Waits for the next line, and gives it without its end.
    ///
    /// # Errors
    /// `UnexpectedEof` when output ends first, `TimedOut`, or `Interrupted` by a signal to the bench.
    pub fn line(&mut self, within: Duration, interrupt: &Interrupt) -> io::Result<String> {
        self.long_line(LINE_BYTES_MAX, within, interrupt)
    }

    /// The same for a line of up to `bytes_max` bytes; of a longer one, its beginning.
    pub fn long_line(
        &mut self,
        bytes_max: usize,
        within: Duration,
        interrupt: &Interrupt,
    ) -> io::Result<String> {
        let deadline = Instant::now() + within;
        let stdout = self.stdout.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut buffer = [0_u8; 16_384];
        let mut searched = 0;
        let end = loop {
            let new = &self.unread[searched..];
            if let Some(end) = new.iter().position(|&byte| byte == b'\n') {
                break searched + end + 1;
            }
            searched = self.unread.len();
            if searched >= bytes_max {
                break bytes_max;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !interrupt.wait(stdout.as_fd(), left)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match stdout.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.unread.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let line: Vec<u8> = self.unread.drain(..end).collect();
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Writes a line to its standard input; an empty one ends the pause of a generator.
    ///
    /// # Errors
    /// When it has ended, or was not started by [`Process::spawn_with_stdin`].
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(format!("{line}\n").as_bytes())
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Stops its process group, or lets it go on.
    pub fn stop(&self, stopped: bool) -> io::Result<()> {
        let signal = if stopped { Signal::STOP } else { Signal::CONT };
        if self.keeps {
            // What is below need not be in its group.
            for pid in tree::below(self.pid) {
                let _ended = send(pid, signal);
            }
            return Ok(());
        }
        Ok(kill_process_group(rustix_pid(self.pid)?, signal)?)
    }

    /// Waits for the child to end, for `time` at most. Returns whether it has.
    ///
    /// # Errors
    /// `Interrupted` by a signal to the bench.
    pub fn wait(&mut self, time: Duration, interrupt: &Interrupt) -> io::Result<bool> {
        if self.exit.is_none() && interrupt.wait(self.pidfd.as_fd(), time)? {
            self.reap()?;
        }
        Ok(self.exit.is_some())
    }

    /// How it ended; `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// The last line of its standard error that begins with "error", or else the last one; for a child
    /// that has ended.
    pub fn error_line(&self) -> Option<String> {
        let tail = self.stderr.recv_timeout(GONE_WITHIN).ok()?;
        let lines = || {
            tail.lines()
                .rev()
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let error = lines().find(|line| line.starts_with("error"));
        error.or_else(|| lines().next()).map(str::to_owned)
    }

    /// Sends the root, and only the root, SIGTERM.
    pub fn terminate(&self) -> io::Result<()> {
        send(self.pid, Signal::TERM)
    }

    /// Sends the root SIGINT, as Ctrl-C would.
    pub fn interrupt(&self) -> io::Result<()> {
        send(self.pid, Signal::INT)
    }

    /// Waits until the whole tree has ended; gives the processes that have not.
    pub fn wait_until_gone(&mut self) -> Vec<u32> {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let left = tree::members(self.pid);
            if left.is_empty() || Instant::now() >= deadline {
                self.gone = left.is_empty() && self.exit.is_some();
                return left;
            }
            // The children of a root that has ended cannot be waited for: only /proc tells.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills the whole tree.
    pub fn kill(&mut self) {
        if self.gone {
            return;
        }
        if self.keeps && self.exit.is_none() {
            tree::kill_below(self.pid);
        }
        for pid in tree::members(self.pid) {
            let _ended_by_itself = send(pid, Signal::KILL);
        }
        if self.exit.is_some() {
            return;
        }
        // As long as the root is not reaped, its number cannot name another group.
        if let Ok(pid) = rustix_pid(self.pid) {
            let _ended_by_itself = kill_process_group(pid, Signal::KILL);
        }
        let deadline = Instant::now() + GONE_WITHIN;
        while self.reap().is_ok() && self.exit.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        if self.exit.is_none() {
            self.exit = sys::wait(self.pid)?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end, keeping the last bytes only.
fn keep_tail(mut from: impl Read, send: &Sender<String>, line: Option<&str>, said: &AtomicBool) {
    let (mut tail, mut buffer) = (Vec::new(), [0_u8; 1024]);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        tail.extend_from_slice(&buffer[..n]);
        if let Some(line) = line.filter(|_| !said.load(Ordering::Relaxed)) {
            let found = tail
                .windows(line.len().max(1))
                .any(|w| w == line.as_bytes());
            said.store(found, Ordering::Relaxed);
        }
        let surplus = tail.len().saturating_sub(STDERR_BYTES_MAX);
        tail.drain(..surplus);
    }
    // The receiver may have gone.
    let _unread = send.send(String::from_utf8_lossy(&tail).into_owned());
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
