//! An accepted connection: a socket, and the state of the protocol on it ([`Session`]). Every model
//! serves its clients through this type.
//!
//! A [`step`](Connection::step) does what the session wants, as long as this is possible without
//! waiting. Then it returns what the connection [`Need`]s before its next step:
//!
//! ```text
//!   the session wants    the step                           it returns
//!   Read                 receives, at most once per step    Readable, before it would receive again
//!   Write                sends until all output is sent     Writable, if the socket is full before
//!   Compute, Wait        -                                  Compute, Time
//!   Compute, unstaged    calls the service, which waits     -
//!   Linger               sends FIN, receives, and drops     Readable
//!   Close                -                                  Closed
//! ```
//!
//! On a non-blocking socket a step never waits. On a blocking one it waits inside its system calls, and
//! the [`watchdog`] interrupts them at the connection's deadline.
//!
//! A step is inlined into the loop that calls it, so that wait, receive and send are calls of one frame:
//! on processors that guard return addresses, a `ret` is slow if its `call` was made before a system
//! call (ARCHITECTURE.md, "The frame that loops makes the system calls"). What a request does between
//! two system calls is a function; what is rare is `#[cold]` and out of line.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

use os::net::{PollFd, PollFlags};
use os::{Errno, net};
use proto::{Session, Want};

use crate::addresses::Counted;
use crate::board::{self, Activity};
use crate::{Block, Phase, Server, Worker, watchdog};

mod asynchronous;
pub(crate) mod completion;
mod expire;
mod open;
pub(crate) mod passing;

/// What a connection needs before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Bytes to receive, by the deadline.
    Readable,
    /// Room to send, by the deadline.
    Writable,
    /// The time of the deadline, and nothing else.
    Time,
    /// A call of [`Connection::compute`], in any worker. Only staged connections need this.
    Compute,
    /// To be closed, that is dropped.
    Closed,
}

/// An accepted connection. Models that hand a request to another worker move the whole connection.
/// Dropping it closes the socket, and counts it as closed.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    session: Session,
    /// The worker that has accepted it, and counts it.
    block: &'static Block,
    accepted: Instant,
    /// When its last request was complete, if another worker computes it.
    queued: Instant,
    fin_sent: bool,
    /// See [`would_block`](Connection::would_block).
    would_block: bool,
    /// See [`received_nothing`](Connection::received_nothing).
    received_nothing: bool,
    /// It counts for the address of its peer as long as it lives.
    _counted: Option<Box<Counted>>,
}

impl Connection {
    /// By when the connection must have got what it needs; after that, call [`expire`](Self::expire).
    /// It is the session's deadline, or that of a drain if that is earlier.
    #[inline]
    pub fn deadline(&self, server: &Server) -> Instant {
        let own = self.session.deadline();
        match server.drain.began() {
            None => own,
            Some(began) if self.session.is_idle() => own.min(self.idle_ends(server, began)),
            Some(began) => own.min(server.drain.grace_ends(began)),
        }
    }

    /// When a drain that began at `began` closes this connection if it is idle. A connection that was
    /// accepted during the drain has as much time for its request as those before it.
    fn idle_ends(&self, server: &Server, began: Instant) -> Instant {
        server.drain.idle_ends(began.max(self.accepted))
    }

    /// Does what the session wants as far as possible, and returns what the connection needs next. It
    /// receives at most once, and only as the first thing. Its socket and its worker do not block.
    #[inline(always)]
    pub fn step(&mut self, worker: &mut Worker) -> Need {
        self.advance::<false>(worker)
    }

    /// The same for a socket and a worker that wait inside their system calls.
    #[inline(always)]
    pub(crate) fn step_blocking(&mut self, worker: &mut Worker) -> Need {
        self.advance::<true>(worker)
    }

    /// The same out of line, where no loop is: for what happens once per connection, or less.
    #[cold]
    #[inline(never)]
    pub fn step_rarely(&mut self, worker: &mut Worker) -> Need {
        match worker.blocking {
            true => self.advance::<true>(worker),
            false => self.advance::<false>(worker),
        }
    }

