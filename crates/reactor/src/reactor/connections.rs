//! The connections of a loop: stepped when what they need is there, or when their deadline has
//! passed.

use server::Need;

use crate::{Interest, PoolClient, Reactor, Ready, Selector, Source, Timer, Token};

impl<S: Selector> Reactor<S> {
    /// A connection is ready for what it needed.
    #[inline(always)]
    pub(super) fn on_ready(&mut self, token: Token, ready: Ready) {
        let (is_pool_full, pool_writes) = (self.is_pool_full(), self.pool_writes());
        let Some(watched) = self.connections.get_mut(token) else {
            self.on_ready_in_pool(token, &ready);
            return;
        };
        if S::EDGE && !watched.edge.on_event(&ready, watched.need) {
            return;
        }
        let need = match watched.need {
            // It needs nothing from the peer, which sends more meanwhile, or has closed.
            Need::Time | Need::Compute if ready.hung_up => Need::Closed,
            Need::Time | Need::Compute => {
                self.watch(token, Interest::Nothing);
                return;
            }
            Need::Readable if is_pool_full && !ready.hung_up => {
                self.read_later(token);
                return;
            }
            Need::Writable if pool_writes && !ready.hung_up => {
                self.write_in_pool(token);
                return;
            }
            _ => watched.step(&mut self.worker),
        };
        self.update_interest(token, need);
    }

    /// Connections and listeners with more to do go on, each for a turn: one that has much to do
    /// does not keep others waiting.
    #[inline(always)]
    pub(super) fn finish_turns(&mut self) {
        if S::EDGE {
            self.finish_turns_of_edges();
        }
    }

    #[inline(never)]
    fn finish_turns_of_edges(&mut self) {
        for _ in 0..self.unfinished.len() {
            let Some(token) = self.unfinished.pop_front() else {
                return;
            };
            let Some(watched) = self.connections.get_mut(token) else {
                continue;
            };
            watched.edge.dequeued();
            match watched.need {
                Need::Readable if self.pool.as_ref().is_some_and(PoolClient::is_behind) => {
                    self.read_later(token);
                }
                Need::Writable if self.pool.as_ref().is_some_and(|pool| pool.writes) => {
                    self.write_in_pool(token);
                }
                Need::Readable | Need::Writable => {
                    let need = watched.step_rarely(&mut self.worker);
                    self.update_interest(token, need);
                }
                Need::Time | Need::Compute | Need::Closed => {}
            }
        }
        if self.listeners.accepting.has_more() {
            self.listeners.accepting.next_turn();
            self.accept_waiting_rarely();
        }
    }

    /// An entry of the wheel has fired: is it the connection's, and has the deadline passed?
    #[inline(never)]
    pub(super) fn on_deadline(&mut self, token: Token, tick: u64) {
        let Some(watched) = self.connections.get_mut(token) else {
            return;
        };
        if Timer::take_fired(&mut watched.timer, tick) {
            self.expire_if_due(token);
        }
    }

    /// Has the deadline of a connection passed? If not, the wheel fires again when it has.
    #[inline(always)]
    pub(super) fn expire_if_due(&mut self, token: Token) {
        let pool_writes = self.pool_writes();
        let Some(watched) = self.connections.get_mut(token) else {
            return;
        };
        match watched.deadline(self.server) {
            Some(deadline) if deadline <= self.worker.now => {
                if pool_writes && watched.need == Need::Time {
                    self.expire_in_pool(token);
                    return;
                }
                let need = watched.connection.expire(&mut self.worker);
                self.update_interest(token, need);
            }
            _ => watched.arm(&mut self.wheel, token, self.server),
        }
    }

    /// Has the connection stepped when `need` is there, or its deadline has passed.
    #[inline(never)]
    pub(super) fn update_interest(&mut self, token: Token, need: Need) {
        if need == Need::Closed {
            self.close(token);
            return;
        }
        let Some(watched) = self.connections.get_mut(token) else {
            return;
        };
        let before = std::mem::replace(&mut watched.need, need);
        if S::EDGE
            && watched
                .edge
                .on_step(before, need, watched.connection.would_block())
        {
            self.unfinished.push_back(token);
        }
        if need == Need::Compute && before != Need::Compute {
            self.compute_in_pool(token);
            return;
        }
        let interest = match need {
            Need::Readable => Interest::Read,
            Need::Writable => Interest::Write,
            Need::Time | Need::Compute | Need::Closed => watched.interest,
        };
        watched.arm(&mut self.wheel, token, self.server);
        if interest != watched.interest {
            self.watch(token, interest);
        }
    }

    #[inline(never)]
    pub(super) fn close(&mut self, token: Token) {
        if let Some(watched) = self.connections.remove(token) {
            self.selector.closing(&watched.connection);
        }
        self.on_room();
    }

    #[cold]
    #[inline(never)]
    pub(super) fn watch(&mut self, token: Token, interest: Interest) {
        let Some(watched) = self.connections.get_mut(token) else {
            return;
        };
        watched.interest = interest;
        let source = Source::Connection(token);
        if self
            .selector
            .set(&watched.connection, source, interest)
            .is_err()
        {
            self.close(token); // Out of kernel memory: no event would ever be reported again.
        }
    }
}
