//! The loop of the blocking models: one connection from its first byte to its close.

use std::time::{Duration, Instant};

use crate::board::Activity;
use crate::{Connection, Need, Worker};

impl Worker {
    /// Serves a connection to its end. The worker waits inside its calls, so it serves no other
    /// connection meanwhile.
    pub fn serve(&mut self, mut connection: Connection) {
        loop {
            let mut need = connection.step_blocking(self);
            if need == Need::Time {
                self.sleep_until(connection.deadline(self.server));
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

    /// Sleeps until `deadline`, or until the drain begins, which may have moved the deadline.
    #[cold]
    #[inline(never)]
    fn sleep_until(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(self.now);
        if left > Duration::ZERO {
            // EINTR ends the sleep too: the caller compares the time with the deadline again.
            let _ = self.server.wait_for_drain(left);
        }
        self.tick();
    }
}
