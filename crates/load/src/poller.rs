//! Waiting for events of connections, with time-outs in nanoseconds.

use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;

use crate::clock;

/// Most events taken at once.
const EVENTS_MAX: usize = 256;

/// An epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    /// A poller for the calling thread, whose timers get a slack of 1 ns instead of 50 µs.
    pub(crate) fn new() -> Result<Self> {
        set_current_timer_slack(NonZeroU64::new(1)).context("the timer slack cannot be set")?;
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC).context("epoll_create1 failed")?,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags).context("epoll_ctl failed")
    }

    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags).context("epoll_ctl failed")
    }

    /// Waits for events, at most that long, and returns how many there are.
    #[inline(always)]
    pub(crate) fn wait(&mut self, timeout_ns: u64) -> Result<usize> {
        self.events.clear();
        let timeout = clock::to_timespec(timeout_ns);
        let room = spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok(n) => Ok(n),
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(wait_failed(errno)),
        }
    }

    /// The token and the flags of an event of the last wait.
    #[inline(always)]
    pub(crate) fn event(&self, index: usize) -> (u64, EventFlags) {
        let event = self.events[index];
        ({ event.data }.u64(), { event.flags })
    }
}

#[cold]
fn wait_failed(errno: Errno) -> anyhow::Error {
    anyhow::Error::new(errno).context("epoll_pwait2, which Linux has since 5.11, failed")
}
