//! What a connection does when its deadline has passed, in models that step it.

use std::time::Duration;

use os::net::{self, PollFd, PollFlags};
use proto::Want;

use super::{Connection, Need};
use crate::{Phase, Worker};

impl Connection {
    /// Processes the passing of the [deadline](Self::deadline), and returns what the connection needs
    /// next. If the deadline has not passed, nothing changes.
    #[cold]
    #[inline(never)]
    pub fn expire(&mut self, worker: &mut Worker) -> Need {
        let waited = self.session.want() == Want::Wait;
        match worker.server.drain.phase() {
            Phase::Cutting => {
                // A call that waited for its client may have been cut, and counted, in a thread of a pool: what came
                // back wants to be closed. The drain itself may have cut and counted the connection of a blocking
                // worker.
                let has_ended = self.session.want() == Want::Close;
                if !has_ended && (!worker.blocking || worker.block.cut(|_| {})) {
                    worker.server.count_cut();
                }
                return Need::Closed;
            }
            Phase::Closing if self.session.is_idle() && self.is_idle_time_over(worker) => {
                return self.close_if_idle(worker);
            }
            _ if worker.now < self.session.deadline() => {}
            _ => {
                let (_, mut turn) = worker.turn();
                self.session.expire(&mut turn);
                if self.has_gone() {
                    return self.broken(worker);
                }
            }
        }
        match self.session.want() {
            // What has arrived during a wait is not reported again.
            Want::Read if !waited => Need::Readable,
            _ => self.step_rarely(worker),
        }
    }

    /// Whether the peer has reset a connection that goes on waiting for a piece of its reply: not every model learns
    /// that while there is nothing to send. A FIN does not count, for its sender may still want the reply.
    pub(super) fn has_gone(&self) -> bool {
        // Of the socket only what cannot be left out is asked for: POLLERR and POLLHUP, which a reset causes.
        self.session.awaits_reply()
            && matches!(
                net::poll(
                    &mut [PollFd::new(&self.socket, PollFlags::empty())],
                    Some(Duration::ZERO)
                ),
                Ok(1..)
            )
    }

    /// Whether the time is over in which an idle connection may send a last request. For a blocking
    /// worker it is: the drain has interrupted its receive for that reason.
    pub(super) fn is_idle_time_over(&self, worker: &Worker) -> bool {
        let began = worker.server.drain.began();
        worker.blocking
            || began.is_none_or(|began| worker.now >= self.idle_ends(worker.server, began))
    }

    /// Closes an idle connection for the drain, unless a last request has arrived.
    fn close_if_idle(&mut self, worker: &mut Worker) -> Need {
        match self.step_rarely(worker) {
            Need::Readable if self.session.is_idle() => Need::Closed,
            need => need,
        }
    }
}
