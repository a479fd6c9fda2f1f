//! A loop at the server's listeners, alone or beside others.

use std::time::Duration;

use anyhow::Context;
use server::{Accepted, Phase, log};

use crate::accept_lock::AcceptLock;
use crate::reactor::{LISTENER, PAUSE_ENDS};
use crate::{Interest, Reactor, Selector};

/// How loops share the listeners at which each of them accepts.
#[derive(Debug, Clone, Copy)]
pub enum Sharing {
    /// They do not: this loop is the only one, or has listeners of its own.
    Nothing,
    /// All watch, and the kernel wakes one of those that sleep (`EPOLLEXCLUSIVE`).
    Exclusive,
    /// One watches: who holds the lock while it waits.
    Lock(AcceptLock),
}

/// How the loop treats the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listeners {
    /// They are another's.
    None,
    Open,
    /// Another loop holds the lock.
    Locked,
    /// The table is full, resources are short, or the server drains: nobody looks.
    Shut,
}

/// Of loops that sleep, the kernel wakes the one that has watched a shared listener longest: after so
/// many connections it goes to the back of the line, as nginx has it (`ngx_reorder_accept_events`).
const TAKEN_IN_A_ROW: u32 = 16;

impl<S: Selector> Reactor<S> {
    /// Looks at the listeners for the first time.
    pub(crate) fn first_look(&mut self) -> anyhow::Result<()> {
        self.listeners = Listeners::Locked;
        if !matches!(self.sharing, Sharing::Lock(_)) {
            self.watch_listeners()
                .context("cannot watch the listeners")?;
        }
        Ok(())
    }

    fn watch_listeners(&mut self) -> Result<(), os::Errno> {
        self.listeners = Listeners::Open;
        for index in self.server.listeners_of(self.worker.number) {
            self.watch_listener(index)?;
        }
        Ok(())
    }

    fn watch_listener(&mut self, index: usize) -> Result<(), os::Errno> {
        let (listener, token) = (&self.server.listeners[index], LISTENER + index as u64);
        match self.sharing {
            Sharing::Exclusive => self.selector.add_shared(listener, token),
            _ => self.selector.add(listener, token, Interest::Read),
        }
    }

    fn unwatch_listeners(&mut self) {
        for index in self.server.listeners_of(self.worker.number) {
            self.selector.remove(&self.server.listeners[index]);
        }
    }

    /// Before a wait: takes the accept lock, where there is one, or leaves the listeners to whoever has
    /// it, and looks again soon. The wait, at most.
    #[inline]
    pub(crate) fn compete(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let Sharing::Lock(lock) = self.sharing else {
            return timeout;
        };
        if !matches!(self.listeners, Listeners::Open | Listeners::Locked) || self.draining {
            return timeout;
        }
        if !lock.take(self.worker.number) {
            if self.listeners == Listeners::Open {
                self.unwatch_listeners();
                self.listeners = Listeners::Locked;
            }
            let soon = Duration::from_millis(self.server.limits.accept_pause_ms_max);
            return Some(timeout.map_or(soon, |timeout| timeout.min(soon)));
        }
        if self.listeners == Listeners::Locked {
            self.watch_or_pause();
        }
        timeout
    }

    /// After a wait: what waits at the listeners comes first, and then the lock is another's to take.
    #[inline]
    pub(crate) fn accept_first(&mut self, events: &[S::Event]) {
        let Sharing::Lock(lock) = self.sharing else {
            return;
        };
        for event in events {
            let token = S::ready(event).token;
            if token & LISTENER != 0 && token < PAUSE_ENDS && self.listeners == Listeners::Open {
                self.accept((token - LISTENER) as usize);
            }
        }
        lock.release(self.worker.number);
    }

    /// A listener has news, or had more than one turn allows.
    pub(crate) fn look(&mut self, token: u64) {
        // With a lock this was done before it was given back.
        if self.listeners == Listeners::Open && !matches!(self.sharing, Sharing::Lock(_)) {
            self.accept((token - LISTENER) as usize);
        }
    }

    /// Accepts what waits at a listener: a batch at most, and at shared listeners one, for others are there
    /// to take the next. True if the listener is empty now.
    fn accept(&mut self, index: usize) -> bool {
        let alone = matches!(self.sharing, Sharing::Nothing);
        let batch = if alone {
            self.server.limits.events_max
        } else {
            1
        };
        for _ in 0..batch {
            if self.held.is_full() {
                self.shut_full_listeners();
                return false;
            }
            match self.server.accept_ready(index, &mut self.backoff) {
                Accepted::Socket(socket) => {
                    self.adopt(socket);
                    self.step_back(index);
                }
                Accepted::Empty => return true,
                Accepted::Interrupted => {}
                Accepted::Pause(pause) => {
                    self.shut_listeners();
                    self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
                    return false;
                }
            }
        }
        if self.held.is_full() {
            self.shut_full_listeners(); // Now, so that the next connection wakes a loop with room.
        } else if S::EDGE {
            self.again.push(LISTENER + index as u64);
        }
        false
    }

    /// Lets other loops be woken first, from time to time.
    fn step_back(&mut self, index: usize) {
        if !matches!(self.sharing, Sharing::Exclusive) || self.draining {
            return;
        }
        self.taken += 1;
        if self.taken.is_multiple_of(TAKEN_IN_A_ROW) {
            self.selector.remove(&self.server.listeners[index]);
            if self.watch_listener(index).is_err() {
                self.pause();
            }
        }
    }

    /// Looks at the listeners no more until a connection ends, and says so once where it is the selector
    /// that can take no more.
    fn shut_full_listeners(&mut self) {
        self.shut_listeners();
        if std::mem::take(&mut self.bound) {
            let held = self.held.len();
            log(format_args!(
                "{}: with {held} connections the listener is left alone until one ends",
                S::BOUND
            ));
        }
    }

    pub(crate) fn shut_listeners(&mut self) {
        if self.listeners == Listeners::Open {
            self.listeners = Listeners::Shut;
            self.unwatch_listeners();
        }
    }

    /// Watches the listeners; without memory for that, does so later.
    fn watch_or_pause(&mut self) {
        if self.watch_listeners().is_err() {
            self.pause();
        }
    }

    fn pause(&mut self) {
        self.shut_listeners();
        let pause = self.backoff.pause();
        self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
    }

    /// What the listeners were shut for is over.
    pub(crate) fn open_listeners(&mut self) {
        if self.listeners != Listeners::Shut || self.held.is_full() {
            return;
        }
        match self.sharing {
            _ if self.draining => self.leave_listeners(),
            Sharing::Lock(_) => self.listeners = Listeners::Locked,
            _ => self.watch_or_pause(),
        }
    }

    /// Takes what still waits at all listeners, other workers' too, then looks at them no more. With a
    /// full table, or none of some resource, it goes on when a connection ends, or the pause does.
    pub(crate) fn leave_listeners(&mut self) {
        self.listeners = Listeners::Open;
        if self.server.drain.phase() < Phase::Cutting {
            for index in 0..self.server.listeners.len() {
                while !self.accept(index) {
                    if self.listeners == Listeners::Shut {
                        return;
                    }
                }
            }
        }
        self.shut_listeners();
        self.listeners = Listeners::None;
        self.server.shut_down_listeners();
    }
}
