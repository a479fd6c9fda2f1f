//! A request body that is received inside the call of the service, by who may wait there.
//!
//! The session gives the state of the body away for the time of the call, and takes it back after it: what
//! was received behind the body belongs to the next request. Bytes, waits and the time come from the driver,
//! through a [`Transport`].

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Limits;
use crate::chunked::{Chunked, Decoded};

/// How a driver receives and sends in the middle of a call, on the socket that it has named by
/// [`set_look_up`](crate::Session::set_look_up). Its calls wait.
pub trait Transport: Sync {
    /// Receives into `buffer`, in the place of what it has and at most its capacity. Returns the number of
    /// bytes, 0 for the peer's FIN.
    ///
    /// # Errors
    /// Nothing has come by `deadline`, or will.
    fn receive(&self, socket: i32, buffer: &mut Vec<u8>, deadline: Instant) -> Result<usize, Lost>;

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The peer has not taken them by `deadline`, or never will.
    fn send(&self, socket: i32, bytes: &[u8], deadline: Instant) -> Result<(), Lost>;

    /// The time.
    fn now(&self) -> Instant;

    /// Takes note, after a call, of what was received and sent in it by a worker, and of how the connection was
    /// lost if it was.
    fn count(&self, worker: u32, received: u64, sent: u64, lost: Option<Lost>);
}

/// Why a driver cannot go on with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The deadline has passed.
    Late,
    /// The peer has closed its side, before the body was complete.
    Closed,
    /// The peer has reset the connection, or the network has lost it.
    Broken,
    /// The drain cuts it.
    Cut,
}

/// How much of a body is missing.
#[derive(Debug)]
pub(crate) enum Framing {
    Length { left: u64 },
    Chunked(Chunked),
}

/// What a body that is to be received is like.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What of it was received and decoded already.
    pub(crate) first: Vec<u8>,
    pub(crate) framing: Framing,
    pub(crate) bytes_max: u64,
    /// The client holds the body back until it is asked for it (RFC 9110 section 10.1.1).
    pub(crate) is_held_back: bool,
}

/// The body of a request that a service has asked to receive itself
/// ([`Intake::Upload`](crate::Intake::Upload)).
///
/// Reading waits for the client. A body has [`body_ms`](Limits::body_ms) for each
/// [`input_bytes`](Limits::input_bytes) of it, in which the time that passes between two reads does not count.
/// After an error nothing that the service answers is sent: the client is refused with 408 if it was too
/// slow ([`TimedOut`](ErrorKind::TimedOut)), with 400 if its chunks are malformed
/// ([`InvalidData`](ErrorKind::InvalidData)), with 413 if they are too many
/// ([`FileTooLarge`](ErrorKind::FileTooLarge)), and if it has gone the connection ends.
///
/// A service may return before it has read all. Then the connection ends with the reply, unless the rest was
/// received already. Once the call has returned, reading is an error
/// ([`NotConnected`](ErrorKind::NotConnected)).
pub struct Upload(Arc<Mutex<Receiving>>);

/// What has become of a body when the call has returned.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) is_complete: bool,
    /// What was received behind it.
    pub(crate) rest: Vec<u8>,
    pub(crate) failed: Option<Failed>,
}

/// Why a body cannot be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The client is to be told so.
    Refused(u16),
    /// There is no client to be told.
    Lost,
}

