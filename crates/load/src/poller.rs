//! Waiting for connections or for a moment, to the nanosecond.

use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, Result};

use crate::clock;

/// Most events taken at once.
const EVENTS_MAX: usize = 256;

/// An epoll instance whose waits end on time.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
    /// The kernel has `epoll_pwait2` (Linux 5.11).
    nanoseconds: bool,
}

impl Poller {
    /// A poller for the calling thread, whose timers get a slack of 1 ns instead of 50 µs.
    pub(crate) fn new() -> Result<Self> {
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let mut poller = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
            nanoseconds: true,
        };
        poller.nanoseconds = poller.wait_exactly(Some(0)) != Err(Errno::NOSYS);
        Ok(poller)
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)
    }

    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags)
    }

    /// Waits for events, at most that long, and returns how many there are.
    #[inline]
    pub(crate) fn wait(&mut self, timeout_ns: u64) -> Result<usize> {
        let waited = if self.nanoseconds {
            self.wait_exactly(Some(timeout_ns))
        } else {
            // Rounded down: the caller polls through the last part of a millisecond.
            crate::old_kernel::epoll_wait_ms(&self.epoll, &mut self.events, timeout_ns / 1_000_000)
        };
        match waited {
            Err(Errno::INTR) => {
                self.events.clear();
                Ok(0)
            }
            Err(errno) => Err(errno),
            Ok(()) => Ok(self.events.len()),
        }
    }

    fn wait_exactly(&mut self, timeout_ns: Option<u64>) -> Result<()> {
        self.events.clear();
        let timeout = timeout_ns.map(clock::to_timespec);
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        )
        .map(drop)
    }

    /// The token and the flags of an event of the last wait.
    #[inline]
    pub(crate) fn event(&self, index: usize) -> (u64, EventFlags) {
        let event = self.events[index];
        ({ event.data }.u64(), { event.flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_within_the_same_millisecond() {
        let mut poller = Poller::new().unwrap();
        // The best of many: the machine may be busy, but a rounding wait is never short.
        let best_ns = (0..50)
            .map(|_| {
                let start_ns = clock::now_ns();
                poller.wait(200_000).unwrap();
                clock::now_ns() - start_ns
            })
            .min();
        assert!(
            best_ns.is_some_and(|ns| (200_000..900_000).contains(&ns)),
            "{best_ns:?}"
        );
    }

    #[test]
    fn old_kernels_are_served_in_milliseconds() {
        let mut poller = Poller::new().unwrap();
        poller.nanoseconds = false;
        let start_ns = clock::now_ns();
        assert_eq!(poller.wait(2_900_000), Ok(0));
        assert!(clock::now_ns() - start_ns >= 1_900_000);
    }
}
