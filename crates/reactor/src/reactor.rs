//! The loop itself.

pub(crate) mod connections;
pub(crate) mod listeners;

use std::os::fd::OwnedFd;

use server::{Backoff, Connection, Need, Server, Worker};

use crate::edge::News;
use crate::pool::Stage;
use crate::reactor::connections::Held;
use crate::reactor::listeners::{Listeners, Sharing};
use crate::{Epoll, Inbox, Interest, Selector, Slots, Token, Wheel};

/// A readiness loop: everything one thread does for all its connections.
#[derive(Debug)]
pub struct Reactor<S: Selector = Epoll> {
    pub(crate) server: &'static Server,
    pub(crate) worker: Worker,
    pub(crate) selector: S,
    pub(crate) held: Slots<Held>,
    pub(crate) wheel: Wheel,
    /// Where its sockets come from besides listeners.
    inbox: Option<Inbox>,
    pub(crate) listeners: Listeners,
    pub(crate) sharing: Sharing,
    /// Connections accepted at shared listeners.
    pub(crate) taken: u32,
    pub(crate) backoff: Backoff,
    pub(crate) draining: bool,
    /// Numbers of those that have more to do than their turn allowed, where changes are reported
    /// and not states.
    pub(crate) again: Vec<u64>,
    /// The selector takes fewer than the table may, and nobody was told yet.
    pub(crate) bound: bool,
    /// Where requests are computed, if not here.
    pub(crate) stage: Option<Stage>,
}

/// Tokens above those of connections.
const WAKER: u64 = u64::MAX;
pub(crate) const INBOX: u64 = u64::MAX - 1;
/// In the wheel: accept may be tried again.
pub(crate) const PAUSE_ENDS: u64 = u64::MAX - 2;
/// Listener number 0, and upwards.
pub(crate) const LISTENER: u64 = 1 << 63;

impl Reactor {
    /// A loop that is handed its sockets.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn behind(server: &'static Server, number: usize, inbox: Inbox) -> anyhow::Result<Reactor> {
        let reactor = Reactor::<Epoll>::new(server, number, Some(inbox))?;
        if let Some(inbox) = &reactor.inbox {
            reactor.selector.add_waker(inbox.waker(), INBOX)?;
        }
        Ok(reactor)
    }
}

impl<S: Selector> Reactor<S> {
    /// A loop that accepts at the server's listeners.
    ///
    /// # Errors
    /// Descriptors or memory have run out, or the selector cannot watch a listener.
    pub fn at_listeners(server: &'static Server, number: usize) -> anyhow::Result<Reactor<S>> {
        Reactor::watching(server, number, S::empty()?, Sharing::Nothing)
    }

    /// The same with a selector that has been made.
    ///
    /// # Errors
    /// Like [`at_listeners`](Self::at_listeners).
    pub fn at_listeners_with(
        server: &'static Server,
        number: usize,
        selector: S,
    ) -> anyhow::Result<Reactor<S>> {
        Reactor::watching(server, number, selector, Sharing::Nothing)
    }

    /// A loop that accepts at listeners where others accept as well.
    ///
    /// # Errors
    /// Like [`at_listeners`](Self::at_listeners).
    pub fn sharing_listeners(
        server: &'static Server,
        number: usize,
        sharing: Sharing,
    ) -> anyhow::Result<Reactor<S>> {
        Reactor::watching(server, number, S::empty()?, sharing)
    }

    fn watching(
        server: &'static Server,
        number: usize,
        selector: S,
        sharing: Sharing,
    ) -> anyhow::Result<Reactor<S>> {
        server.make_listeners_nonblocking()?;
        let mut reactor = Reactor::<S>::with(server, number, None, selector)?;
        reactor.sharing = sharing;
        reactor.first_look()?;
        Ok(reactor)
    }

    fn new(
        server: &'static Server,
        number: usize,
        inbox: Option<Inbox>,
    ) -> anyhow::Result<Reactor<S>> {
        Reactor::with(server, number, inbox, S::empty()?)
    }

