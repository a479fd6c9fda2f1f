//! The loop of the blocking models: one connection from its first byte to its close.

use os::net::{self, PollFd, PollFlags};

use crate::board::Activity;
use crate::{Connection, Need, Worker};

impl Worker {
    /// Serves a connection to its end. The worker waits inside its calls, so it serves no other
    /// connection meanwhile.
    pub fn serve(&mut self, mut connection: Connection) {
        loop {
            let mut need = connection.step_blocking(self);
            if need == Need::Time && !self.sleep(&connection) {
                need = Need::Closed;
            }
            if need != Need::Closed && self.now >= connection.deadline(self.server) {
                need = connection.expire(self);
            }
            if need == Need::Closed {
                break;
            }
        }
        // Before the descriptor is closed: after that its number may be that of another connection.
        self.block.announce(Activity::None, 0);
    }

    /// Sleeps until the deadline of the connection, or until the drain begins, which may have moved it. False:
    /// the peer has reset the connection, so its reply could not be sent.
    ///
    /// A source of a streamed reply that waits inside its call has its deadline at once, and the peer is looked
    /// at between two calls.
    #[cold]
    #[inline(never)]
    fn sleep(&mut self, connection: &Connection) -> bool {
        // The clock is that of before the service was called, which may have taken long.
        self.tick();
        let left = connection
            .deadline(self.server)
            .saturating_duration_since(self.now);
        // Of the socket only what cannot be left out is asked for: POLLERR and POLLHUP, which a reset causes.
        let mut sources = [
            PollFd::new(&self.server.waker, PollFlags::IN),
            PollFd::new(connection, PollFlags::empty()),
        ];
        // Once the drain has begun, the waker stays readable.
        let first = usize::from(self.server.drain.has_begun());
        let last = 1 + usize::from(connection.awaits_reply());
        // EINTR ends the sleep too: the caller compares the time with the deadline again.
        let polled = net::poll(&mut sources[first..last], Some(left));
        let has_gone = polled.is_ok() && !sources[1].revents().is_empty();
        self.tick();
        if has_gone {
            connection.count_broken(self);
        }
        !has_gone
    }
}
