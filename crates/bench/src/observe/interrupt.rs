//! Ctrl-C and SIGTERM as a descriptor, so that a wait for a child ends with either.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Becomes readable with the first SIGINT or SIGTERM and stays so: every later wait ends at once.
#[derive(Debug)]
pub struct Interrupt(UnixStream);

impl Interrupt {
    /// Registers the handlers.
    pub fn watch() -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Self(pipe))
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
    }

    /// Waits until `fd` is readable, for `time` at most. The bench does not wake up in between, because
    /// it must not take CPU from what it measures.
    ///
    /// Returns whether it became readable (a pidfd: the process has ended).
    ///
    /// # Errors
    /// `Interrupted` when a signal has come.
    pub fn wait(&self, fd: BorrowedFd<'_>, time: Duration) -> io::Result<bool> {
        let deadline = std::time::Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut fds = [
                PollFd::from_borrowed_fd(fd, PollFlags::IN),
                PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => return Ok(false),
                Ok(_) if !fds[1].revents().is_empty() => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
