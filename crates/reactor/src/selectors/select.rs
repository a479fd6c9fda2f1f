//! select: sets with one bit per descriptor number, which every wait copies and passes to the
//! kernel.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use os::Errno;
use os::select::{FdSet, SELECT_END, free_numbers_below, select};

use crate::{Interest, Ready, Selector, Source};

/// What is watched, for descriptor numbers below 1024 (`FD_SETSIZE`): the sets have no bit for
/// others, whatever the limits of the process are.
#[derive(Debug, Default)]
pub struct Select {
    read: FdSet,
    write: FdSet,
    /// By descriptor number; `None` for those not watched.
    sources: Vec<Option<Source>>,
}

impl Select {
    fn put(&mut self, fd: i32, interest: Option<Interest>) {
        self.read.put(fd, interest == Some(Interest::Read));
        self.write.put(fd, interest == Some(Interest::Write));
    }
}

impl Selector for Select {
    const BOUND: &'static str = "select takes descriptor numbers below 1024 (FD_SETSIZE) only";

    type Event = Ready;

    fn empty() -> server::Result<Select> {
        Ok(Select::default())
    }

    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd().as_raw_fd();
        let number = fd as usize;
        if number >= SELECT_END {
            return Err(Errno::INVAL);
        }
        if self.sources.len() <= number {
            self.sources.resize(number + 1, None);
        }
        self.sources[number] = Some(source);
        self.put(fd, Some(interest));
        Ok(())
    }

    fn set(&mut self, fd: impl AsFd, _: Source, interest: Interest) -> Result<(), Errno> {
        self.put(fd.as_fd().as_raw_fd(), Some(interest));
        Ok(())
    }

    fn remove(&mut self, fd: impl AsFd) {
        let fd = fd.as_fd().as_raw_fd();
        if let Some(source) = self.sources.get_mut(fd as usize) {
            *source = None;
            self.put(fd, None);
        }
        while let Some(None) = self.sources.last() {
            self.sources.pop(); // The kernel looks at every number up to the highest.
        }
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<Ready>, timeout: Option<Duration>) {
        events.clear();
        let (mut read, mut write) = (self.read, self.write);
        // EINTR ends the wait without any; no other error can come of open descriptors.
        if select(self.sources.len(), &mut read, &mut write, timeout).is_err() {
            return;
        }
        // A descriptor is in one set at most.
        let readable = read.iter().map(|fd| (fd, true));
        let ready = readable.chain(write.iter().map(|fd| (fd, false)));
        events.extend(ready.filter_map(|(fd, readable)| {
            let source = self.sources[fd as usize]?;
            Some(Ready {
                source,
                readable,
                writable: !readable,
                half_closed: false,
                hung_up: false,
            })
        }));
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }

    fn room(&self) -> Option<usize> {
        // A process that cannot even ask has none to give.
        Some(free_numbers_below(SELECT_END).unwrap_or(0))
    }
}
