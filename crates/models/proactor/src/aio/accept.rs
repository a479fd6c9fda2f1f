//! Accepting when a signal says that a client waits.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use reactor::Source;
use server::Next;

use super::{AioConnection, Proactor};

impl Proactor {
    /// A client waits at a listener; the signal does not say at which.
    pub(super) fn on_listeners(&mut self) {
        for index in 0..self.server.listeners.len() {
            self.accepting.ready(index);
        }
        self.accept_waiting();
    }

    /// A pause that was taken because some resource was short is over.
    pub(super) fn on_pause_over(&mut self) {
        self.accepting.pause_over();
        self.accept_waiting();
    }

    /// Does what the state of the listeners asks for.
    pub(super) fn accept_waiting(&mut self) {
        loop {
            let has_room = !self.connections.is_full();
            match self.accepting.next(has_room, self.server.drain.phase()) {
                Next::Accept(index) => {
                    let backoff = self.accepting.backoff();
                    // Helper threads wait in calls on the new socket, so it blocks.
                    let accepted = self.server.accept_at(index, false, backoff);
                    if let Some(socket) = self.accepting.accepted(index, accepted) {
                        self.adopt(socket);
                    }
                }
                // The listeners send signals all the time: what came before is to be looked for.
                Next::Watch(index) => self.accepting.ready(index),
                Next::Unwatch(index) => self.accepting.unwatched(index),
                Next::Pause(pause) => {
                    let over = self.worker.now + pause;
                    self.wheel.add(Source::AcceptPause, over);
                }
                Next::ShutDown => {
                    for listener in &self.server.listeners {
                        self.signals.unwatch(listener.as_fd());
                    }
                    self.server.shut_down_listeners();
                }
                Next::Nothing => return,
            }
        }
    }

    fn adopt(&mut self, socket: OwnedFd) {
        if self.some_inherit_no_timeout {
            // A socket that takes none is broken, and will say so.
            let write = Duration::from_millis(self.server.limits.write_ms);
            let _ = os::net::set_send_timeout(socket.as_fd(), write);
        }
        let connection = AioConnection::new(socket, &mut self.worker);
        let token = self.connections.insert(connection);
        self.begin_operation(token, false);
    }
}
