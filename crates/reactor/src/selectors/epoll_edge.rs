//! epoll, edge-triggered: a descriptor is added once, and there is no other `epoll_ctl`.
//!
//! Each change is reported once, whether the loop acts upon it or not (epoll(7)): a loop that waits
//! again before it has received everything waits for ever. So it has to remember what is left to
//! do: see [`EdgeState`](crate::edge::EdgeState).

use std::os::fd::AsFd;
use std::time::Duration;

use os::Errno;
use rustix::event::epoll::{Event, EventFlags};

use super::epoll::{Epoll, Events, ready};
use crate::{Interest, Ready, Selector, Source, Wakes};

/// A set that reports changes, of reading and writing alike.
#[derive(Debug)]
pub struct EpollEdge {
    set: Epoll,
}

impl Selector for EpollEdge {
    const EDGE: bool = true;
    type Event = Event;

    fn empty() -> server::Result<EpollEdge> {
        Ok(EpollEdge { set: Epoll::new()? })
    }

    fn add(&mut self, fd: impl AsFd, source: Source, _: Interest) -> Result<(), Errno> {
        let all = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.set.add_with(fd, source, all)
    }

    fn set(&mut self, _: impl AsFd, _: Source, _: Interest) -> Result<(), Errno> {
        Ok(()) // Everything is reported already.
    }

    fn remove(&mut self, fd: impl AsFd) {
        self.set.remove(fd);
    }

    fn closing(&mut self, fd: impl AsFd) {
        self.set.closing(fd);
    }

    #[inline(always)]
    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) {
        self.set.wait(events, timeout);
    }

    #[inline(always)]
    fn ready(event: &Event) -> Ready {
        ready(event)
    }
}

impl Wakes for EpollEdge {
    fn add_waker(&self, waker: impl AsFd, source: Source) -> Result<(), Errno> {
        self.set.add_waker(waker, source)
    }
}
