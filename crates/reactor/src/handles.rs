//! A handle set that several threads serve.
//!
//! A handle is suspended from the moment a wait reports it until the thread that serves it has done
//! so, so that no two threads serve one connection at once: Leader/Followers (POSA2) calls that
//! `deactivate_handle` and `reactivate_handle`. The kernel does it for a listener (`EPOLLONESHOT`),
//! once per batch of accepts. For a connection it would be a system call per request, so the set
//! does it itself. The kernel reports a connection whenever it changes, and the wait counts the
//! events of a connection that a thread serves and gives it to no other. The thread that has served
//! it ends the suspension with one compare-exchange. It makes a system call only if another event
//! was counted, if the connection may have more to receive, or if it needs something else: the
//! kernel then looks at the socket again, and reports it behind all others, so that a connection
//! with much to do keeps no other waiting.
//!
//! Connections stay in their slots; the thread that holds the lock of a slot serves its connection.
//! A warm request takes that lock and no other.

mod accept;
mod deadlines;
mod serve;
mod suspension;
mod table;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use os::net::Waker;
use parking_lot::Mutex;
use server::{Accepting, Connection, Need, Next, Phase, Server, Worker};

use self::deadlines::Deadlines;
use self::table::{Open, Table};
use crate::wheel::Ticks;
use crate::{Epoll, Events, Interest, Ready, Source, Token, ready};

/// Something that is ready. A listener or a connection is suspended until it has been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// A listener, by its number.
    Listener(usize),
    /// A connection.
    Connection {
        /// Its name.
        token: Token,
        /// The peer has closed both directions, or the connection is broken.
        hung_up: bool,
    },
    /// A connection whose deadline may have passed.
    Deadline {
        /// Its name.
        token: Token,
        /// When its entry in the wheel has fired.
        tick: u64,
    },
    /// A pause in accepting is over.
    PauseOver,
    /// The drain begins.
    Drain,
}

/// The handle set.
#[derive(Debug)]
pub struct Handles {
    server: &'static Server,
    set: Epoll,
    table: Table,
    ticks: Ticks,
    deadlines: Mutex<Deadlines>,
    accepting: Mutex<Accepting>,
    /// The listeners are left alone until a connection ends, or a pause does.
    waits_for_an_end: AtomicBool,
    /// Ends a wait when a deadline is added that passes before the wait would end.
    waker: Waker,
    /// Connections stop at every complete request, to be computed elsewhere.
    staged: bool,
    draining: AtomicBool,
}

