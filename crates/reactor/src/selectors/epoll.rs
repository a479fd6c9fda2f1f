//! epoll: the kernel keeps the set, and a wait returns only what is ready.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::{Interest, Ready, Selector, Source, Wakes};

/// A set of descriptors, and a wait for any of them. Threads may share it. As a [`Selector`] it
/// reports states: data that was not received is reported again.
#[derive(Debug)]
pub struct Epoll {
    pub(super) set: OwnedFd,
}

/// Room for the events of one wait.
pub type Events = Vec<Event>;

pub(super) fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Nothing => EventFlags::empty(),
        Interest::Read => EventFlags::IN,
        Interest::Write => EventFlags::OUT,
    }
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// Descriptors or memory have run out; or this kernel has no `epoll_pwait2(2)`, or a sandbox forbids it.
    pub fn new() -> server::Result<Epoll> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        // Asked once, since a loop whose every wait fails at once would serve nothing, at full speed.
        let now = Some(&Timespec::default());
        match epoll::wait(&set, &mut [MaybeUninit::uninit()], now) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(format!("cannot wait in epoll: epoll_pwait2: {error}; it needs Linux 5.11, and a sandbox that allows the call").into());
            }
        }
        Ok(Epoll { set })
    }

    pub(super) fn add_with(
        &self,
        fd: impl AsFd,
        source: Source,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        epoll::add(&self.set, fd, EventData::new_u64(source.pack()), flags)
    }

    /// Watches a waker by its edge: each wake is one event, and it need not be cleared.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_waker(&self, waker: impl AsFd, source: Source) -> Result<(), Errno> {
        self.add_with(waker, source, EventFlags::IN | EventFlags::ET)
    }

    /// Waits for events, up to the capacity of `events`, for at most `timeout`; a signal ends the
    /// wait without any.
    #[inline(always)]
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        events.clear();
        let room = rustix::buffer::spare_capacity(events);
        // The only error a valid set has is EINTR: that the call is known was asked when the set was made.
        let _ = epoll::wait(&self.set, room, timeout.as_ref());
    }
}

impl Selector for Epoll {
    type Event = Event;

    fn empty() -> server::Result<Epoll> {
        Epoll::new()
    }

    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        self.add_with(fd, source, flags(interest))
    }

    fn add_shared(&mut self, listener: impl AsFd, source: Source) -> Result<(), Errno> {
        self.add_with(listener, source, EventFlags::IN | EventFlags::EXCLUSIVE)
    }

    fn set(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        epoll::modify(
            &self.set,
            fd,
            EventData::new_u64(source.pack()),
            flags(interest),
        )
    }

    fn remove(&mut self, fd: impl AsFd) {
        // ENOENT: it was not watched, which is what was asked for.
        let _ = epoll::delete(&self.set, fd);
    }

    fn closing(&mut self, _: impl AsFd) {
        // Closing the last descriptor of a socket takes it out of every set (epoll(7), question 6).
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) {
        Epoll::wait(self, events, timeout);
    }

    #[inline(always)]
    fn ready(event: &Event) -> Ready {
        ready(event)
    }
}

impl Wakes for Epoll {
    fn add_waker(&self, waker: impl AsFd, source: Source) -> Result<(), Errno> {
        Epoll::add_waker(self, waker, source)
    }
}

/// An event of the kernel, as all selectors describe it.
#[inline(always)]
pub fn ready(event: &Event) -> Ready {
    let flags = event.flags;
    let hung_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    Ready {
        source: Source::unpack(event.data.u64()),
        readable: hung_up || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
        writable: hung_up || flags.contains(EventFlags::OUT),
        half_closed: flags.contains(EventFlags::RDHUP),
        hung_up,
    }
}
