//! poll: the loop keeps the set, and passes all of it to the kernel at every wait.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use os::Errno;
use os::net::{PollFd, PollFlags, poll};
use os::select::poll_fd;

use super::dense::Dense;
use crate::{Interest, Ready, Selector, Source};

/// A table of what is watched. No call changes it; each wait passes it whole.
#[derive(Debug)]
pub struct Poll {
    fds: Dense<PollFd<'static>>,
    /// Packed, by descriptor number.
    sources: Vec<u64>,
}

fn wanted(interest: Interest) -> PollFlags {
    match interest {
        Interest::Nothing => PollFlags::empty(),
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
    }
}

impl Selector for Poll {
    type Event = Ready;

    fn empty() -> server::Result<Poll> {
        Ok(Poll {
            fds: Dense::new(),
            sources: Vec::new(),
        })
    }

    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd().as_raw_fd();
        self.fds.insert(fd, poll_fd(fd, wanted(interest)));
        let number = fd as usize;
        if self.sources.len() <= number {
            self.sources.resize(number + 1, 0);
        }
        self.sources[number] = source.pack();
        Ok(())
    }

    fn set(&mut self, fd: impl AsFd, _: Source, interest: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd().as_raw_fd();
        if let Some(entry) = self.fds.get_mut(fd) {
            *entry = poll_fd(fd, wanted(interest));
        }
        Ok(())
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.fds.remove(fd.as_fd().as_raw_fd());
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<Ready>, timeout: Option<Duration>) {
        events.clear();
        // EINTR ends the wait without any; EINVAL (more entries than descriptors allowed) and
        // ENOMEM cannot be served better than by looking again.
        let Ok(count) = poll(self.fds.entries_mut(), timeout) else {
            return;
        };
        let entries = self.fds.entries().iter();
        let ready = entries.filter(|entry| !entry.revents().is_empty());
        events.extend(ready.take(count).map(|entry| {
            let found = entry.revents();
            let hung_up = found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
            Ready {
                source: Source::unpack(self.sources[entry.as_fd().as_raw_fd() as usize]),
                readable: hung_up || found.contains(PollFlags::IN),
                writable: hung_up || found.contains(PollFlags::OUT),
                half_closed: false,
                hung_up,
            }
        }));
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }
}
