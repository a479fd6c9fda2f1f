//! poll and select for loops that keep their own tables, which name descriptors by number.
//!
//! A number in such a table borrows nothing. One that was closed meanwhile harms no memory: poll
//! answers POLLNVAL and select EBADF.

use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::{Errno, Result};
use rustix::process::{Resource, getrlimit};

use crate::time::Timeout;

/// A line of the table that poll takes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollLine(libc::pollfd);

impl std::fmt::Debug for PollLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{:#x}", self.0.fd, self.0.events)
    }
}

/// What poll is asked for, and answers.
pub use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT};

impl PollLine {
    /// Watches descriptor number `fd` for `events`.
    pub fn new(fd: RawFd, events: i16) -> PollLine {
        PollLine(libc::pollfd {
            fd,
            events,
            revents: 0,
        })
    }

    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.0.fd
    }

    /// Watches it for something else.
    pub fn set(&mut self, events: i16) {
        self.0.events = events;
    }

    /// What the last poll found.
    pub fn found(&self) -> i16 {
        self.0.revents
    }
}

/// Waits until a line has something, or `timeout` has passed; says how many have. EINTR is reported.
pub fn poll_lines(lines: &mut [PollLine], timeout: Option<Duration>) -> Result<usize> {
    let timeout = Timeout::new(timeout);
    // SAFETY: PollLine is a transparent pollfd, so this is a table of `lines.len()` of them, written
    // only during the call; the timeout is null or lives to its end; no mask is given.
    answer(unsafe {
        libc::ppoll(
            lines.as_mut_ptr().cast(),
            lines.len() as libc::nfds_t,
            timeout.as_ptr(),
            std::ptr::null(),
        )
    })
}

/// Descriptor numbers below `end` that this process may still be given: poll answers POLLNVAL for
/// those.
pub fn free_numbers_below(end: usize) -> Result<usize> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let end = end.min(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut lines: Vec<_> = (0..end as RawFd).map(|fd| PollLine::new(fd, 0)).collect();
    poll_lines(&mut lines, Some(Duration::ZERO))?;
    let free = |line: &&PollLine| line.found() & POLLNVAL != 0;
    Ok(lines.iter().filter(free).count())
}

/// Numbers that select can take: 0 up to, and without, this one.
pub const SELECT_END: usize = libc::FD_SETSIZE;

/// Descriptor numbers, one bit each.
#[derive(Clone, Copy)]
pub struct FdSet(libc::fd_set);

impl Default for FdSet {
    fn default() -> FdSet {
        // SAFETY: an fd_set is an array of integers; all zero is the empty set (FD_ZERO).
        FdSet(unsafe { std::mem::zeroed() })
    }
}

impl std::fmt::Debug for FdSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let within = (0..SELECT_END as RawFd).filter(|&fd| self.contains(fd));
        f.debug_set().entries(within).finish()
    }
}

fn fits(fd: RawFd) -> bool {
    usize::try_from(fd).is_ok_and(|number| number < SELECT_END)
}

impl FdSet {
    /// Puts `fd` in, or takes it out.
    ///
    /// # Panics
    /// On a number that does not fit: a programmer's error.
    pub fn put(&mut self, fd: RawFd, within: bool) {
        assert!(fits(fd), "select takes no descriptor {fd}");
        // SAFETY: the number lies within the set, so the bit it names does.
        unsafe {
            if within {
                libc::FD_SET(fd, &raw mut self.0);
            } else {
                libc::FD_CLR(fd, &raw mut self.0);
            }
        }
    }

    /// Whether `fd` is in it.
    pub fn contains(&self, fd: RawFd) -> bool {
        // SAFETY: as above.
        fits(fd) && unsafe { libc::FD_ISSET(fd, &raw const self.0) }
    }
}

/// Waits until one below `end` of those in `read` can be received from, or one in `write` sent to,
/// or `timeout` has passed; leaves those in the sets, and says how many. EINTR is reported.
pub fn select(
    end: usize,
    read: &mut FdSet,
    write: &mut FdSet,
    timeout: Option<Duration>,
) -> Result<usize> {
    let timeout = Timeout::new(timeout);
    let end = end.min(SELECT_END) as libc::c_int;
    // SAFETY: both sets are whole and `end` lies within them; the timeout is null or lives to the
    // end of the call; neither a third set nor a mask is given.
    answer(unsafe {
        libc::pselect(
            end,
            &raw mut read.0,
            &raw mut write.0,
            std::ptr::null_mut(),
            timeout.as_ptr(),
            std::ptr::null(),
        )
    })
}

fn answer(returned: libc::c_int) -> Result<usize> {
    usize::try_from(returned).map_err(|_| {
        let code = std::io::Error::last_os_error().raw_os_error();
        Errno::from_raw_os_error(code.unwrap_or(libc::EIO))
    })
}
