//! `--exec`: a program is started for each request (CGI/1.1).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use proto::{Request, Response, Sink};
use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::cgi;
use super::spool::unnamed_file;
use super::wire::{Patience, ready_within};

/// A program.
#[derive(Debug)]
pub struct Exec {
    path: PathBuf,
    patience: Patience,
}

impl Exec {
    pub fn new(path: PathBuf, patience: Patience) -> Exec {
        Exec { path, patience }
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        // A file, not a pipe: a script that writes before it has read cannot block us, nor we it.
        let filed = request.take_sink::<Filed>();
        let (mut body, bytes) = match filed.and_then(|filed| Some((filed.file?, filed.bytes))) {
            Some(filed) => filed,
            None => {
                let mut body = File::from(memfd_create("body", MemfdFlags::CLOEXEC)?);
                body.write_all(request.body)?;
                (body, request.body.len() as u64)
            }
        };
        body.rewind()?;
        let mut command = Command::new(&self.path);
        command.env_clear().stdin(body).stdout(Stdio::piped());
        // Of its own, so that what it has started ends with it.
        command.process_group(0);
        if let Some(folder) = self.path.parent() {
            command.current_dir(folder);
        }
        cgi::variables(request, bytes, |name, value| {
            // The kernel ends a variable at a NUL, so what has one is left out.
            if !value.contains(&0) {
                command.env(name, OsStr::from_bytes(value));
            }
        });
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("SCRIPT_NAME", "");
        command.env("PATH_INFO", request.path);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        let running = Running {
            child,
            output,
            patience: self.patience,
            end: self.patience.end(),
        };
        cgi::reply(running, request, response)
    }
}

/// A large body, in a file.
#[derive(Debug, Default)]
pub struct Filed {
    file: Option<File>,
    bytes: u64,
}

impl Sink for Filed {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed_file()?),
        };
        self.bytes += piece.len() as u64;
        file.write_all(piece)
    }
}

/// A running program and its output. Dropping it kills it.
struct Running {
    child: Child,
    output: ChildStdout,
    patience: Patience,
    end: Option<Instant>,
}

impl Running {
    /// How it has ended. One that closes its output and stays is waited for no longer than for output.
    fn ended(&mut self) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(&self.child);
        if let Ok(ended) = pidfd_open(pid, PidfdFlags::empty()) {
            self.wait_for(&ended)?;
        }
        self.child.wait()
    }

    fn wait_for(&self, what: &impl AsFd) -> io::Result<()> {
        let each = Instant::now() + self.patience.each;
        let end = self.end.map_or(each, |end| end.min(each));
        let left = end.saturating_duration_since(Instant::now());
        match ready_within(left, what, PollFlags::IN)?.is_empty() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }
}

impl cgi::Output for Running {}

impl Read for Running {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.wait_for(&self.output)?;
        match self.output.read(to)? {
            0 if !to.is_empty() => match self.ended() {
                Ok(status) if status.success() => Ok(0),
                Ok(status) => Err(io::Error::other(format!("the program ended with {status}"))),
                Err(error) => Err(error),
            },
            bytes => Ok(bytes),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        // A program that was waited for has no number any more, which may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