    #[inline(always)]
    fn advance<const BLOCKING: bool>(&mut self, worker: &mut Worker) -> Need {
        let mut is_first = true;
        self.would_block = false;
        self.received_nothing = false;
        loop {
            // Err: the step ends, and this is what the connection needs.
            let done = match self.session.want() {
                Want::Read if !is_first => Err(Need::Readable),
                Want::Read => self.receive::<BLOCKING>(worker),
                Want::Write => self.send::<BLOCKING>(worker),
                Want::Compute if !self.session.is_staged() => {
                    self.compute_here(worker);
                    Ok(())
                }
                Want::Compute => {
                    self.queued = worker.waits_since();
                    Err(Need::Compute)
                }
                Want::Wait => Err(Need::Time),
                Want::Linger => self.linger(worker),
                Want::Close => Err(Need::Closed),
            };
            is_first = false;
            if let Err(need) = done {
                worker.count();
                return need;
            }
        }
    }

    /// Whether the last step ended because the socket had no more bytes, or no more room: another step
    /// is of use only after the kernel has reported an event.
    ///
    /// If this is false, a model that is told of changes only (an edge-triggered selector) must step
    /// again without waiting. A receive that did not fill its buffer counts as having emptied the socket
    /// (`epoll(7)`, question 9), although a FIN may have arrived with the bytes.
    pub fn would_block(&self) -> bool {
        self.would_block
    }

    /// Whether it waits for nothing but its reply; see [`Session::awaits_reply`].
    pub(crate) fn awaits_reply(&self) -> bool {
        self.session.awaits_reply()
    }

    /// Whether the last step found neither bytes nor a FIN to receive.
    pub fn received_nothing(&self) -> bool {
        self.received_nothing
    }

    /// Calls the service for the request that was received. The next step sends the reply.
    pub fn compute(&mut self, worker: &mut Worker) {
        worker.look_at_queued(self.queued, &mut self.session);
        let (_, mut turn) = worker.turn();
        self.session.compute(&mut turn);
        // A call that has received has read the clock.
        worker.now = turn.now;
        self.session.keep_output(worker.scratch_mut());
        worker.count();
    }

    /// Calls the service for a request whose body it receives, where the worker may wait.
    #[cold]
    #[inline(never)]
    fn compute_here(&mut self, worker: &mut Worker) {
        let (_, mut turn) = worker.turn();
        self.session.compute(&mut turn);
        worker.now = turn.now;
        // What has come during the call may be unread.
        self.would_block = false;
    }

    /// Receives once, and gives the bytes to the session.
    #[inline(always)]
    fn receive<const BLOCKING: bool>(&mut self, worker: &mut Worker) -> Result<(), Need> {
        let mut only_what_has_arrived = false;
        if BLOCKING {
            self.arm_watchdog(worker);
            if self.session.is_idle() {
                let fd = self.socket.as_raw_fd();
                worker.block.announce(Activity::Idle, fd);
                // Only now: see `announce`. A drain that closes idle connections still serves a request
                // that has arrived, but does not wait for one.
                only_what_has_arrived = worker.server.drain.phase() >= Phase::Closing;
            }
        }
        let received = if only_what_has_arrived {
            net::receive_now(self.socket.as_fd(), worker.input())
        } else {
            net::receive(self.socket.as_fd(), worker.input())
        };
        if BLOCKING {
            watchdog::disarm(worker.block);
            let fd = self.socket.as_raw_fd();
            worker.block.announce(Activity::Busy, fd);
            worker.tick();
        }
        match received {
            Ok(0) => {
                self.peer_closed(worker);
                Ok(())
            }
            Ok(bytes) => {
                self.would_block = bytes < worker.input().capacity();
                board::add(&worker.block.bytes_in, bytes as u64);
                if worker.is_look_due() {
                    worker.look(self.socket.as_fd(), &mut self.session);
                }
                let (input, mut turn) = worker.turn();
                self.session.receive(input, &mut turn);
                Ok(())
            }
            Err(Errno::AGAIN) if only_what_has_arrived => Err(Need::Closed),
            // EINTR: the watchdog or the drain. The caller checks the deadline.
            Err(error @ (Errno::AGAIN | Errno::INTR)) => {
                self.received_nothing = error == Errno::AGAIN;
                self.would_block = self.received_nothing;
                Err(Need::Readable)
            }
            Err(_) => Err(self.broken(worker)),
        }
    }

