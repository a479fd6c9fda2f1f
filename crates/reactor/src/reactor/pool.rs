//! Connections that a pool of threads computes for the loop.

use server::Need;

use crate::job::{Job, Work};
use crate::{Interest, PoolClient, Reactor, Ready, Selector, Slots, Source, Token, Wakes};

impl<S: Wakes> Reactor<S> {
    /// Has requests computed by a pool. To be called before anything is accepted.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn with_pool(mut self, pool: PoolClient) -> server::Result<Reactor<S>> {
        self.selector
            .add_waker(pool.computed.waker(), Source::Wake)?;
        if let Some(passing) = &pool.passing {
            self.selector.add_waker(passing.reports(), Source::Wake)?;
        }
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
        self.pool.as_ref().is_some_and(PoolClient::is_behind)
    }

    /// Sends a connection to the pool, now or when there is room.
    pub(super) fn compute_in_pool(&mut self, token: Token) {
        self.send_to_pool(token, Work::Compute);
    }

    fn send_to_pool(&mut self, token: Token, work: Work) {
        let Some(pool) = &mut self.pool else {
            return;
        };
        if pool.is_full() {
            self.wait_for_pool(token);
            self.accept_waiting_rarely(); // Which leaves the listeners alone from now on.
        } else if let Some(watched) = self.connections.lend(token) {
            self.worker.count_queued();
            pool.send(token, watched, work);
        }
    }

    /// Whether the threads of the pool write.
    #[inline]
    pub(super) fn pool_writes(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.writes)
    }

    /// There is room for more of a reply: a thread makes it, and writes. Until then the room would be
    /// reported again and again.
    #[cold]
    #[inline(never)]
    pub(super) fn write_in_pool(&mut self, token: Token) {
        self.watch(token, Interest::Nothing);
        self.send_to_pool(token, Work::Write);
    }

    /// The delay of a reply is over: a thread makes the rest of it, and writes.
    #[cold]
    #[inline(never)]
    pub(super) fn expire_in_pool(&mut self, token: Token) {
        self.send_to_pool(token, Work::Expire);
    }

    /// A connection would be read while others wait for the pool: it waits behind them.
    pub(super) fn read_later(&mut self, token: Token) {
        self.watch(token, Interest::Nothing);
        self.wait_for_pool(token);
    }

    /// A connection waits until others come back, once.
    fn wait_for_pool(&mut self, token: Token) {
        if let Some(pool) = &mut self.pool
            && let Some(watched) = self.connections.get_mut(token)
            && watched.edge.enqueue()
        {
            pool.waiting.push_back(token);
        }
    }

    /// Something has happened on a connection that the pool has. A selector of states would report it
    /// again and again (a hang-up in any case), so the connection is not watched until it is back. One
    /// of changes will not: the loop remembers it.
    pub(super) fn on_ready_in_pool(&mut self, token: Token, ready: &Ready) {
        if !self.connections.is_lent(token) {
            return;
        }
        if S::EDGE {
            if let Some(pool) = &mut self.pool {
                pool.remember(token, ready);
            }
        } else if let Some(fd) = self.pool.as_mut().and_then(|pool| pool.unwatch(token)) {
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
        if self.is_pool_full() {
            self.go_on_behind_pool();
        }
    }

    /// Those that wait for the pool go on, as far as there is room.
    #[inline(never)]
    fn go_on_behind_pool(&mut self) {
        while let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_full()) {
            let Some(token) = pool.waiting.pop_front() else {
                break;
            };
            let waited = self.connections.get_mut(token).map(|watched| {
                watched.edge.dequeued();
                watched.need
            });
            match waited {
                Some(Need::Compute) => self.compute_in_pool(token),
                Some(Need::Readable) => self.watch_again(token, Interest::Read),
                Some(Need::Writable) => self.watch_again(token, Interest::Write),
                Some(Need::Time) => self.expire_if_due(token),
                _ => {} // It has ended meanwhile.
            }
        }
        if !self.is_pool_full() {
            self.on_room();
        }
    }

    /// A connection that has waited for the pool is stepped when what it needs is there.
    fn watch_again(&mut self, token: Token, interest: Interest) {
        if !S::EDGE {
            self.watch(token, interest);
        } else if let Some(watched) = self.connections.get_mut(token)
            && watched.edge.enqueue()
        {
            self.unfinished.push_back(token);
        }
    }

    /// Passes requests that wait to processes that are free.
    #[cold]
    #[inline(never)]
    pub(super) fn pass_waiting(&mut self) {
        let mut failed = Vec::new();
        if let Some(passing) = self.pool.as_mut().and_then(|pool| pool.passing.as_mut()) {
            passing.pass_waiting(&mut failed);
        }
        failed.into_iter().for_each(|job| self.on_computed(job));
    }

    /// Something has come that is looked for before every wait, or a report of a process that serves.
    #[inline(never)]
    pub(super) fn on_wake(&mut self) {
        if let Some(pool) = &mut self.pool
            && let Some(passing) = &mut pool.passing
        {
            let changes = passing.take_reports();
            pool.leave_places(changes.computed);
            let ended = changes.ended.into_iter();
            ended.for_each(|job| self.on_computed(job));
            if self.is_pool_full() {
                self.go_on_behind_pool();
            }
        }
    }

    fn on_computed(&mut self, job: Job) {
        let Job { token, .. } = job;
        let back = self.pool.as_mut().map(|pool| pool.came_back(token));
        let back = back.unwrap_or_default();
        let watched = self.connections.give_back(token, job.watched);
        watched.need = Need::Writable;
        self.wheel.forget_if_past(&mut watched.timer);
        if back.unwatched {
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
        let need = match job.work {
            Work::Served(need) => need,
            Work::Answered(end) => watched.connection.answered(end, &mut self.worker),
            Work::Computed => watched.connection.step(&mut self.worker),
            _ => Need::Closed,
        };
        let has_room = S::EDGE && watched.edge.on_event_in_pool(&back.seen);
        self.update_interest(token, need);
        if has_room && need == Need::Writable {
            self.watch_again(token, Interest::Write);
        }
    }
}
