//! Accepting by completion, within bounds.
//!
//! An accept that goes on by itself takes all that wait, so it is begun only while there is room for
//! a whole backlog; with less room, connections are accepted one by one, and with none, not at all.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use os::Errno;
use os::ring::Ring;
use server::{Accepted, Backoff, Connection, Server};

use super::{Fate, Flight, Held, PAUSE_ENDS, Proactor};

/// The server's listeners, as the loop looks at them.
pub(super) struct Listeners {
    each: Vec<Accept>,
    backoff: Backoff,
    /// Resources are short: nobody looks before a pause has passed.
    pausing: bool,
    /// The drain has taken what waited.
    swept: bool,
    /// As many as may come at once.
    crowd: usize,
    /// Those of a crowd that was larger than expected; each waits for a place in the table.
    ahead: VecDeque<OwnedFd>,
}

/// An accept at one of them.
struct Accept {
    flight: Flight,
    goes_on: bool,
}

impl Listeners {
    pub(super) fn new(server: &Server) -> Listeners {
        let idle = || Accept {
            flight: Flight::Landed,
            goes_on: false,
        };
        Listeners {
            each: server.listeners.iter().map(|_| idle()).collect(),
            backoff: Backoff::new(server.limits.accept_pause_ms_max),
            pausing: false,
            swept: false,
            crowd: server.limits.backlog.max(1) as usize * server.listeners.len(),
            ahead: VecDeque::new(),
        }
    }

    /// Whether the drain has nothing to expect of them.
    pub(super) fn are_done(&self) -> bool {
        self.swept && self.ahead.is_empty()
    }

    /// Recalls every accept.
    pub(super) fn leave(&mut self, ring: &mut Ring) {
        for (number, listener) in self.each.iter_mut().enumerate() {
            listener.recall(ring, number);
        }
    }

    fn are_left(&self) -> bool {
        let mut each = self.each.iter();
        each.all(|listener| listener.flight == Flight::Landed)
    }
}

impl Accept {
    fn recall(&mut self, ring: &mut Ring, number: usize) {
        if self.flight == Flight::Out {
            self.flight = Flight::Recalled;
            ring.cancel_accept(number as u32);
        }
    }
}

impl Proactor {
    fn room(&self) -> usize {
        let max = self.server.limits.connections_max;
        max.saturating_sub(self.held.len() + self.listeners.ahead.len())
    }

    /// Has the kernel accept as many as there is room for.
    pub(super) fn look_at_listeners(&mut self) {
        if self.draining || self.listeners.pausing {
            return;
        }
        let mut room = self.room();
        let goes_on = room >= self.listeners.crowd;
        for (number, accept) in self.listeners.each.iter_mut().enumerate() {
            let listener = self.server.listeners[number].as_fd();
            match accept.flight {
                Flight::Landed if goes_on => self.ring.accept_all(listener, number as u32),
                Flight::Landed if room > 0 => self.ring.accept_one(listener, number as u32),
                Flight::Out if accept.goes_on && !goes_on => {
                    accept.recall(&mut self.ring, number);
                    continue;
                }
                _ => continue,
            }
            *accept = Accept {
                flight: Flight::Out,
                goes_on,
            };
            room = room.saturating_sub(1);
        }
    }

    /// An accept has completed.
    pub(super) fn accepted(&mut self, listener: u32, socket: Result<OwnedFd, Errno>, more: bool) {
        if !more {
            self.listeners.each[listener as usize].flight = Flight::Landed;
        }
        match self
            .server
            .accept_completed(socket, &mut self.listeners.backoff)
        {
            Accepted::Socket(socket) if self.held.is_full() => {
                self.listeners.ahead.push_back(socket);
            }
            Accepted::Socket(socket) => self.adopt(socket),
            Accepted::Pause(pause) => {
                self.listeners.pausing = true;
                self.listeners.leave(&mut self.ring);
                self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
            }
            Accepted::Empty | Accepted::Interrupted => {}
        }
        if !more || self.room() < self.listeners.crowd {
            self.look_at_listeners();
        }
        self.sweep();
    }

    /// Takes on a connection: the one operation that receives for all its life begins here.
    fn adopt(&mut self, socket: OwnedFd) {
        let connection = Connection::new(socket, &mut self.worker);
        let token = self.held.insert(Held {
            connection,
            receive: Flight::Landed,
            send: Flight::Landed,
            fate: Fate::Open,
            timer: None,
        });
        self.settle(token);
    }

    /// A connection has gone: the next may come.
    pub(super) fn make_use_of_room(&mut self) {
        if let Some(socket) = self.listeners.ahead.pop_front() {
            self.adopt(socket);
        }
        self.look_at_listeners();
        self.sweep();
    }

    pub(super) fn end_pause(&mut self) {
        self.listeners.pausing = false;
        self.look_at_listeners();
        self.sweep();
    }

    /// In a drain, once the kernel has left the listeners: takes what still waits there, as far as there
    /// is room, and then has them refuse.
    pub(super) fn sweep(&mut self) {
        if !self.draining
            || self.listeners.swept
            || self.listeners.pausing
            || !self.listeners.are_left()
        {
            return;
        }
        for number in 0..self.server.listeners.len() {
            loop {
                if self.room() == 0 {
                    return;
                }
                match self
                    .server
                    .accept_ready(number, &mut self.listeners.backoff)
                {
                    Accepted::Socket(socket) => self.adopt(socket),
                    Accepted::Interrupted => {}
                    Accepted::Empty => break,
                    Accepted::Pause(pause) => {
                        self.listeners.pausing = true;
                        self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
                        return;
                    }
                }
            }
        }
        self.listeners.swept = true;
        self.server.shut_down_listeners();
    }
}
