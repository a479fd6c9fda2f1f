//! A handle set that several threads serve.
//!
//! Every handle is suspended from the moment a wait reports it until whoever serves it lets go of it,
//! so that no two threads serve one connection at once: Leader/Followers (POSA2) calls that
//! `deactivate_handle` and `reactivate_handle`. For a listener the kernel does it (`EPOLLONESHOT`), once
//! a batch of accepts. For a connection it would be a system call a request; so the set does it
//! itself. A connection is reported by its edges, and the wait counts what comes for one that is in
//! somebody's hand, and gives it to nobody. Whoever has served it lets go of it with one
//! compare-exchange, and asks the kernel only where something has come meanwhile, where something
//! may be left, or where the connection needs something else: the kernel then looks at it anew, and
//! it comes up behind all others, so that whoever has much keeps nobody waiting.
//!
//! Connections stay in their places; who has the lock of a place has the connection in hand. A warm
//! request takes that lock and no other.

mod deadlines;
mod listeners;
mod serve;
mod suspension;
mod table;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use os::net::Waker;
use parking_lot::Mutex;
use server::{Backoff, Connection, Need, Server, Worker};

use self::deadlines::Clockwork;
use self::listeners::Listeners;
use self::table::{Held, Table};
use crate::wheel::Ticks;
use crate::{Epoll, Events, Interest, Ready, Token, ready};

/// Something that is ready. A listener or a connection is suspended until it has been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// A listener, by its number.
    Listener(usize),
    /// A connection.
    Connection {
        /// Its name.
        token: Token,
        /// The peer has gone.
        hung_up: bool,
    },
    /// A connection whose deadline may have passed.
    Due {
        /// Its name.
        token: Token,
        /// When its entry in the wheel has come up.
        tick: u64,
    },
    /// Accept may be tried again.
    PauseEnds,
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
    clockwork: Mutex<Clockwork>,
    listeners: Mutex<Listeners>,
    /// The listeners are left alone until a connection ends or a pause does.
    shut: AtomicBool,
    /// Ends a wait, where a deadline has come to stand before the one it is for.
    nudge: Waker,
    /// Connections stop at every whole request, to be computed elsewhere.
    staged: bool,
    draining: AtomicBool,
}

const WAKER: u64 = u64::MAX;
const NUDGE: u64 = u64::MAX - 1;
const PAUSE_ENDS: u64 = u64::MAX - 2;
const LISTENER: u64 = 1 << 63;

