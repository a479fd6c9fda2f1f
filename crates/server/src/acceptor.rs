//! One thread that accepts for loops which others run.

use std::os::fd::OwnedFd;

use crate::{Backoff, Block, Phase, Server};

/// Accepts for the workers of a server, within the bound of open connections.
#[derive(Debug)]
pub struct Acceptor<'a> {
    server: &'a Server,
    backoff: Backoff,
    /// Pauses while there are as many connections as there may be: a worker that closes one tells no one.
    full: Backoff,
    /// How many were accepted.
    accepted: u64,
}

impl<'a> Acceptor<'a> {
    /// The listeners are made non-blocking.
    ///
    /// # Errors
    /// None that a listener can cause.
    pub fn new(server: &'a Server) -> crate::Result<Acceptor<'a>> {
        server.make_listeners_nonblocking()?;
        let backoff = Backoff::new(server.limits.accept_pause_ms_max);
        Ok(Acceptor {
            server,
            full: backoff.clone(),
            backoff,
            accepted: 0,
        })
    }

    /// Waits for connections, and appends those that are pending to `sockets`. With as many as there may be it
    /// leaves the listeners alone until some have ended. False: the drain has emptied the listeners, or is over.
    pub fn accept(&mut self, sockets: &mut Vec<OwnedFd>) -> bool {
        loop {
            let room = self.room();
            if room > 0 {
                self.full.reset();
                let more = self.server.accept_batch(sockets, room, &mut self.backoff);
                self.accepted += sockets.len() as u64;
                return more;
            }
            if self.server.drain.phase() == Phase::Cutting {
                self.server.shut_down_listeners();
                return false;
            }
            let _ = self.server.wait_for_drain(self.full.pause()); // EINTR: a signal of the drain.
        }
    }

    /// How many more connections there may be.
    fn room(&self) -> usize {
        let workers = &self.server.blocks[..self.server.workers];
        let closed: u64 = workers.iter().map(Block::closed).sum();
        let open = self.accepted.saturating_sub(closed);
        let max = self.server.limits.connections_max;
        max.saturating_sub(open as usize)
    }
}
