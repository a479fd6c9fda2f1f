//! The loop itself.

use std::os::fd::OwnedFd;

use server::{Accepted, Backoff, Connection, Need, Server, Worker};

use crate::selector::{Events, ready};
use crate::{Inbox, Interest, Selector, Slots, Timer, Token, Wheel};

/// A readiness loop: everything one thread does for all its connections.
#[derive(Debug)]
pub struct Reactor {
    server: &'static Server,
    worker: Worker,
    selector: Selector,
    held: Slots<Held>,
    wheel: Wheel,
    /// Where its sockets come from besides doors.
    inbox: Option<Inbox>,
    doors: Doors,
    backoff: Backoff,
    draining: bool,
}

/// A connection and how the loop watches it.
#[derive(Debug)]
struct Held {
    connection: Connection,
    need: Need,
    interest: Interest,
    /// Its entry in the wheel.
    timer: Option<Timer>,
}

/// How the loop treats the server's doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doors {
    /// They are another's.
    None,
    Open,
    /// The table is full, resources are short, or the server drains: nobody looks.
    Shut,
}

/// Tokens above those of connections.
const BELL: u64 = u64::MAX;
const INBOX: u64 = u64::MAX - 1;
/// In the wheel: accept may be tried again.
const PAUSE_ENDS: u64 = u64::MAX - 2;
/// Door number 0, and upwards.
const DOOR: u64 = 1 << 63;

