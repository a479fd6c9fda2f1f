//! The loop itself.

mod accept;
mod connections;
mod pool;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use server::{Connection, Need, Server, Worker};

use crate::listeners::Listeners;
use crate::watched::Watched;
use crate::{Epoll, Inbox, Interest, PoolClient, Selector, Sharing, Slots, Source, Token, Wheel};

/// A readiness loop: everything one thread does for all its connections.
#[derive(Debug)]
pub struct Reactor<S: Selector = Epoll> {
    server: &'static Server,
    worker: Worker,
    selector: S,
    connections: Slots<Watched>,
    wheel: Wheel,
    listeners: Listeners,
    /// Sockets that another thread has accepted.
    inbox: Option<Inbox>,
    /// The threads that compute, if the loop does not.
    pool: Option<PoolClient>,
    /// Connections that have more to do than their turn allowed, if the selector reports changes
    /// and not states.
    unfinished: VecDeque<Token>,
    draining: bool,
    /// The selector takes fewer descriptors than the table may hold, which was not logged yet.
    has_unlogged_bound: bool,
}

impl Reactor {
    /// A loop that is given its sockets by another thread.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn with_inbox(
        server: &'static Server,
        number: usize,
        inbox: Inbox,
    ) -> server::Result<Reactor> {
        let selector = Epoll::new()?;
        selector.add_waker(inbox.waker(), Source::Wake)?;
        let mut reactor = Reactor::new(server, number, selector, Listeners::none())?;
        reactor.inbox = Some(inbox);
        Ok(reactor)
    }
}

impl<S: Selector> Reactor<S> {
    /// A loop that accepts at the server's listeners.
    ///
    /// # Errors
    /// Descriptors or memory have run out, or the selector cannot watch a listener.
    pub fn at_listeners(
        server: &'static Server,
        number: usize,
        selector: S,
        sharing: Sharing,
    ) -> server::Result<Reactor<S>> {
        server.make_listeners_nonblocking()?;
        let listeners = Listeners::of(server, number, sharing);
        let mut reactor = Reactor::new(server, number, selector, listeners)?;
        reactor.watch_listeners()?;
        Ok(reactor)
    }

    fn new(
        server: &'static Server,
        number: usize,
        mut selector: S,
        listeners: Listeners,
    ) -> server::Result<Reactor<S>> {
        let worker = Worker::ready(server, number);
        selector.add(&server.waker, Source::Drain, Interest::Read)?;
        let max = server.connections_max_of(number, server.workers);
        let room = selector.room();
        Ok(Reactor {
            server,
            selector,
            connections: Slots::new(room.map_or(max, |room| room.min(max))),
            wheel: Wheel::new(worker.now),
            worker,
            listeners,
            inbox: None,
            pool: None,
            unfinished: VecDeque::new(),
            draining: false,
            has_unlogged_bound: room.is_some_and(|room| room < max),
        })
    }

    /// Serves until drained.
    ///
    /// It is a function of its own in every program: what the compiler inlines into it does not depend
    /// on who calls it, and a test finds it by its name.
    #[inline(never)]
    pub fn run(mut self) {
        self.worker.bind_to_thread();
        let mut events = Vec::with_capacity(self.server.limits.events_max);
        let mut fired = Vec::new();
        while !self.is_done() {
            self.wait(&mut events, &mut fired);
            for event in &events {
                let ready = S::ready(event);
                match ready.source {
                    Source::Connection(token) => self.on_ready(token, ready),
                    Source::Listener(index) => self.on_listener(index),
                    Source::Drain => self.on_drain(),
                    Source::Wake => self.on_wake(),
                    Source::AcceptPause => {}
                }
            }
            self.finish_turns();
            for (source, tick) in fired.drain(..) {
                match source {
                    Source::Connection(token) => self.on_deadline(token, tick),
                    Source::AcceptPause => self.on_pause_over(),
                    Source::Listener(_) | Source::Drain | Source::Wake => {}
                }
            }
        }
    }

    /// Waits for events, until the next deadline at most; then takes what other threads have put
    /// into the queues of the loop.
    #[inline(always)]
    fn wait(&mut self, events: &mut Vec<S::Event>, fired: &mut Vec<(Source, u64)>) {
        self.worker.tick();
        if let Some(pool) = &self.pool {
            match pool.passing {
                None => pool.wake(),
                Some(_) => self.pass_waiting(),
            }
        }
        let timeout = match self.may_sleep() {
            true => self.wheel.timeout(self.worker.now),
            false => Some(Duration::ZERO),
        };
        let timeout = self.try_accept_lock(timeout);
        self.selector.wait(events, timeout);
        self.worker.tick();
        // Before any event: the deadlines that events add are placed from here on.
        self.wheel.advance(self.worker.now, fired);
        if self.worker.is_retiring() && !self.draining {
            self.on_drain(); // The waker is one for all processes.
        }
        self.take_computed();
        self.take_accepted();
        self.accept_under_lock(events);
    }

    /// Whether nothing is left to do before the next event. With a full table the inbox is not
    /// looked at until a connection ends.
    fn may_sleep(&self) -> bool {
        let inbox = self.inbox.as_ref().filter(|_| self.has_room());
        inbox.is_none_or(Inbox::may_sleep)
            && self.unfinished.is_empty()
            && !(S::EDGE && self.listeners.accepting.has_more())
            && self.pool.as_ref().is_none_or(PoolClient::may_sleep)
    }

    /// Whether it may take on another connection: with connections waiting for the pool it may not.
    #[inline]
    fn has_room(&self) -> bool {
        !self.connections.is_full() && !self.is_pool_full()
    }

    fn is_done(&self) -> bool {
        self.draining
            && self.connections.is_empty()
            && self.listeners.accepting.is_done()
            && self.inbox.as_ref().is_none_or(Inbox::is_closed)
    }

    /// Takes on the sockets that another thread has accepted.
    #[inline(never)]
    fn take_accepted(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.awake();
        }
        while self.has_room() {
            let Some(socket) = self.inbox.as_mut().and_then(Inbox::take) else {
                return;
            };
            self.adopt(socket);
        }
    }

    /// Takes on a connection: the one `epoll_ctl` of its life, as long as it reads and writes.
    #[inline(always)]
    fn adopt(&mut self, socket: OwnedFd) {
        let connection = match self.pool {
            Some(_) => Connection::staged(socket, &mut self.worker),
            None => Connection::new(socket, &mut self.worker),
        };
        let token = self.connections.insert(Watched::new(connection));
        let Some(watched) = self.connections.get_mut(token) else {
            return;
        };
        let source = Source::Connection(token);
        // What came before it was watched is reported now, by selectors of changes too.
        let added = self
            .selector
            .add(&watched.connection, source, watched.interest);
        match added {
            Ok(()) => watched.arm(&mut self.wheel, token, self.server),
            Err(_) => drop(self.connections.remove(token)),
        }
    }

    /// The drain begins: empties the listeners, and brings every deadline forward.
    #[cold]
    #[inline(never)]
    fn on_drain(&mut self) {
        if !self.server.drain.has_begun() {
            return; // A selector that does not wait says that anything may be ready.
        }
        self.draining = true;
        self.selector.remove(&self.server.waker);
        self.listeners.accepting.drain();
        self.accept_waiting_rarely();
        for token in self.connections.tokens() {
            let need = self.connections.get_mut(token).map(|watched| watched.need);
            self.update_interest(token, need.unwrap_or(Need::Closed));
        }
    }
}