impl Handles {
    /// A set that the server's listeners are in, too.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn at_listeners(server: &'static Server) -> server::Result<Handles> {
        server.make_listeners_nonblocking()?;
        let mut accepting = Accepting::new(server, 0, server.limits.events_max);
        let set = Epoll::new()?;
        while let Next::Watch(index) = accepting.next(true, Phase::Serving) {
            set.add_oneshot(&server.listeners[index], Source::Listener(index))?;
        }
        Handles::new(server, server.limits.connections_max, set, accepting)
    }

    /// A set of the connections that it is given, the share of worker `number` at most.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn without_listeners(server: &'static Server, number: usize) -> server::Result<Handles> {
        let max = server.connections_max_of(number, server.workers);
        Handles::new(server, max, Epoll::new()?, Accepting::nowhere())
    }

    fn new(
        server: &'static Server,
        max: usize,
        set: Epoll,
        accepting: Accepting,
    ) -> server::Result<Handles> {
        let (waker, now) = (Waker::new()?, Instant::now());
        set.add_waker(&waker, Source::Wake)?;
        set.add_oneshot(&server.waker, Source::Drain)?;
        Ok(Handles {
            server,
            set,
            table: Table::new(max),
            ticks: Ticks::from(now),
            deadlines: Mutex::new(Deadlines::new(now, max)),
            accepting: Mutex::new(accepting),
            waits_for_an_end: AtomicBool::new(false),
            waker,
            staged: false,
            draining: AtomicBool::new(false),
        })
    }

    /// Makes its connections stop at every complete request; see [`serve`](Self::serve).
    #[must_use]
    pub fn staged(mut self) -> Handles {
        self.staged = true;
        self
    }

    /// Watches another waker, too: it ends a wait. So does the end of a connection, if the set was
    /// full.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn watch_waker(&self, waker: &Waker) -> Result<(), os::Errno> {
        self.set.add_waker(waker, Source::Wake)
    }

    /// Whether it has no room for another connection.
    pub fn is_full(&self) -> bool {
        self.deadlines.lock().is_full()
    }

    /// Whether the drain has begun, and nothing is left that could become ready.
    pub fn is_over(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
            && self.deadlines.lock().len() == 0
            && self.accepting.lock().is_done()
    }

    /// Waits until a handle is ready or a deadline passes, at most `timeout`, and adds all that are
    /// to be served to `found`. One thread at a time.
    #[inline(always)]
    pub fn wait(
        &self,
        worker: &mut Worker,
        events: &mut Events,
        timeout: Option<Duration>,
        found: &mut impl Extend<Handle>,
    ) {
        worker.tick();
        let next = self.deadlines.lock().begin_wait(worker.now);
        let timeout = match (next, timeout) {
            (Some(next), Some(timeout)) => Some(next.min(timeout)),
            (next, timeout) => next.or(timeout),
        };
        self.set.wait(events, timeout);
        worker.tick();
        let mut deadlines = self.deadlines.lock();
        found.extend(events.iter().filter_map(|event| self.suspend(ready(event))));
        let fired = deadlines.end_wait(worker.now);
        found.extend(fired.filter_map(|(source, tick)| match source {
            Source::Connection(token) => Some(Handle::Deadline { token, tick }),
            Source::AcceptPause => Some(Handle::PauseOver),
            Source::Listener(_) | Source::Drain | Source::Wake => None,
        }));
    }

    /// The handle that an event suspends. With the deadlines locked, generations stay.
    fn suspend(&self, ready: Ready) -> Option<Handle> {
        match ready.source {
            Source::Connection(token) => {
                let slot = self.table.slot(token.index());
                let is_its = slot.generation() == token.generation();
                // A FIN may stand behind data: a receive that came short has not seen it.
                let suspends = is_its && slot.suspension.count_event(ready.half_closed);
                suspends.then_some(Handle::Connection {
                    token,
                    hung_up: ready.hung_up,
                })
            }
            Source::Listener(index) => Some(Handle::Listener(index)),
            Source::Drain => Some(Handle::Drain),
            Source::Wake | Source::AcceptPause => None,
        }
    }

    /// Takes on a connection: its slot has it before its first event can come. Without room, which
    /// the caller has looked for, it is closed.
    pub fn adopt(&self, socket: OwnedFd, worker: &mut Worker) {
        let connection = match self.staged {
            true => Connection::staged(socket, worker),
            false => Connection::new(socket, worker),
        };
        let Some(token) = self.deadlines.lock().claim(&self.table) else {
            return;
        };
        let slot = self.table.slot(token.index());
        let mut guard = slot.open.lock();
        let need = Need::Readable;
        let connection = &guard.insert(Open { connection, need }).connection;
        self.schedule(token, slot, connection);
        let source = Source::Connection(token);
        let added = self.set.add_edge(connection, source, Interest::Read);
        if added.is_err() {
            let closed = guard.take();
            drop((guard, closed));
            self.deadlines.lock().release(token, slot);
        }
    }

    /// The drain begins: empties the listeners, and brings every deadline forward.
    fn on_drain(&self, worker: &mut Worker) {
        self.draining.store(true, Ordering::SeqCst);
        self.update_listeners(worker, Accepting::drain);
        let tokens = self.deadlines.lock().tokens(&self.table);
        for token in tokens {
            let slot = self.table.slot(token.index());
            // A connection that a thread serves is scheduled after that, or at the next turn of the
            // wheel.
            if let Some(guard) = slot.open.try_lock()
                && let Some(open) = guard.as_ref()
            {
                self.schedule(token, slot, &open.connection);
            }
        }
        self.end_wait_if_over();
    }

    /// A thread that waits once all is over would wait for ever.
    fn end_wait_if_over(&self) {
        if self.is_over() {
            self.waker.wake();
        }
    }
}
