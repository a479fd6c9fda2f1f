//! A socket and its session: the one place every model passes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

use os::{Errno, net};
use proto::{Session, Want};

use crate::board::{self, Holding};
use crate::{Block, Phase, Server, Worker, watchdog};

pub(crate) mod completion;

/// What a connection needs before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Something to receive, by the deadline.
    Readable,
    /// Room to send, by the deadline.
    Writable,
    /// Nothing but the deadline's time.
    Time,
    /// [`Connection::compute`], in whatever worker computes. Only staged connections need it.
    Compute,
    /// To be dropped.
    Closed,
}

/// One accepted connection. `Send`: models that hand over work move it, never a copied request.
/// Dropping it closes the socket and counts it closed.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    session: Session,
    /// Where it is counted.
    home: &'static Block,
    opened: Instant,
    lingering: bool,
    /// See [`is_spent`](Connection::is_spent).
    spent: bool,
    /// See [`is_dry`](Connection::is_dry).
    dry: bool,
}

impl Connection {
    /// Takes on an accepted socket, to be computed where it is received.
    pub fn new(socket: OwnedFd, worker: &mut Worker) -> Connection {
        let protocol = worker.server.protocol;
        Connection::with(socket, worker, |turn| Session::new(protocol, turn))
    }

    /// Takes on an accepted socket for a model that computes elsewhere.
    pub fn staged(socket: OwnedFd, worker: &mut Worker) -> Connection {
        let protocol = worker.server.protocol;
        Connection::with(socket, worker, |turn| Session::staged(protocol, turn))
    }