impl Reactor {
    /// A loop that accepts at the server's doors.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn at_doors(server: &'static Server, number: usize) -> anyhow::Result<Reactor> {
        server.make_doors_nonblocking()?;
        let mut reactor = Reactor::new(server, number, None)?;
        for (index, door) in server.doors.iter().enumerate() {
            reactor
                .selector
                .add(door, DOOR + index as u64, Interest::Read)?;
        }
        reactor.doors = Doors::Open;
        Ok(reactor)
    }

    /// A loop that is handed its sockets.
    ///
    /// # Errors
    /// Descriptors or memory have run out.
    pub fn behind(server: &'static Server, number: usize, inbox: Inbox) -> anyhow::Result<Reactor> {
        let reactor = Reactor::new(server, number, Some(inbox))?;
        if let Some(inbox) = &reactor.inbox {
            reactor.selector.add_bell(inbox.bell(), INBOX)?;
        }
        Ok(reactor)
    }

    fn new(
        server: &'static Server,
        number: usize,
        inbox: Option<Inbox>,
    ) -> anyhow::Result<Reactor> {
        let worker = Worker::ready(server, number);
        let selector = Selector::new()?;
        selector.add(&server.bell, BELL, Interest::Read)?;
        Ok(Reactor {
            server,
            selector,
            held: Slots::new(server.connections_max_each()),
            wheel: Wheel::new(worker.now),
            worker,
            inbox,
            doors: Doors::None,
            backoff: Backoff::new(server.limits.accept_pause_ms_max),
            draining: false,
        })
    }

    /// Serves until drained.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(self.server.limits.events_max);
        let mut due = Vec::new();
        while !self.is_done() {
            self.worker.tick();
            // With a full table the inbox is not looked at until a connection ends.
            let may_sleep = self.held.is_full() || self.inbox.as_ref().is_none_or(Inbox::may_sleep);
            let timeout = if may_sleep {
                self.wheel.timeout(self.worker.now)
            } else {
                Some(std::time::Duration::ZERO)
            };
            self.selector.wait(&mut events, timeout);
            self.worker.tick();
            // Before any event: what they add is placed from here on.
            self.wheel.advance(self.worker.now, &mut due);
            self.adopt_all();
            for event in &events {
                let ready = ready(event);
                match ready.token {
                    BELL => self.drain(),
                    INBOX => {}
                    door if door & DOOR != 0 => self.accept((door - DOOR) as usize),
                    number => self.serve(Token::from_number(number), ready.hung_up),
                }
            }
            for (number, tick) in due.drain(..) {
                match number {
                    PAUSE_ENDS => self.open_doors(),
                    number => self.expire(Token::from_number(number), tick),
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.draining && self.held.is_empty() && self.inbox.as_ref().is_none_or(Inbox::is_closed)
    }

    /// A connection is ready for what it needed.
    fn serve(&mut self, token: Token, hung_up: bool) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        let need = match held.need {
            // Nobody asked: the peer sends on while its reply waits, or is gone.
            Need::Time if hung_up => Need::Closed,
            Need::Time => {
                self.watch(token, Interest::Nothing);
                return;
            }
            _ => held.connection.step(&mut self.worker),
        };
        self.settle(token, need);
    }

    /// An entry of the wheel has come up: is it the connection's, and is it really due?
    fn expire(&mut self, token: Token, tick: u64) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        if !Timer::is_spent(&mut held.timer, tick) {
            return;
        }
        let need = if held.connection.deadline(self.server) <= self.worker.now {
            held.connection.expire(&mut self.worker)
        } else {
            held.need
        };
        self.settle(token, need);
    }

    /// Sees to it that the connection is called when `need` is there, or its deadline has passed.
    fn settle(&mut self, token: Token, need: Need) {
        if need == Need::Closed {
            self.held.remove(token);
            if self.doors == Doors::Shut {
                self.open_doors();
            }
            return;
        }
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        held.need = need;
        let interest = match need {
            Need::Readable => Interest::Read,
            Need::Writable => Interest::Write,
            Need::Time | Need::Compute | Need::Closed => held.interest,
        };
        let deadline = held.connection.deadline(self.server);
        self.wheel.cover(&mut held.timer, token.number(), deadline);
        if interest != held.interest {
            self.watch(token, interest);
        }
    }

    fn watch(&mut self, token: Token, interest: Interest) {
        let Some(held) = self.held.get_mut(token) else {
            return;
        };
        held.interest = interest;
        if self
            .selector
            .set(&held.connection, token.number(), interest)
            .is_err()
        {
            self.held.remove(token); // Out of kernel memory: it could never be woken again.
        }
    }

    /// Accepts what waits at a door, a batch at most.
    fn accept(&mut self, index: usize) {
        for _ in 0..self.server.limits.events_max {
            if self.held.is_full() {
                self.shut_doors();
                return;
            }
            match self.server.accept_ready(index, &mut self.backoff) {
                Accepted::Socket(socket) => self.adopt(socket),
                Accepted::Empty => return,
                Accepted::Interrupted => {}
                Accepted::Pause(pause) => {
                    self.shut_doors();
                    self.wheel.add(PAUSE_ENDS, self.worker.now + pause);
                    return;
                }
            }
        }
    }

    fn adopt_all(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.awake();
        }
        while !self.held.is_full() {
            let Some(socket) = self.inbox.as_mut().and_then(Inbox::take) else {
                return;
            };
            self.adopt(socket);
        }
    }

    /// Takes on a connection: the one `epoll_ctl` of its life, as long as it reads and writes.
    fn adopt(&mut self, socket: OwnedFd) {
        let connection = Connection::new(socket, &mut self.worker);
        let held = Held {
            connection,
            need: Need::Readable,
            interest: Interest::Read,
            timer: None,
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
        self.settle(token, Need::Readable);
    }

    fn shut_doors(&mut self) {
        if self.doors == Doors::Open {
            self.doors = Doors::Shut;
            self.server
                .doors
                .iter()
                .for_each(|door| self.selector.remove(door));
        }
    }

    fn open_doors(&mut self) {
        if self.doors != Doors::Shut || self.draining || self.held.is_full() {
            return;
        }
        self.doors = Doors::Open;
        for (index, door) in self.server.doors.iter().enumerate() {
            if self
                .selector
                .add(door, DOOR + index as u64, Interest::Read)
                .is_err()
            {
                self.shut_doors();
                self.wheel
                    .add(PAUSE_ENDS, self.worker.now + self.backoff.pause());
                return;
            }
        }
    }

    /// The bell has rung: take what still waits at the doors, then look at them no more, and bring
    /// every deadline forward.
    fn drain(&mut self) {
        self.draining = true;
        self.selector.remove(&self.server.bell);
        if self.doors != Doors::None {
            (0..self.server.doors.len()).for_each(|index| self.accept(index));
            self.shut_doors();
            self.doors = Doors::None;
            self.server.bolt_doors();
        }
        for token in self.held.tokens() {
            let need = self.held.get_mut(token).map(|held| held.need);
            self.settle(token, need.unwrap_or(Need::Closed));
        }
    }
}
