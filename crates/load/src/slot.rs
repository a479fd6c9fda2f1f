//! The slots of a thread's connections: a slot outlives the sockets that are put into it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{SendFlags, send};

use crate::recorder::PendingRequest;
use crate::reply::Reader;

/// First pause after a connection without a reply; it doubles up to `BACKOFF_NS_MAX`.
const BACKOFF_NS_MIN: u64 = 1_000_000;

/// Longest pause before the next attempt, so that a dead server is not retried in a busy loop.
const BACKOFF_NS_MAX: u64 = 100_000_000;

/// What the socket of a slot is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no socket.
    #[default]
    Down,
    /// The connection is being established.
    Connecting,
    /// Requests can be sent.
    Open,
    /// Its only request is answered; the server has not closed yet.
    Closing,
}

/// A connection, or room for one.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    socket: Option<OwnedFd>,
    pub(crate) state: State,
    /// Tells the events of this socket from those of the one before it in the same batch.
    generation: u32,
    /// The socket is watched for room to write.
    pub(crate) blocked: bool,
    /// It is in the list of free slots.
    pub(crate) in_free_list: bool,
    /// Its client thinks: it is in the list of those that do.
    pub(crate) thinks: bool,
    /// The server has replied since it was opened.
    pub(crate) has_replied: bool,
    /// Bytes of requests in flight that are not written yet.
    pub(crate) unwritten_bytes: usize,
    /// Bytes of the current request that are written; in a mix, of `outgoing`.
    pub(crate) written_bytes: usize,
    /// The requests that are being written, in a mix.
    pub(crate) outgoing: Vec<u8>,
    /// Requests without a reply, oldest first.
    pub(crate) pending: VecDeque<PendingRequest>,
    pub(crate) reader: Reader,
    /// When the connection was started, or began to close.
    pub(crate) since_ns: u64,
    pub(crate) last_reply_ns: u64,
    /// It is not opened again before this.
    pub(crate) retry_ns: u64,
    backoff_ns: u64,
}

impl Slot {
    pub(crate) fn new(pipeline: usize) -> Self {
        Self {
            pending: VecDeque::with_capacity(pipeline),
            ..Self::default()
        }
    }

    /// The socket of a slot that is not down.
    #[inline]
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket
            .as_ref()
            .expect("only a slot that is down has no socket")
            .as_fd()
    }

    /// Takes a socket that is connected and has nothing in flight.
    pub(crate) fn adopt(&mut self, socket: OwnedFd) {
        self.socket = Some(socket);
        self.state = State::Open;
        self.has_replied = true;
    }

    /// Its socket, when nothing is in flight on it.
    pub(crate) fn into_idle(self) -> Option<OwnedFd> {
        let idle =
            self.state == State::Open && self.pending.is_empty() && self.unwritten_bytes == 0;
        self.socket.filter(|_| idle)
    }

    /// Takes a socket that is being connected.
    pub(crate) fn fill(&mut self, socket: OwnedFd) {
        self.socket = Some(socket);
        self.state = State::Connecting;
    }

    /// Closes the socket, which also removes it from epoll.
    pub(crate) fn empty(&mut self) {
        self.socket = None;
        self.state = State::Down;
        self.generation = self.generation.wrapping_add(1);
        self.blocked = false;
        self.unwritten_bytes = 0;
        self.written_bytes = 0;
        self.outgoing.clear();
        self.reader.reset();
    }

    /// The token of this socket in epoll.
    pub(crate) fn token(&self, index: usize) -> u64 {
        u64::from(self.generation) << 32 | index as u64
    }

    /// Whether an event is of this socket and not of one before it.
    #[inline]
    pub(crate) fn is_current(&self, token: u64) -> bool {
        u64::from(self.generation) == token >> 32 && self.state != State::Down
    }

    /// Writes the requests of a mix, as far as the socket takes them.
    pub(crate) fn write_outgoing(&mut self) -> Result<()> {
        while self.unwritten_bytes > 0 {
            let bytes = &self.outgoing[self.written_bytes..];
            match send(self.socket(), bytes, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.unwritten_bytes -= n;
                    self.written_bytes += n;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.outgoing.clear();
        self.written_bytes = 0;
        Ok(())
    }

    /// Decides when to connect again: at once if the lost connection had worked, else after a
    /// pause.
    pub(crate) fn back_off(&mut self, now_ns: u64) {
        if self.has_replied {
            self.backoff_ns = 0;
        } else {
            self.backoff_ns = (self.backoff_ns * 2).clamp(BACKOFF_NS_MIN, BACKOFF_NS_MAX);
        }
        self.has_replied = false;
        self.retry_ns = now_ns + self.backoff_ns;
    }
}