pub(crate) struct Receiving {
    transport: &'static dyn Transport,
    socket: i32,
    limits: Limits,
    framing: Framing,
    bytes_max: u64,
    is_held_back: bool,
    /// Decoded and not read yet, from `read` on.
    ready: Vec<u8>,
    read: usize,
    /// Received and not decoded yet, from `taken` on.
    raw: Vec<u8>,
    taken: usize,
    is_complete: bool,
    /// The time that was spent in waiting, for the `bytes` received since it was 0.
    waited: Duration,
    bytes: usize,
    received: u64,
    sent: u64,
    failed: Option<Failed>,
    lost: Option<Lost>,
    has_returned: bool,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

impl Upload {
    /// `raw`: what was received and is not decoded.
    pub(crate) fn new(
        begun: Begun,
        raw: Vec<u8>,
        (transport, socket): (&'static dyn Transport, i32),
        limits: &Limits,
    ) -> Upload {
        Upload(Arc::new(Mutex::new(Receiving {
            transport,
            socket,
            limits: limits.clone(),
            is_complete: matches!(begun.framing, Framing::Length { left: 0 }),
            framing: begun.framing,
            bytes_max: begun.bytes_max,
            is_held_back: begun.is_held_back,
            ready: begun.first,
            read: 0,
            raw,
            taken: 0,
            waited: Duration::ZERO,
            bytes: 0,
            received: 0,
            sent: 0,
            failed: None,
            lost: None,
            has_returned: false,
        })))
    }

    /// The same body, for the session.
    pub(crate) fn share(&self) -> Upload {
        Upload(Arc::clone(&self.0))
    }

    /// Receives the next piece into `piece`, in the place of what it has. Returns its length, 0 at the end of
    /// the body. A piece is what has come at once, at most what fits into `piece` or
    /// [`input_bytes`](Limits::input_bytes); the first may be as long as a body that is kept in memory.
    ///
    /// # Errors
    /// The rest will not come; see [`Upload`].
    pub fn next(&mut self, piece: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().next(piece)
    }

    /// How many bytes have not been read. `None`: the body comes in chunks, and is not complete.
    pub fn left(&self) -> Option<u64> {
        let receiving = self.lock();
        let ready = (receiving.ready.len() - receiving.read) as u64;
        match receiving.framing {
            Framing::Length { left } => Some(left + ready),
            Framing::Chunked(_) => receiving.is_complete.then_some(ready),
        }
    }

    /// The call has returned, or has panicked: nothing more is received.
    pub(crate) fn end(&self, worker: u32) -> Ended {
        self.lock().end(worker)
    }

    /// What is done under this lock leaves a state that says how far it has come.
    fn lock(&self) -> MutexGuard<'_, Receiving> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads into a buffer of the caller's. A caller that can take a whole piece should use [`next`](Upload::next), which
/// copies less.
impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }
}

impl Receiving {
    fn next(&mut self, piece: &mut Vec<u8>) -> io::Result<usize> {
        piece.clear();
        if self.has_returned {
            return Err(ErrorKind::NotConnected.into());
        }
        if self.read < self.ready.len() {
            piece.extend_from_slice(&self.ready[self.read..]);
            self.ready.clear();
            self.read = 0;
            return Ok(piece.len());
        }
        self.receive_piece(piece)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_returned {
            return Err(ErrorKind::NotConnected.into());
        }
        if self.read == self.ready.len() && !buffer.is_empty() {
            let mut piece = std::mem::take(&mut self.ready);
            self.read = 0;
            piece.clear();
            let received = self.receive_piece(&mut piece);
            self.ready = piece;
            received?;
        }
        let bytes = buffer.len().min(self.ready.len() - self.read);
        buffer[..bytes].copy_from_slice(&self.ready[self.read..self.read + bytes]);
        self.read += bytes;
        Ok(bytes)
    }

    /// Receives the next piece into `piece`, which is empty, and stays so on an error.
    fn receive_piece(&mut self, piece: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            if self.failed.is_some() {
                return Err(self.error());
            }
            // What lies behind the body is the next request.
            if !self.is_complete && self.taken < self.raw.len() {
                self.decode(piece);
                if self.failed.is_some() {
                    piece.clear();
                    continue;
                }
            }
            if !piece.is_empty() || self.is_complete {
                return Ok(piece.len());
            }
            // Whatever was received is decoded. What has a length is received where it is wanted.
            match self.framing {
                Framing::Length { left } => {
                    self.receive(piece);
                    let excess = piece
                        .len()
                        .saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
                    self.raw.clear();
                    self.raw.extend_from_slice(&piece[piece.len() - excess..]);
                    self.taken = 0;
                    piece.truncate(piece.len() - excess);
                    self.take(piece.len() as u64);
                }
                Framing::Chunked(_) => {
                    let mut raw = std::mem::take(&mut self.raw);
                    self.receive(&mut raw);
                    (self.raw, self.taken) = (raw, 0);
                }
            }
        }
    }