    /// Sends until the session has no more output, the socket takes no more, or so much was sent that
    /// other connections must be served first.
    #[inline(always)]
    fn send<const BLOCKING: bool>(&mut self, worker: &mut Worker) -> Result<(), Need> {
        let mut sent_bytes = 0;
        while self.session.want() == Want::Write {
            if sent_bytes >= worker.server.limits.turn_bytes_max {
                // There may be room in the socket, so the kernel may report no event.
                self.would_block = false;
                return Err(self.wait_for_room(worker));
            }
            let output = self.session.output(worker.scratch());
            let offered = output.len();
            // A short reply waits at most once, and SO_SNDTIMEO bounds that wait. A long one may wait
            // many times, each time with the full timeout, so the watchdog bounds all waits together.
            let is_long = BLOCKING && (sent_bytes > 0 || worker.is_long(offered));
            if is_long {
                self.arm_watchdog(worker);
            }
            let sent = net::send(self.socket.as_fd(), output);
            if is_long {
                watchdog::disarm(worker.block);
            }
            match sent {
                Ok(bytes) => {
                    if is_long || (BLOCKING && bytes < offered) {
                        worker.tick();
                    }
                    sent_bytes += bytes;
                    board::add(&worker.block.bytes_out, bytes as u64);
                    let (_, mut turn) = worker.turn();
                    self.session.sent(bytes, &mut turn);
                    if bytes < offered && BLOCKING && !self.gets_room(worker) {
                        return Err(self.wait_for_room(worker));
                    }
                }
                Err(Errno::INTR) => {
                    worker.tick();
                    if BLOCKING && !self.gets_room(worker) {
                        return Err(self.wait_for_room(worker));
                    }
                }
                Err(Errno::AGAIN) => {
                    self.would_block = true;
                    return Err(self.wait_for_room(worker));
                }
                Err(_) => return Err(self.broken(worker)),
            }
        }
        Ok(())
    }

    /// Waits until the peer has taken some of what was sent. False: it has not by the deadline.
    ///
    /// A signal has interrupted the send. Every further call would put a little more into the socket than it
    /// has room for, which would pass for progress.
    #[cold]
    #[inline(never)]
    fn gets_room(&self, worker: &mut Worker) -> bool {
        loop {
            let deadline = self.deadline(worker.server);
            let left = deadline.saturating_duration_since(worker.now);
            if left.is_zero() {
                return false;
            }
            let waited = net::poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(left));
            worker.tick();
            if matches!(waited, Ok(1..)) {
                return true;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn peer_closed(&mut self, worker: &mut Worker) {
        let (_, mut turn) = worker.turn();
        self.session.receive_fin(&mut turn);
    }

    /// The output stays with the connection: the buffers of the worker are for the next one.
    #[cold]
    #[inline(never)]
    fn wait_for_room(&mut self, worker: &mut Worker) -> Need {
        self.session.keep_output(worker.scratch_mut());
        if worker.blocking {
            worker.tick();
        }
        Need::Writable
    }

    /// The peer has reset the connection, or the network has lost it.
    #[cold]
    #[inline(never)]
    fn broken(&mut self, worker: &mut Worker) -> Need {
        board::add(&worker.block.broken, 1);
        worker.scratch_mut().discard_output();
        Need::Closed
    }

    /// Sends FIN if that was not done yet, then receives once and drops the bytes.
    #[cold]
    #[inline(never)]
    fn linger(&mut self, worker: &mut Worker) -> Result<(), Need> {
        if !self.half_close() {
            return Err(Need::Closed);
        }
        if worker.blocking {
            self.arm_watchdog(worker);
        }
        let received = net::receive(self.socket.as_fd(), worker.input());
        if worker.blocking {
            watchdog::disarm(worker.block);
            worker.tick();
        }
        match received {
            Ok(1..) | Err(Errno::INTR) => Err(Need::Readable),
            Err(Errno::AGAIN) => {
                self.would_block = true;
                Err(Need::Readable)
            }
            Ok(0) | Err(_) => Err(Need::Closed),
        }
    }

    /// Sends FIN, the first time it is called; receiving goes on. False: the connection is closed.
    pub fn half_close(&mut self) -> bool {
        let was_sent = std::mem::replace(&mut self.fin_sent, true);
        was_sent || net::shutdown_write(self.socket.as_fd()).is_ok()
    }

    /// Has the watchdog interrupt the following call if it blocks beyond the deadline.
    #[inline(always)]
    fn arm_watchdog(&self, worker: &Worker) {
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
        if self.session.is_aborted() {
            // An error means that the socket is broken already.
            let _ = net::reset_on_close(self.socket.as_fd());
        }
        // Several workers may write this counter, since connections are moved between them.
        self.block.closed.fetch_add(1, Ordering::Relaxed);
    }
}
