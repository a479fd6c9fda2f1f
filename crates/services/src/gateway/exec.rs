//! `--exec`: a program is started for each request (CGI/1.1).

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use proto::{Request, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};

use super::cgi;

/// A program.
#[derive(Debug)]
pub struct Exec {
    path: PathBuf,
    patience: Duration,
}

impl Exec {
    pub fn new(path: PathBuf, patience: Duration) -> Exec {
        Exec { path, patience }
    }

    pub fn pass(&self, request: &Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        // A file, not a pipe: a script that writes before it has read cannot block us, nor we it.
        let mut body = File::from(memfd_create("body", MemfdFlags::CLOEXEC)?);
        body.write_all(request.body)?;
        body.seek(SeekFrom::Start(0))?;
        let mut command = Command::new(&self.path);
        command.env_clear().stdin(body).stdout(Stdio::piped());
        if let Some(folder) = self.path.parent() {
            command.current_dir(folder);
        }
        for (name, value) in cgi::variables(request) {
            // The kernel ends a variable at a NUL, so what has one is left out.
            if !value.contains(&0) {
                command.env(name, std::ffi::OsString::from_vec(value));
            }
        }
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("SCRIPT_NAME", "");
        command.env("PATH_INFO", request.path);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        let running = Running {
            child,
            output,
            patience: self.patience,
        };
        cgi::reply(running, request, response)
    }
}

/// A running program and its output. Dropping it kills it.
struct Running {
    child: Child,
    output: ChildStdout,
    patience: Duration,
}

impl Read for Running {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let end = Instant::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::new(&self.output, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.output.read(to)? {
            0 if !to.is_empty() => match self.child.wait() {
                Ok(status) if !status.success() => {
                    Err(io::Error::other(format!("the program ended with {status}")))
                }
                _ => Ok(0),
            },
            bytes => Ok(bytes),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
