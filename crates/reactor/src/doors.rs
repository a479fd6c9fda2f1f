//! A loop at the server's doors, alone or beside others.

use std::time::Duration;

use anyhow::Context;
use server::{Accepted, Phase, log};

use crate::lock::DoorLock;
use crate::looping::{DOOR, PAUSE_ENDS};
use crate::{Interest, Reactor, Selector};

/// How loops share the doors at which each of them accepts.
#[derive(Debug, Clone, Copy)]
pub enum Sharing {
    /// They do not: this loop is the only one, or has doors of its own.
    Nothing,
    /// All watch, and the kernel wakes one of those that sleep (`EPOLLEXCLUSIVE`).
    Exclusive,
    /// One watches: who holds the lock while it waits.
    Lock(DoorLock),
}

/// How the loop treats the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doors {
    /// They are another's.
    None,
    Open,
    /// Another loop holds the lock.
    Locked,
    /// The table is full, resources are short, or the server drains: nobody looks.
    Shut,
}

/// Of loops that sleep, the kernel wakes the one that has watched a shared door longest: after so
/// many connections it goes to the back of the line, as nginx has it (`ngx_reorder_accept_events`).
const TAKEN_IN_A_ROW: u32 = 16;

impl<S: Selector> Reactor<S> {
    /// Looks at the doors for the first time.
    pub(crate) fn first_look(&mut self) -> anyhow::Result<()> {
        self.doors = Doors::Locked;
        if !matches!(self.sharing, Sharing::Lock(_)) {
            self.watch_doors().context("cannot watch the listeners")?;
        }
        Ok(())
    }

    fn watch_doors(&mut self) -> Result<(), os::Errno> {
        self.doors = Doors::Open;
        for index in self.server.doors_of(self.worker.number) {
            self.watch_door(index)?;
        }
        Ok(())
    }

    fn watch_door(&mut self, index: usize) -> Result<(), os::Errno> {
        let (door, token) = (&self.server.doors[index], DOOR + index as u64);
        match self.sharing {
            Sharing::Exclusive => self.selector.add_shared(door, token),
            _ => self.selector.add(door, token, Interest::Read),
        }
    }

    fn unwatch_doors(&mut self) {
        for index in self.server.doors_of(self.worker.number) {
            self.selector.remove(&self.server.doors[index]);
        }
    }

    /// Before a wait: takes the accept lock, where there is one, or leaves the doors to whoever has
    /// it, and looks again soon. The wait, at most.
    #[inline]
    pub(crate) fn compete(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let Sharing::Lock(lock) = self.sharing else {
            return timeout;
        };
        if !matches!(self.doors, Doors::Open | Doors::Locked) || self.draining {
            return timeout;
        }
        if !lock.take(self.worker.number) {
            if self.doors == Doors::Open {
                self.unwatch_doors();
                self.doors = Doors::Locked;
            }
            let soon = Duration::from_millis(self.server.limits.accept_pause_ms_max);
            return Some(timeout.map_or(soon, |timeout| timeout.min(soon)));
        }
        if self.doors == Doors::Locked {
            self.watch_or_pause();
        }
        timeout
    }

    /// After a wait: what waits at the doors comes first, and then the lock is another's to take.
    #[inline]
    pub(crate) fn accept_first(&mut self, events: &[S::Event]) {
        let Sharing::Lock(lock) = self.sharing else {
            return;
        };
        for event in events {
            let token = S::ready(event).token;
            if token & DOOR != 0 && token < PAUSE_ENDS && self.doors == Doors::Open {
                self.accept((token - DOOR) as usize);
            }
        }
        lock.release(self.worker.number);
    }

    /// A door has news, or had more than one turn allows.
    pub(crate) fn look(&mut self, token: u64) {
        // With a lock this was done before it was given back.
        if self.doors == Doors::Open && !matches!(self.sharing, Sharing::Lock(_)) {
            self.accept((token - DOOR) as usize);
        }
    }

    /// Accepts what waits at a door: a batch at most, and at shared doors one, for others are there
    /// to take the next. True if the door is empty now.
    fn accept(&mut self, index: usize) -> bool {
        let alone = matches!(self.sharing, Sharing::Nothing);
        let batch = if alone {
            self.server.limits.events_max
        } else {
            1
        };
        for _ in 0..batch {
            if self.held.is_full() {
                self.shut_full_doors();
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
                    self.shut_doors();
                    self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
                    return false;
                }
            }
        }
        if self.held.is_full() {
            self.shut_full_doors(); // Now, so that the next connection wakes a loop with room.
        } else if S::EDGE {
            self.again.push(DOOR + index as u64);
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
            self.selector.remove(&self.server.doors[index]);
            if self.watch_door(index).is_err() {
                self.pause();
            }
        }
    }

    /// Looks at the doors no more until a connection ends, and says so once where it is the selector
    /// that can take no more.
    fn shut_full_doors(&mut self) {
        self.shut_doors();
        if std::mem::take(&mut self.bound) {
            let held = self.held.len();
            log(format_args!(
                "{}: with {held} connections the door is left alone until one ends",
                S::BOUND
            ));
        }
    }

    pub(crate) fn shut_doors(&mut self) {
        if self.doors == Doors::Open {
            self.doors = Doors::Shut;
            self.unwatch_doors();
        }
    }

    /// Watches the doors; without memory for that, does so later.
    fn watch_or_pause(&mut self) {
        if self.watch_doors().is_err() {
            self.pause();
        }
    }

    fn pause(&mut self) {
        self.shut_doors();
        let pause = self.backoff.pause();
        self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
    }

    /// What the doors were shut for is over.
    pub(crate) fn open_doors(&mut self) {
        if self.doors != Doors::Shut || self.held.is_full() {
            return;
        }
        match self.sharing {
            _ if self.draining => self.leave_doors(),
            Sharing::Lock(_) => self.doors = Doors::Locked,
            _ => self.watch_or_pause(),
        }
    }

    /// Takes what still waits at all doors, other workers' too, then looks at them no more. With a
    /// full table, or none of some resource, it goes on when a connection ends, or the pause does.
    pub(crate) fn leave_doors(&mut self) {
        self.doors = Doors::Open;
        if self.server.drain.phase() < Phase::Cutting {
            for index in 0..self.server.doors.len() {
                while !self.accept(index) {
                    if self.doors == Doors::Shut {
                        return;
                    }
                }
            }
        }
        self.shut_doors();
        self.doors = Doors::None;
        self.server.bolt_doors();
    }
}
