//! What a driver gives to a session, and what the session asks of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::{Limits, Place, Scratch, Service};

/// What a session wants its driver to do, by the time of [`Session::deadline`](crate::Session::deadline).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Receive, and call [`Session::receive`](crate::Session::receive).
    Read,
    /// Call [`Session::compute`](crate::Session::compute), in this thread or another. Sessions that are not
    /// [staged](crate::Session::staged) want this only where a service receives a body in its call.
    Compute,
    /// Send [`Session::output`](crate::Session::output), and call [`Session::sent`](crate::Session::sent).
    Write,
    /// Call [`Session::expire`](crate::Session::expire) at the deadline, and nothing before.
    Wait,
    /// Send FIN, then receive and drop bytes until the peer's FIN or the deadline. If the socket were
    /// closed with bytes unread, the peer could get a reset instead of the reply (RFC 9112 section 9.6).
    Linger,
    /// Close.
    Close,
}

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/1.0 (RFC 9110, 9112).
    #[default]
    Http,
    /// The line protocol of UNP chapter 30: a number and a newline, answered with that many bytes.
    Unp,
}

/// What a worker gives a session for one step: the time, and borrowed buffers.
pub struct Turn<'a> {
    /// The time, read once per wake-up.
    pub now: Instant,
    /// The bounds.
    pub limits: &'a Limits,
    /// The service that answers requests.
    pub service: &'a dyn Service,
    /// The worker's buffers.
    pub scratch: &'a mut Scratch,
    /// Which worker this is.
    pub place: &'a Place,
    /// Not 0 while the server drains: then every reply says `Connection: close`.
    pub draining: &'a AtomicU64,
}

impl Turn<'_> {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst) != 0
    }

    /// Returns a buffer to the worker, and leaves an empty one.
    #[inline]
    pub(crate) fn return_buffer(&mut self, buffer: &mut Vec<u8>) {
        self.scratch
            .return_buffer(buffer, self.limits.spare_bytes_max);
    }
}