    fn with(
        server: &'static Server,
        number: usize,
        inbox: Option<Inbox>,
        mut selector: S,
    ) -> anyhow::Result<Reactor<S>> {
        let worker = Worker::ready(server, number);
        selector.add(&server.waker, WAKER, Interest::Read)?;
        let max = server.connections_max_of(number, server.workers);
        let room = selector.room();
        Ok(Reactor {
            server,
            selector,
            held: Slots::new(room.map_or(max, |room| room.min(max))),
            wheel: Wheel::new(worker.now),
            worker,
            inbox,
            listeners: Listeners::None,
            sharing: Sharing::Nothing,
            taken: 0,
            backoff: Backoff::new(server.limits.accept_pause_ms_max),
            draining: false,
            again: Vec::new(),
            bound: room.is_some_and(|room| room < max),
            stage: None,
        })
    }

    /// Serves until drained.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(self.server.limits.events_max);
        let (mut due, mut turns) = (Vec::new(), Vec::new());
        while !self.is_done() {
            self.worker.tick();
            if let Some(stage) = &self.stage {
                stage.wake();
            }
            let timeout = if self.may_sleep() {
                self.wheel.timeout(self.worker.now)
            } else {
                Some(std::time::Duration::ZERO)
            };
            let timeout = self.compete(timeout);
            self.selector.wait(&mut events, timeout);
            self.worker.tick();
            // Before any event: what they add is placed from here on.
            self.wheel.advance(self.worker.now, &mut due);
            self.take_back();
            self.adopt_all();
            self.accept_first(&events);
            for event in &events {
                let ready = S::ready(event);
                match ready.token {
                    WAKER if self.server.drain.has_begun() => self.drain(),
                    WAKER | INBOX => {}
                    listener if listener & LISTENER != 0 => self.look(listener),
                    number => self.serve(Token::from_number(number), ready),
                }
            }
            if S::EDGE {
                self.take_turns(&mut turns);
            }
            for (number, tick) in due.drain(..) {
                match number {
                    PAUSE_ENDS => self.open_listeners(),
                    number => self.expire(Token::from_number(number), tick),
                }
            }
        }
    }

    /// Whether nothing is left to do before the next event. With a full table the inbox is not looked
    /// at until a connection ends.
    fn may_sleep(&self) -> bool {
        let wants_none = self.held.is_full() || self.is_backed_up();
        let none_come = wants_none || self.inbox.as_ref().is_none_or(Inbox::may_sleep);
        none_come && self.again.is_empty() && self.stage.as_ref().is_none_or(Stage::may_sleep)
    }

    fn is_done(&self) -> bool {
        self.draining
            && self.held.is_empty()
            && self.listeners == Listeners::None
            && self.inbox.as_ref().is_none_or(Inbox::is_closed)
    }

    fn adopt_all(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.awake();
        }
        while !self.held.is_full() && !self.is_backed_up() {
            let Some(socket) = self.inbox.as_mut().and_then(Inbox::take) else {
                return;
            };
            self.adopt(socket);
        }
    }

    /// Takes on a connection: the one `epoll_ctl` of its life, as long as it reads and writes.
    pub(crate) fn adopt(&mut self, socket: OwnedFd) {
        let connection = match self.stage {
            Some(_) => Connection::staged(socket, &mut self.worker),
            None => Connection::new(socket, &mut self.worker),
        };
        let held = Held {
            connection,
            need: Need::Readable,
            interest: Interest::Read,
            timer: None,
            news: News::default(),
        };
        let token = self.held.insert(held);
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if self
            .selector
            .add(&held.connection, token.number(), Interest::Read)
            .is_err()
        {
            self.held.remove(token);
            return;
        }
        // What came before it was watched is reported now, by selectors of changes too.
        held.cover(&mut self.wheel, token, self.server);
    }

    /// The drain begins: leave the listeners, and bring every deadline forward.
    fn drain(&mut self) {
        self.draining = true;
        self.selector.remove(&self.server.waker);
        if self.listeners != Listeners::None {
            self.leave_listeners();
        }
        for token in self.held.tokens() {
            let need = self.held.get_mut(token).map(|held| held.need);
            self.settle(token, need.unwrap_or(Need::Closed));
        }
    }
}