    fn with(
        socket: OwnedFd,
        worker: &mut Worker,
        session: impl FnOnce(&proto::Turn<'_>) -> Session,
    ) -> Connection {
        worker.tick();
        board::add(&worker.block.connections, 1);
        if worker.blocking && worker.server.has_unix_listener() {
            // A unix socket has not inherited it. One that takes none is broken, and will say so.
            let _ = net::set_send_timeout(socket.as_fd(), worker.server.write_timeout());
        }
        let session = session(&worker.lend().1);
        Connection {
            socket,
            session,
            home: worker.block,
            opened: worker.now,
            lingering: false,
            spent: false,
            dry: false,
        }
    }

    /// When what it needs must have come, the drain considered; then call [`expire`](Self::expire).
    pub fn deadline(&self, server: &Server) -> Instant {
        let own = self.session.deadline();
        match server.drain.began() {
            None => own,
            Some(began) if self.session.is_idle() => own.min(self.idle_ends(server, began)),
            Some(began) => own.min(server.drain.grace_ends(began)),
        }
    }

    /// When a drain that began at `began` closes it as idle: whoever was accepted late has as long to
    /// ask as those who were here.
    fn idle_ends(&self, server: &Server, began: Instant) -> Instant {
        server.drain.idle_ends(began.max(self.opened))
    }

    /// Goes as far as it can, receiving at most once and that first, and says what it needs next.
    ///
    /// With a non-blocking socket this never waits. With a blocking one it waits in receive and
    /// send, at most until the deadline; so does the worker.
    pub fn step(&mut self, worker: &mut Worker) -> Need {
        let mut begun = false;
        self.spent = false;
        self.dry = false;
        loop {
            let went = match self.session.want() {
                Want::Read if begun => Err(Need::Readable),
                Want::Read => self.receive(worker),
                Want::Write => self.send(worker),
                Want::Compute => Err(Need::Compute),
                Want::Wait => Err(Need::Time),
                Want::Linger => self.linger(worker),
                Want::Close => Err(Need::Closed),
            };
            begun = true;
            if let Err(need) = went {
                worker.count();
                return need;
            }
        }
    }

    /// Whether the last step ended because a receive emptied the socket, or a send filled it: then
    /// only news from the kernel is worth another call. Whoever is told of changes, and not of
    /// states (an edge-triggered selector), must step again where this is false. A receive that did
    /// not fill its buffer has emptied the socket (epoll(7), question 9), but for a FIN that came
    /// with it.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Whether the last step found nothing to receive: neither bytes nor FIN.
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// Calls the service for the request in hand, and no more: whoever writes steps on.
    pub fn compute(&mut self, worker: &mut Worker) {
        let (_, mut turn) = worker.lend();
        self.session.compute(&mut turn);
        self.session.keep(worker.scratch_mut());
        worker.count();
    }

    /// Takes note that the deadline has passed, and goes on.
    pub fn expire(&mut self, worker: &mut Worker) -> Need {
        match worker.server.drain.phase() {
            Phase::Cutting => {
                // The drain may have cut and counted what a blocking worker holds already.
                if !worker.blocking || worker.block.cut(|_| {}) {
                    worker.server.count_cut();
                }
                return Need::Closed;
            }
            Phase::Closing if self.session.is_idle() && self.is_overdue(worker) => {
                return self.part(worker);
            }
            _ if worker.now < self.session.deadline() => {}
            _ => {
                let (_, mut turn) = worker.lend();
                self.session.expire(&mut turn);
            }
        }
        match self.session.want() {
            Want::Read => Need::Readable,
            _ => self.step(worker),
        }
    }

    /// Whether a drain has waited long enough for its last request. What a blocking worker holds is
    /// pressed on from outside, and it learns of that by being here.
    fn is_overdue(&self, worker: &Worker) -> bool {
        let began = worker.server.drain.began();
        worker.blocking
            || began.is_none_or(|began| worker.now >= self.idle_ends(worker.server, began))
    }

    /// Closes an idle connection for the drain, unless its last request has come meanwhile.
    fn part(&mut self, worker: &mut Worker) -> Need {
        match self.step(worker) {
            Need::Readable if self.session.is_idle() => Need::Closed,
            need => need,
        }
    }

    /// One receive, fed to the session.
    fn receive(&mut self, worker: &mut Worker) -> Result<(), Need> {
        let mut parting = false;
        if worker.blocking {
            self.watch(worker);
            if self.session.is_idle() {
                worker
                    .block
                    .announce(Holding::Idle, self.socket.as_raw_fd());
                // What has come is served, as on a connection out of the backlog; nothing is awaited.
                parting = worker.server.drain.phase() >= Phase::Closing;
            }
        }
        let received = if parting {
            net::receive_now(self.socket.as_fd(), worker.input())
        } else {
            net::receive(self.socket.as_fd(), worker.input())
        };
        if worker.blocking {
            watchdog::disarm(worker.block);
            worker
                .block
                .announce(Holding::Busy, self.socket.as_raw_fd());
            worker.tick();
        }
        match received {
            Ok(0) => {
                let (_, mut turn) = worker.lend();
                self.session.end(&mut turn);
                Ok(())
            }
            Ok(bytes) => {
                self.spent = bytes < worker.input().capacity();
                board::add(&worker.block.bytes_in, bytes as u64);
                let (input, mut turn) = worker.lend();
                self.session.receive(input, &mut turn);
                Ok(())
            }
            Err(Errno::AGAIN) if parting => Err(Need::Closed),
            Err(error @ (Errno::AGAIN | Errno::INTR)) => {
                self.dry = error == Errno::AGAIN;
                self.spent = self.dry;
                Err(Need::Readable)
            }
            Err(_) => Err(self.broken(worker)),
        }
    }

    /// Sends until nothing is left, the socket takes no more, or others should have their turn.
    fn send(&mut self, worker: &mut Worker) -> Result<(), Need> {
        let mut taken = 0;
        while self.session.want() == Want::Write {
            if taken >= worker.server.limits.turn_bytes_max {
                self.spent = false; // There may be room: nobody will report it.
                return Err(self.unsent(worker));
            }
            let output = self.session.output(worker.scratch());
            let offered = output.len();
            // A short reply waits once, which the socket's own timeout bounds. Where a send waits
            // for room again and again, that would begin anew each time (`unix_stream_sendmsg`).
            let long = worker.blocking && (taken > 0 || worker.is_much(offered));
            if long {
                self.watch(worker);
            }
            let sent = net::send(self.socket.as_fd(), output);
            if long {
                watchdog::disarm(worker.block);
            }
            match sent {
                Ok(bytes) => {
                    if long || (worker.blocking && bytes < offered) {
                        worker.tick();
                    }
                    taken += bytes;
                    board::add(&worker.block.bytes_out, bytes as u64);
                    let (_, mut turn) = worker.lend();
                    self.session.sent(bytes, &mut turn);
                    if bytes < offered && self.is_late(worker) {
                        return Err(self.unsent(worker));
                    }
                }
                Err(Errno::INTR) => {
                    worker.tick();
                    if self.is_late(worker) {
                        return Err(self.unsent(worker));
                    }
                }
                Err(Errno::AGAIN) => {
                    self.spent = true;
                    return Err(self.unsent(worker));
                }
                Err(_) => return Err(self.broken(worker)),
            }
        }
        Ok(())
    }

    /// Whether a send that waited has outlasted the deadline: another would have a new timeout.
    fn is_late(&self, worker: &Worker) -> bool {
        worker.blocking && worker.now >= self.deadline(worker.server)
    }

    fn unsent(&mut self, worker: &mut Worker) -> Need {
        self.session.keep(worker.scratch_mut());
        if worker.blocking {
            worker.tick();
        }
        Need::Writable
    }

    /// The peer has reset the connection, or the network has lost it.
    fn broken(&mut self, worker: &mut Worker) -> Need {
        board::add(&worker.block.broken, 1);
        worker.scratch_mut().discard_output();
        Need::Closed
    }

    /// Sends FIN once, then receives and drops what still comes.
    fn linger(&mut self, worker: &mut Worker) -> Result<(), Need> {
        if !self.lingering {
            self.lingering = true;
            if net::shutdown_write(self.socket.as_fd()).is_err() {
                return Err(Need::Closed);
            }
        }
        if worker.blocking {
            self.watch(worker);
        }
        let received = net::receive(self.socket.as_fd(), worker.input());
        if worker.blocking {
            watchdog::disarm(worker.block);
            worker.tick();
        }
        match received {
            Ok(0) => Err(Need::Closed),
            Ok(_) | Err(Errno::INTR) => Err(Need::Readable),
            Err(Errno::AGAIN) => {
                self.spent = true;
                Err(Need::Readable)
            }
            Err(_) => Err(Need::Closed),
        }
    }

    /// Has the call that follows interrupted when its deadline has passed.
    fn watch(&self, worker: &Worker) {
        let deadline = self.deadline(worker.server);
        let deadline_ns = worker.server.drain.shared_ns(deadline);
        watchdog::arm(worker.block, worker.alarm, deadline_ns);
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Unlike the other counters this one is written wherever the connection has moved to.
        self.home
            .closed
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
