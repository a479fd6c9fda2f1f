//! Accepting by completion, within bounds.
//!
//! A multishot accept takes all that wait, so it is submitted only while there is room for a whole
//! backlog; with less room, connections are accepted one by one, and with none, not at all. One accept at each of
//! several listeners could take more than there is room for, so there the kernel says where a connection waits, and
//! the loop accepts it.

use std::os::fd::{AsFd, OwnedFd};

use os::Errno;
use reactor::Source;
use server::{Connection, Next};

use super::{AcceptsBy, Proactor, RingConnection};

impl Proactor {
    fn room(&self) -> usize {
        self.connections_max
            .saturating_sub(self.connections.len() + self.surplus.len())
    }

    /// An accept of the kernel has completed.
    pub(super) fn on_accept(&mut self, index: usize, socket: Result<OwnedFd, Errno>, more: bool) {
        if !more {
            self.accepting.unwatched(index);
        }
        let accepted = self
            .server
            .accept_completed(socket, self.accepting.backoff());
        match self.accepting.accepted(index, accepted) {
            Some(socket) if self.connections.is_full() => self.surplus.push_back(socket),
            Some(socket) => self.adopt(socket),
            None => {}
        }
        self.accept_waiting();
    }

    /// The watch of a listener has completed.
    pub(super) fn on_waiting(&mut self, index: usize, found: bool) {
        self.accepting.unwatched(index);
        if found {
            self.accepting.ready(index);
        }
        self.accept_waiting();
    }

    /// A pause that was taken because some resource was short is over.
    pub(super) fn on_pause_over(&mut self) {
        self.accepting.pause_over();
        self.accept_waiting();
    }

    /// A connection has ended: there is room for the next.
    pub(super) fn on_room(&mut self) {
        if let Some(socket) = self.surplus.pop_front() {
            self.adopt(socket);
        }
        if self.accepting.freed() {
            self.accept_waiting();
        }
    }

    /// Does what the state of the listeners asks for. The loop itself accepts at several listeners for which
    /// room is short, and in a drain, once the kernel does not any more.
    pub(super) fn accept_waiting(&mut self) {
        let is_short_of_room = self.room() < self.backlog;
        for (index, by) in self.accepts_by.iter_mut().enumerate() {
            if is_short_of_room && *by == AcceptsBy::All {
                *by = AcceptsBy::AllNoMore;
                self.accepting.renew(index); // One by one from now on.
            }
        }
        loop {
            let room = self.room();
            match self.accepting.next(room > 0, self.server.drain.phase()) {
                Next::Watch(index) => {
                    let (listener, number) = (&self.server.listeners[index], index as u32);
                    if room >= self.backlog {
                        self.accepts_by[index] = AcceptsBy::All;
                        self.ring.accept_all(listener.as_fd(), number);
                    } else if self.listeners == 1 {
                        self.accepts_by[index] = AcceptsBy::One;
                        self.ring.accept_one(listener.as_fd(), number);
                    } else {
                        self.accepts_by[index] = AcceptsBy::Loop;
                        self.ring.watch_listener(listener.as_fd(), number);
                    }
                }
                Next::Unwatch(index) if self.accepts_by[index] == AcceptsBy::Loop => {
                    self.ring.cancel_watch(index as u32);
                }
                Next::Unwatch(index) => self.ring.cancel_accept(index as u32),
                Next::Accept(index) => {
                    let accepted = self.server.accept_ready(index, self.accepting.backoff());
                    if let Some(socket) = self.accepting.accepted(index, accepted) {
                        self.adopt(socket);
                    }
                }
                Next::Pause(pause) => {
                    let over = self.worker.now + pause;
                    self.wheel.add(Source::AcceptPause, over);
                }
                Next::ShutDown => self.server.shut_down_listeners(),
                Next::Nothing => return,
            }
        }
    }

    /// Takes on a connection: the one operation that receives for all its life begins here.
    fn adopt(&mut self, socket: OwnedFd) {
        let connection = Connection::new(socket, &mut self.worker);
        let token = self.connections.insert(RingConnection::new(connection));
        self.update_operations(token);
    }
}
