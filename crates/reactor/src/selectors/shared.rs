//! epoll for a set that threads share, in which no two threads serve one connection at once.
//!
//! A listener is reported once, and then suspended by the kernel until it is armed again. A
//! connection is reported whenever it changes; the threads decide whether one of them serves it
//! then, and arm it again only if they cannot know whether there is more to do.

use std::os::fd::AsFd;

use os::Errno;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::epoll::{Epoll, flags};
use crate::{Interest, Source};

/// Which changes are reported. A FIN is reported as such.
fn edges(interest: Interest) -> EventFlags {
    let fin = match interest {
        Interest::Read => EventFlags::RDHUP,
        Interest::Nothing | Interest::Write => EventFlags::empty(),
    };
    flags(interest) | fin | EventFlags::ET
}

impl Epoll {
    /// Watches `fd` for one event, after which it is suspended until [`rearm`](Self::rearm).
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_oneshot(&self, fd: impl AsFd, source: Source) -> Result<(), Errno> {
        self.add_with(fd, source, EventFlags::IN | EventFlags::ONESHOT)
    }

    /// Ends the suspension of `fd`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn rearm(&self, fd: impl AsFd, source: Source) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        epoll::modify(&self.set, fd, EventData::new_u64(source.pack()), flags)
    }

    /// Watches `fd` for every change, and for what it is ready for already.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_edge(&self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        self.add_with(fd, source, edges(interest))
    }

    /// Has the kernel look at `fd` again: what it is ready for is reported, after everything that
    /// is ready already, and so is every later change.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn rearm_edge(
        &self,
        fd: impl AsFd,
        source: Source,
        interest: Interest,
    ) -> Result<(), Errno> {
        epoll::modify(
            &self.set,
            fd,
            EventData::new_u64(source.pack()),
            edges(interest),
        )
    }
}
