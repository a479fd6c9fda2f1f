//! epoll for a set that threads share, in which nobody is given what another has in hand.
//!
//! A listener is reported once, and then suspended by the kernel until it is armed again. A connection
//! is reported whenever it changes, and whether anybody is given it then is for those who share the
//! set to say; telling the kernel is for when they cannot say whether there is more.

use std::os::fd::AsFd;

use os::Errno;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::epoll::{Epoll, flags};
use crate::{Interest, Source};

/// What is reported of changes: the FIN as such, too.
fn edges(interest: Interest) -> EventFlags {
    let fin = match interest {
        Interest::Read => EventFlags::RDHUP,
        Interest::Nothing | Interest::Write => EventFlags::empty(),
    };
    flags(interest) | fin | EventFlags::ET
}

impl Epoll {
    /// Watches `fd` for one event; until [`rearm`](Self::rearm) it is suspended.
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

    /// Watches `fd` for every change, and for what has come before.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_edge(&self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        self.add_with(fd, source, edges(interest))
    }

    /// Has the kernel look at `fd` anew: what is there is reported, behind all that others have to
    /// report, and so is every later change.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn look_anew(
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
