//! What a driver gives to a session, and what the session asks of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::{Limits, Place, Scratch, Service};

/// What a session wants from its driver, by the time [`Session::deadline`](crate::Session::deadline) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Receive, and hand over what came.
    Read,
    /// Call [`Session::compute`](crate::Session::compute), here or elsewhere. Only staged sessions ask.
    Compute,
    /// Send [`Session::output`](crate::Session::output).
    Write,
    /// Come back at the deadline, with [`Session::expire`](crate::Session::expire).
    Wait,
    /// Send FIN, then receive and drop until the peer's FIN or the deadline, so that the peer
    /// reads the reply instead of a reset (RFC 9112 section 9.6).
    Linger,
    /// Close.
    Close,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/1.0 (RFC 9110, 9112).
    #[default]
    Http,
    /// The line protocol of UNP chapter 30.
    Unp,
}

/// One worker's attention to one session: the time, and what the worker lends.
pub struct Turn<'a> {
    /// The time, read once a wake-up.
    pub now: Instant,
    /// The bounds.
    pub limits: &'a Limits,
    /// Who answers.
    pub service: &'a dyn Service,
    /// The worker's buffers.
    pub scratch: &'a mut Scratch,
    /// Where this is.
    pub place: &'a Place,
    /// The server is going away: every reply says `Connection: close`.
    pub draining: &'a AtomicU64,
}

impl Turn<'_> {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst) != 0
    }
}
