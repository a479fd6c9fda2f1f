//! A socket and its session: the one place every model passes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use os::{Errno, net};
use proto::{Session, Want};

use crate::board::{self, Holding};
use crate::{Block, Phase, Server, Worker};

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
    /// The receive timeout that is set on the socket, for blocking workers; zero for none.
    armed: Duration,
    lingering: bool,
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
        let session = session(&worker.lend().1);
        Connection {
            socket,
            session,
            home: worker.block,
            armed: Duration::ZERO,
            lingering: false,
        }
    }

    /// When what it needs must have come, the drain considered; then call [`expire`](Self::expire).
    pub fn deadline(&self, server: &Server) -> Instant {
        let own = self.session.deadline();
        match server.drain.began() {
            None => own,
            Some(began) if self.session.is_idle() => own.min(server.drain.idle_ends(began)),
            Some(began) => own.min(server.drain.grace_ends(began)),
        }
    }

    /// Goes as far as it can, receiving at most once and that first, and says what it needs next.
    ///
    /// With a non-blocking socket this never waits. With a blocking one it waits in receive and
    /// send, at most until the deadline; so does the worker.
    pub fn step(&mut self, worker: &mut Worker) -> Need {
        let mut begun = false;
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
            Phase::Closing if self.session.is_idle() => return self.part(worker),
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
            self.arm(worker);
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
                board::add(&worker.block.bytes_in, bytes as u64);
                let (input, mut turn) = worker.lend();
                self.session.receive(input, &mut turn);
                Ok(())
            }
            Err(Errno::AGAIN) if parting => Err(Need::Closed),
            Err(Errno::AGAIN | Errno::INTR) => Err(Need::Readable),
            Err(_) => Err(self.broken(worker)),
        }
    }

    /// Sends until nothing is left, the socket takes no more, or others should have their turn.
    fn send(&mut self, worker: &mut Worker) -> Result<(), Need> {
        let mut taken = 0;
        while self.session.want() == Want::Write {
            if taken >= worker.server.limits.turn_bytes_max {
                return Err(self.unsent(worker));
            }
            match net::send(self.socket.as_fd(), self.session.output(worker.scratch())) {
                Ok(bytes) => {
                    if worker.blocking && taken > 0 {
                        worker.tick(); // This send may have waited long for the one before.
                    }
                    taken += bytes;
                    board::add(&worker.block.bytes_out, bytes as u64);
                    let (_, mut turn) = worker.lend();
                    self.session.sent(bytes, &mut turn);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(self.unsent(worker)),
                Err(_) => return Err(self.broken(worker)),
            }
        }
        Ok(())
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
            self.arm(worker);
        }
        let received = net::receive(self.socket.as_fd(), worker.input());
        if worker.blocking {
            worker.tick();
        }
        match received {
            Ok(0) => Err(Need::Closed),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => Err(Need::Readable),
            Err(_) => Err(Need::Closed),
        }
    }

    /// Sets the receive timeout where the one in force would last beyond the deadline. A shorter
    /// one stays: an early return only looks at the clock. So a warm connection never pays for it.
    fn arm(&mut self, worker: &Worker) {
        let deadline = self.deadline(worker.server);
        if !self.armed.is_zero() && worker.now + self.armed <= deadline {
            return;
        }
        let left = deadline.saturating_duration_since(worker.now).max(SHORTEST);
        if self.armed.is_zero() || self.armed > left {
            // A socket that takes no timeout is broken, and the receive will say so.
            let _ = net::set_receive_timeout(self.socket.as_fd(), left);
            if self.armed.is_zero() && worker.server.has_unix_door() {
                let _ = net::set_send_timeout(self.socket.as_fd(), worker.server.write_timeout());
            }
            self.armed = left;
        }
    }
}

/// Zero would mean "for ever" to the kernel.
const SHORTEST: Duration = Duration::from_millis(1);

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
