//! The listeners of a loop, and how it shares them with others.

use server::{Accepting, Server};

use crate::AcceptLock;

/// How loops share the listeners at which each of them accepts.
#[derive(Debug, Clone, Copy)]
pub enum Sharing {
    /// They do not: this loop is the only one, or has listeners of its own.
    Nothing,
    /// All watch, and the kernel wakes one of those that sleep (`EPOLLEXCLUSIVE`).
    Exclusive,
    /// One watches: the loop that holds the lock while it waits.
    Lock(AcceptLock),
}

/// Of the loops that sleep, the kernel wakes the one that has watched a shared listener longest.
/// After so many connections a loop begins to watch it again, so that others are woken first, as
/// nginx does (`ngx_reorder_accept_events`).
const ACCEPTED_IN_A_ROW: u32 = 16;

/// The listeners at which a loop accepts.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub accepting: Accepting,
    pub sharing: Sharing,
    /// Connections accepted.
    accepted: u32,
}

impl Listeners {
    /// Those of worker `number`. Of shared ones it accepts one connection per turn, because others
    /// are there to accept the next.
    pub fn of(server: &Server, number: usize, sharing: Sharing) -> Listeners {
        let accepting = |batch| Accepting::new(server, number, batch);
        Listeners {
            accepting: match sharing {
                Sharing::Nothing => accepting(server.limits.events_max),
                Sharing::Exclusive => accepting(1),
                Sharing::Lock(_) => accepting(1).under_lock(),
            },
            sharing,
            accepted: 0,
        }
    }

    /// None: other threads accept.
    pub fn none() -> Listeners {
        Listeners {
            accepting: Accepting::nowhere(),
            sharing: Sharing::Nothing,
            accepted: 0,
        }
    }

    /// Counts a connection, and lets other loops be woken first from time to time.
    pub fn count(&mut self, index: usize) {
        self.accepted = self.accepted.wrapping_add(1);
        if matches!(self.sharing, Sharing::Exclusive)
            && self.accepted.is_multiple_of(ACCEPTED_IN_A_ROW)
        {
            self.accepting.renew(index);
        }
    }
}
