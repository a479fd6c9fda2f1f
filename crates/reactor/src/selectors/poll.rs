//! poll: the loop keeps the set, and hands all of it to the kernel at every wait.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use os::Errno;
use os::select::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, PollLine, poll_lines};

use super::dense::Dense;
use crate::{Interest, Ready, Selector, Source};

/// A table of what is watched. No call changes it; each wait passes it whole.
#[derive(Debug)]
pub struct Poll {
    lines: Dense<PollLine>,
    /// Packed, by descriptor number.
    sources: Vec<u64>,
}

fn wanted(interest: Interest) -> i16 {
    match interest {
        Interest::Nothing => 0,
        Interest::Read => POLLIN,
        Interest::Write => POLLOUT,
    }
}

impl Selector for Poll {
    type Event = Ready;

    fn empty() -> Result<Poll, Errno> {
        Ok(Poll {
            lines: Dense::new(),
            sources: Vec::new(),
        })
    }

    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno> {
        let fd = fd.as_fd().as_raw_fd();
        self.lines.insert(fd, PollLine::new(fd, wanted(interest)));
        let number = fd as usize;
        if self.sources.len() <= number {
            self.sources.resize(number + 1, 0);
        }
        self.sources[number] = source.pack();
        Ok(())
    }

    fn set(&mut self, fd: impl AsFd, _: Source, interest: Interest) -> Result<(), Errno> {
        if let Some(line) = self.lines.get_mut(fd.as_fd().as_raw_fd()) {
            line.set(wanted(interest));
        }
        Ok(())
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.lines.remove(fd.as_fd().as_raw_fd());
    }

    fn wait(&mut self, events: &mut Vec<Ready>, timeout: Option<Duration>) {
        events.clear();
        // EINTR ends the wait without any; EINVAL (more lines than descriptors allowed) and ENOMEM
        // cannot be served better than by looking again.
        let Ok(count) = poll_lines(self.lines.entries_mut(), timeout) else {
            return;
        };
        let lines = self.lines.entries().iter();
        let ready = lines.filter(|line| line.found() != 0).take(count);
        events.extend(ready.map(|line| {
            let found = line.found();
            let hung_up = found & (POLLHUP | POLLERR | POLLNVAL) != 0;
            Ready {
                source: Source::unpack(self.sources[line.fd() as usize]),
                readable: hung_up || found & POLLIN != 0,
                writable: hung_up || found & POLLOUT != 0,
                half_closed: false,
                hung_up,
            }
        }));
    }

    fn ready(event: &Ready) -> Ready {
        *event
    }
}
