//! Connections that a pool of threads computes for the loop.

use server::Need;

use crate::pool::Job;
use crate::{Interest, PoolClient, Reactor, Selector, Slots, Source, Token};

impl Reactor {
    /// Has requests computed by a pool. To be called before anything is accepted.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn with_pool(mut self, pool: PoolClient) -> server::Result<Reactor> {
        self.selector
            .add_waker(pool.computed.waker(), Source::Wake)?;
        let max = self.server.connections_max_of(pool.number, pool.clients);
        self.connections = Slots::new(max);
        self.pool = Some(pool);
        Ok(self)
    }
}

impl<S: Selector> Reactor<S> {
    /// Whether connections wait for others to come back from the pool: then nothing more is read or
    /// accepted.
    #[inline]
    pub(super) fn is_pool_full(&self) -> bool {
        self.pool
            .as_ref()
            .is_some_and(|pool| !pool.waiting.is_empty())
    }

    /// Sends a connection to the pool, now or when there is room.
    pub(super) fn compute_in_pool(&mut self, token: Token) {
        let Some(pool) = &mut self.pool else {
            return;
        };
        if pool.is_full() {
            pool.waiting.push_back(token);
            self.accept_waiting_rarely(); // Which leaves the listeners alone from now on.
        } else if let Some(watched) = self.connections.lend(token) {
            self.worker.count_queued();
            pool.send(token, watched);
        }
    }

    /// A connection would be read while others wait for the pool: it waits behind them.
    pub(super) fn read_later(&mut self, token: Token) {
        self.watch(token, Interest::Nothing);
        if let Some(pool) = &mut self.pool {
            pool.waiting.push_back(token);
        }
    }

    /// Something has happened on a connection that the pool has. The selector would report it again
    /// and again (a hang-up in any case), so the connection is not watched until it is back.
    pub(super) fn unwatch_in_pool(&mut self, token: Token) {
        if self.connections.is_lent(token)
            && let Some(fd) = self.pool.as_mut().and_then(|pool| pool.unwatch(token))
        {
            os::net::with_number(fd, |fd| self.selector.remove(fd));
        }
    }

    /// Takes back what the pool has computed, and writes it; then those that wait for the pool go
    /// on, as far as there is room.
    #[inline]
    pub(super) fn take_computed(&mut self) {
        let Some(pool) = &self.pool else {
            return;
        };
        pool.computed.awake();
        while let Some(job) = self.pool.as_mut().and_then(|pool| pool.computed.take()) {
            self.on_computed(job);
        }
        if !self.is_pool_full() {
            return;
        }
        while let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_full()) {
            let Some(token) = pool.waiting.pop_front() else {
                self.on_room();
                return;
            };
            match self.connections.get_mut(token).map(|watched| watched.need) {
                Some(Need::Compute) => self.compute_in_pool(token),
                Some(Need::Readable) => self.watch(token, Interest::Read),
                _ => {} // It has ended meanwhile, or needs something else.
            }
        }
    }

    fn on_computed(&mut self, job: Job) {
        let Job { token, .. } = job;
        let is_watched = self.pool.as_mut().is_some_and(|pool| pool.came_back(token));
        let watched = self.connections.give_back(token, job.watched);
        watched.need = Need::Writable;
        self.wheel.forget_if_past(&mut watched.timer);
        if !is_watched {
            watched.interest = Interest::Nothing;
            let source = Source::Connection(token);
            let added = self
                .selector
                .add(&watched.connection, source, Interest::Nothing);
            if added.is_err() {
                self.close(token); // Out of kernel memory: no event would ever be reported again.
                return;
            }
        }
        let need = match job.has_panicked {
            true => Need::Closed,
            false => watched.connection.step(&mut self.worker),
        };
        self.update_interest(token, need);
    }
}