impl Handles {
    /// A set that the server's listeners are in, too.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn at_listeners(server: &'static Server) -> anyhow::Result<Handles> {
        server.make_listeners_nonblocking()?;
        let handles = Handles::new(server, server.limits.connections_max, true)?;
        for (index, listener) in server.listeners.iter().enumerate() {
            let number = LISTENER + index as u64;
            handles.set.add_oneshot(listener, number)?;
        }
        Ok(handles)
    }

    /// A set of the connections that it is given, the share of worker `number` at most.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn without_listeners(server: &'static Server, number: usize) -> anyhow::Result<Handles> {
        let max = server.connections_max_of(number, server.workers);
        Handles::new(server, max, false)
    }

    fn new(server: &'static Server, max: usize, at_listeners: bool) -> anyhow::Result<Handles> {
        let (set, nudge, now) = (Epoll::new()?, Waker::new()?, Instant::now());
        set.add_waker(&nudge, NUDGE)?;
        set.add_oneshot(&server.waker, WAKER)?;
        Ok(Handles {
            server,
            set,
            table: Table::new(max),
            ticks: Ticks::from(now),
            clockwork: Mutex::new(Clockwork::new(now, max)),
            listeners: Mutex::new(Listeners::new(
                Backoff::new(server.limits.accept_pause_ms_max),
                at_listeners,
            )),
            shut: AtomicBool::new(false),
            nudge,
            staged: false,
            draining: AtomicBool::new(false),
        })
    }

    /// Makes its connections stop at every whole request; see [`serve`](Self::serve).
    #[must_use]
    pub fn staged(mut self) -> Handles {
        self.staged = true;
        self
    }

    /// Watches somebody's waker, too: it ends a wait. So does the end of a connection, if the set was
    /// full.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn watch_waker(&self, waker: &Waker) -> Result<(), os::Errno> {
        self.set.add_waker(waker, NUDGE)
    }

    /// Whether it has no room for another connection.
    pub fn is_full(&self) -> bool {
        self.clockwork.lock().is_full()
    }

    /// Whether the drain has begun, and nothing is left that could become ready.
    pub fn is_over(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
            && self.clockwork.lock().len() == 0
            && self.has_left_listeners()
    }

    /// Waits until a handle is ready or due, at most `timeout`, and adds all that are to `found`.
    /// One thread at a time.
    pub fn wait(
        &self,
        worker: &mut Worker,
        events: &mut Events,
        timeout: Option<Duration>,
        found: &mut impl Extend<Handle>,
    ) {
        worker.tick();
        let due = self.clockwork.lock().wait(worker.now);
        let timeout = match (due, timeout) {
            (Some(due), Some(timeout)) => Some(due.min(timeout)),
            (due, timeout) => due.or(timeout),
        };
        self.set.wait(events, timeout);
        worker.tick();
        let mut clockwork = self.clockwork.lock();
        let handles = events.iter().filter_map(|event| self.handle(ready(event)));
        found.extend(handles);
        found.extend(clockwork.waited(worker.now).map(|(number, tick)| {
            let token = Token::from_number(number);
            match number {
                PAUSE_ENDS => Handle::PauseEnds,
                _ => Handle::Due { token, tick },
            }
        }));
    }

    /// The handle that an event suspends. With the clockwork locked, generations stay.
    fn handle(&self, ready: Ready) -> Option<Handle> {
        match ready.token {
            WAKER => Some(Handle::Drain),
            NUDGE => None,
            listener if listener & LISTENER != 0 => {
                Some(Handle::Listener((listener - LISTENER) as usize))
            }
            number => {
                let token = Token::from_number(number);
                let place = self.table.place(token.index());
                let is_its = place.generation() == token.generation();
                // A FIN may stand behind data: a receive that came short has not seen it.
                let suspends = is_its && place.suspension.begin(ready.half_closed);
                suspends.then_some(Handle::Connection {
                    token,
                    hung_up: ready.hung_up,
                })
            }
        }
    }

    /// Takes on a connection: its place has it before its first event can come. Without room, which
    /// the caller has looked for, it is closed.
    pub fn adopt(&self, socket: OwnedFd, worker: &mut Worker) {
        let connection = match self.staged {
            true => Connection::staged(socket, worker),
            false => Connection::new(socket, worker),
        };
        let Some(token) = self.clockwork.lock().claim(&self.table) else {
            return;
        };
        let place = self.table.place(token.index());
        let mut guard = place.held.lock();
        let held = guard.insert(Held {
            connection,
            need: Need::Readable,
        });
        self.schedule(token, place, held);
        let number = token.number();
        let added = self.set.add_edge(&held.connection, number, Interest::Read);
        if added.is_err() {
            let gone = guard.take();
            drop((guard, gone));
            self.clockwork.lock().release(token, place);
        }
    }

    /// The drain begins: leave the listeners, and bring every deadline forward.
    fn drain(&self, worker: &mut Worker) {
        self.draining.store(true, Ordering::SeqCst);
        self.begin_leaving(worker);
        let tokens = self.clockwork.lock().tokens(&self.table);
        for token in tokens {
            let place = self.table.place(token.index());
            // What a thread has in hand is scheduled when it lets go, or at the next turn of the wheel.
            if let Some(guard) = place.held.try_lock()
                && let Some(held) = guard.as_ref()
            {
                self.schedule(token, place, held);
            }
        }
        self.end_wait_if_over();
    }

    /// Whoever waits, waits for nothing once it is over.
    fn end_wait_if_over(&self) {
        if self.is_over() {
            self.nudge.wake();
        }
    }
}
