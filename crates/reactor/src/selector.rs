//! What all selectors have in common: a set of descriptors, and a wait for any of them.
//!
//! A loop is compiled for the selector it has ([`Reactor`](crate::Reactor) is generic), so that an
//! event costs no indirect call.

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::time::Duration;

use os::Errno;

use crate::Source;

/// What a descriptor is watched for. Errors and hang-ups are reported always, but for
/// [`Select`](crate::Select), which shows them as readable and writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing else.
    Nothing,
    /// Something to receive, or to accept.
    Read,
    /// Room to send.
    Write,
}

/// One descriptor that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// What it was added as.
    pub source: Source,
    /// Receiving will not block, or may not.
    pub readable: bool,
    /// Sending will not block, or may not.
    pub writable: bool,
    /// The peer has sent its FIN. Known only if the selector reports changes.
    pub half_closed: bool,
    /// The peer has closed both directions, or the connection is broken: no call on it will block.
    pub hung_up: bool,
}

/// A set of descriptors, and a wait for any of them. The five back ends are in `selectors`.
pub trait Selector: Debug + Sized {
    /// It reports changes and not states: data that was reported and not received is not reported
    /// again.
    const EDGE: bool = false;

    /// Why it can watch no more than [`room`](Selector::room), for the log.
    const BOUND: &'static str = "";

    /// An event as the wait leaves it.
    type Event;

    /// A set with nothing in it.
    ///
    /// # Errors
    /// Descriptors or memory have run out, or a sandbox forbids the wait.
    fn empty() -> server::Result<Self>;

    /// Watches `fd`; its events carry `source`. What is ready already is reported by the next wait,
    /// by selectors of changes too.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC; EINVAL for a descriptor that it cannot watch.
    fn add(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno>;

    /// Watches a listener that other loops watch as well: if it can, the kernel wakes one of them,
    /// and not all.
    ///
    /// # Errors
    /// Like [`add`](Selector::add).
    fn add_shared(&mut self, listener: impl AsFd, source: Source) -> Result<(), Errno> {
        self.add(listener, source, Interest::Read)
    }

    /// Watches `fd` for something else.
    ///
    /// # Errors
    /// ENOMEM.
    fn set(&mut self, fd: impl AsFd, source: Source, interest: Interest) -> Result<(), Errno>;

    /// Stops watching `fd`, if it is watched.
    fn remove(&mut self, fd: impl AsFd);

    /// The same for a descriptor that is about to be closed, which may cost less.
    fn closing(&mut self, fd: impl AsFd) {
        self.remove(fd);
    }

    /// Waits until something is ready, for at most `timeout`, and leaves up to the capacity of
    /// `events` there; a signal ends the wait without any.
    fn wait(&mut self, events: &mut Vec<Self::Event>, timeout: Option<Duration>);

    /// An event, as all selectors describe it.
    fn ready(event: &Self::Event) -> Ready;

    /// How many more descriptors it can watch, if it has a bound of its own.
    fn room(&self) -> Option<usize> {
        None
    }
}

/// A selector that other threads can wake.
pub trait Wakes: Selector {
    /// Watches a waker by its edge: each wake is one event, and it need not be cleared.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    fn add_waker(&self, waker: impl AsFd, source: Source) -> Result<(), Errno>;
}
