//! poll and select for loops that keep their own tables, in which descriptors are numbers.
//!
//! A number in such a table borrows nothing, so its descriptor may have been closed meanwhile. That is
//! harmless: both calls only test, poll answers POLLNVAL for a number that is not open, and select
//! answers EBADF.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{self, FdSetElement, FdSetIter, PollFd, PollFlags};
use rustix::io::Result;
use rustix::process::{Resource, getrlimit};

use crate::net::{poll, timespec};

/// An entry for a table that [`net::poll`](crate::net::poll) takes: watches descriptor number `fd` for
/// `events`. It must not be used for anything but poll.
///
/// # Panics
/// On a negative number: a programmer's error.
pub fn poll_fd(fd: RawFd, events: PollFlags) -> PollFd<'static> {
    assert!(fd >= 0, "a descriptor has a number");
    // SAFETY: the number is not -1, and poll takes numbers that are not open.
    PollFd::from_borrowed_fd(unsafe { BorrowedFd::borrow_raw(fd) }, events)
}

/// Counts the descriptor numbers below `end` that this process may still be given.
///
/// # Errors
/// ENOMEM.
pub fn free_numbers_below(end: usize) -> Result<usize> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let end = end.min(usize::try_from(limit).unwrap_or(usize::MAX));
    let numbers = 0..end as RawFd;
    let mut fds: Vec<_> = numbers.map(|fd| poll_fd(fd, PollFlags::empty())).collect();
    poll(&mut fds, Some(Duration::ZERO))?;
    let is_free = |fd: &&PollFd<'_>| fd.revents().contains(PollFlags::NVAL);
    Ok(fds.iter().filter(is_free).count())
}

/// select takes the numbers below this one (`FD_SETSIZE`).
pub const SELECT_END: usize = 1024;

const ELEMENT_BITS: usize = 8 * size_of::<FdSetElement>();

/// Descriptor numbers, one bit each.
#[derive(Clone, Copy, Default)]
pub struct FdSet([FdSetElement; SELECT_END / ELEMENT_BITS]);

impl std::fmt::Debug for FdSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FdSet {
    /// Puts `fd` in, or takes it out.
    ///
    /// # Panics
    /// On a number that does not fit: a programmer's error.
    pub fn put(&mut self, fd: RawFd, within: bool) {
        let fits = usize::try_from(fd).is_ok_and(|number| number < SELECT_END);
        assert!(fits, "select takes no descriptor {fd}");
        if within {
            event::fd_set_insert(&mut self.0, fd);
        } else {
            event::fd_set_remove(&mut self.0, fd);
        }
    }

    /// The numbers in it, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RawFd> + '_ {
        FdSetIter::new(&self.0)
    }
}

/// Waits until, of the descriptors below `end`, one in `read` can be received from, or one in `write`
/// sent to, or `timeout` has passed. Leaves those in the sets.
///
/// # Errors
/// EINTR: a handler of a signal has run. EBADF: a number is not open.
pub fn select(
    end: usize,
    read: &mut FdSet,
    write: &mut FdSet,
    timeout: Option<Duration>,
) -> Result<()> {
    let (end, timeout) = (end.min(SELECT_END) as i32, timespec(timeout));
    // SAFETY: rustix asks that the descriptors be open, as another file could have got the number of
    // a closed one. Then the caller is told of that file's readiness, and a non-blocking call finds
    // out. No memory is at stake.
    unsafe {
        event::select(
            end,
            Some(&mut read.0),
            Some(&mut write.0),
            None,
            timeout.as_ref(),
        )
    }
    .map(drop)
}
