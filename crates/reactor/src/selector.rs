//! The selector: epoll, level-triggered.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use os::Errno;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// What a connection is watched for. Errors and hang-ups are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing else.
    Nothing,
    /// Something to receive.
    Read,
    /// Room to send.
    Write,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Interest::Nothing => EventFlags::empty(),
            Interest::Read => EventFlags::IN,
            Interest::Write => EventFlags::OUT,
        }
    }
}

/// One thing that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The number it was added with.
    pub token: u64,
    /// The peer has gone, or the connection is broken: no call on it will block.
    pub hung_up: bool,
}

/// A set of descriptors, and a wait for any of them.
#[derive(Debug)]
pub struct Selector {
    epoll: OwnedFd,
}

/// Room for the events of one wait, kept by whoever waits.
pub type Events = Vec<Event>;

impl Selector {
    /// An empty set.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn new() -> Result<Selector, Errno> {
        Ok(Selector {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `fd`; its events carry `token`.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), interest.flags())
    }

    /// Watches a bell by its edge: each ring is one event, and nobody has to silence it.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_bell(&self, bell: impl AsFd, token: u64) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            bell,
            EventData::new_u64(token),
            EventFlags::IN | EventFlags::ET,
        )
    }

    /// Watches it for something else.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn set(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token), interest.flags())
    }

    /// Watches `fd` for one event; until [`rearm`](Self::rearm) it is suspended.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_oneshot(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token),
            interest.flags() | EventFlags::ONESHOT,
        )
    }

    /// Ends the suspension of `fd`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn rearm(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(
            &self.epoll,
            fd,
            EventData::new_u64(token),
            interest.flags() | EventFlags::ONESHOT,
        )
    }

    /// Stops watching `fd`. Closing its last descriptor does the same.
    pub fn remove(&self, fd: impl AsFd) {
        // ENOENT: it was not watched, which is what was asked for.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for events, up to the capacity of `events`, for at most `timeout`; a signal ends the
    /// wait without any.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        events.clear();
        // The only error a valid set has is EINTR.
        let _ = epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            timeout.as_ref(),
        );
    }
}

/// An event, in the words of this crate.
#[inline]
pub fn ready(event: &Event) -> Ready {
    let flags = event.flags;
    Ready {
        token: event.data.u64(),
        hung_up: flags.intersects(EventFlags::HUP | EventFlags::ERR),
    }
}
