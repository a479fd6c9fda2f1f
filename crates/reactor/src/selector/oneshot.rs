//! epoll that reports a descriptor once and then suspends it, for sets that threads share: whoever
//! has the event has the connection to itself until it ends the suspension.

use std::os::fd::AsFd;

use os::Errno;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::Interest;
use super::epoll::{Epoll, flags};

impl Epoll {
    /// Watches `fd` for one event; until [`rearm`](Self::rearm) it is suspended.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn add_oneshot(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        self.add_with(fd, token, flags(interest) | EventFlags::ONESHOT)
    }

    /// Ends the suspension of `fd`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn rearm(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        let flags = flags(interest) | EventFlags::ONESHOT;
        epoll::modify(&self.set, fd, EventData::new_u64(token), flags)
    }
}
