//! No selector at all: the loop tries every descriptor in turn, all the time.
//!
//! This is the second of the five I/O models of Stevens, *UNIX Network Programming* vol. 1, 3rd
//! ed., section 6.2: non-blocking calls that mostly answer EAGAIN, and a CPU that never rests.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use os::Errno;

use super::dense::Dense;
use crate::{Interest, Ready, Selector, Source};

/// A list of the descriptors to try.
#[derive(Debug)]
pub struct Busy {
    watched: Dense<(Source, Interest)>,
}

impl Selector for Busy {
    type Event = Ready;

    fn empty() -> server::Result<Busy> {
        Ok(Busy {
            watched: Dense::new(),
        })
    }

    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        let number = fd.as_fd().as_raw_fd();
        self.watched.insert(number, (source, interest));
        Ok(())
    }

    fn set(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        if let Some(entry) = self.watched.get_mut(fd.as_fd().as_raw_fd()) {
            *entry = (source, interest);
        }
        Ok(())
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.watched.remove(fd.as_fd().as_raw_fd());
    }

    /// Does not wait: it reports every descriptor that is watched for something, so that the loop
    /// tries it.
    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<Ready>, _: Option<Duration>) {
        events.clear();
        let wanted = |interest| interest != Interest::Nothing;
        let tried = self
            .watched
            .entries()
            .iter()
            .filter(|entry| wanted(entry.1));
        events.extend(tried.map(|&(source, interest)| Ready {
            source,
            readable: interest == Interest::Read,
            writable: interest == Interest::Write,
            half_closed: false,
            hung_up: false,
        }));
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }
}