    /// So many bytes of a body of known length are taken.
    fn take(&mut self, bytes: u64) {
        if let Framing::Length { left } = &mut self.framing {
            *left -= bytes;
            self.is_complete = *left == 0;
        }
    }

    /// Appends to `piece` what the received bytes have of the body.
    fn decode(&mut self, piece: &mut Vec<u8>) {
        let raw = &self.raw[self.taken..];
        match &mut self.framing {
            Framing::Length { left } => {
                let bytes = raw.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                piece.extend_from_slice(&raw[..bytes]);
                self.taken += bytes;
                self.take(bytes as u64);
            }
            Framing::Chunked(decoder) => {
                let (bytes, decoded) = decoder.decode(raw, piece, self.bytes_max, &self.limits);
                self.taken += bytes;
                match decoded {
                    Decoded::More => {}
                    Decoded::Complete => self.is_complete = true,
                    Decoded::TooLarge => self.failed = Some(Failed::Refused(413)),
                    Decoded::Refused(status) => self.failed = Some(Failed::Refused(status)),
                }
            }
        }
    }

    /// Waits for more, and receives it into `buffer`, which has nothing after a failure.
    fn receive(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.reserve(self.limits.input_bytes);
        let began = self.transport.now();
        let deadline = began + self.limits.body().saturating_sub(self.waited);
        if std::mem::take(&mut self.is_held_back) {
            const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
            if let Err(lost) = self.transport.send(self.socket, CONTINUE, deadline) {
                return self.lose(lost);
            }
            self.sent += CONTINUE.len() as u64;
        }
        match self.transport.receive(self.socket, buffer, deadline) {
            Ok(0) => self.lose(Lost::Closed),
            Ok(bytes) => {
                self.received += bytes as u64;
                self.waited += self.transport.now().saturating_duration_since(began);
                self.bytes += bytes;
                if self.bytes >= self.limits.input_bytes {
                    (self.bytes, self.waited) = (0, Duration::ZERO);
                }
            }
            Err(lost) => {
                buffer.clear();
                self.lose(lost);
            }
        }
    }

    #[cold]
    fn lose(&mut self, lost: Lost) {
        self.lost = Some(lost);
        self.failed = Some(match lost {
            Lost::Late => Failed::Refused(408),
            Lost::Closed | Lost::Broken | Lost::Cut => Failed::Lost,
        });
    }

    #[cold]
    fn error(&self) -> io::Error {
        let kind = match (self.lost, self.failed) {
            (Some(Lost::Late), _) => ErrorKind::TimedOut,
            (Some(Lost::Closed), _) => ErrorKind::UnexpectedEof,
            (Some(Lost::Broken), _) => ErrorKind::ConnectionReset,
            (Some(Lost::Cut), _) => ErrorKind::ConnectionAborted,
            (None, Some(Failed::Refused(413))) => ErrorKind::FileTooLarge,
            (None, _) => ErrorKind::InvalidData,
        };
        io::Error::new(kind, "the request body has not come whole")
    }

    fn end(&mut self, worker: u32) -> Ended {
        let failed = self.failed;
        if !std::mem::replace(&mut self.has_returned, true) {
            // A last chunk may be there already, although the service did not ask for it.
            if failed.is_none() && !self.is_complete && self.taken < self.raw.len() {
                self.decode(&mut Vec::new());
            }
            let lost = self.lost.filter(|lost| *lost != Lost::Late);
            self.transport.count(worker, self.received, self.sent, lost);
        }
        let mut rest = std::mem::take(&mut self.raw);
        rest.drain(..self.taken.min(rest.len()));
        self.taken = 0;
        Ended {
            is_complete: self.is_complete && failed.is_none(),
            rest,
            failed,
        }
    }
}
