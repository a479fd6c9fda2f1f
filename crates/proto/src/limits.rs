//! Every bound of the project, in one place, with its default.

use std::time::Duration;

/// The most header fields a head may be allowed to have: the size of the parser's table.
pub const FIELDS_CAP: usize = 128;

/// The bounds of every queue, buffer, table and wait. All can be set on the command line.
///
/// The defaults of the protocol limits satisfy every client we know of; RFC 9112 section 3 asks
/// for request lines of 8,000 bytes at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line, bytes; beyond it 414.
    pub line_bytes_max: usize,
    /// Longest head, request line included, bytes; beyond it 431.
    pub head_bytes_max: usize,
    /// Most header fields in a head, at most 128; beyond it 431.
    pub fields_max: usize,
    /// Longest `Host`, bytes; beyond it 400.
    pub host_bytes_max: usize,
    /// Empty lines tolerated before a request (RFC 9112 section 2.2); beyond it 400.
    pub empty_lines_max: usize,
    /// Largest request body, bytes, judged on the declared length; beyond it 413.
    pub body_bytes_max: usize,
    /// Chunk extensions of one body, bytes; beyond it 413.
    pub chunk_extension_bytes_max: usize,
    /// Trailers of one body, bytes; beyond it 431.
    pub trailer_bytes_max: usize,
    /// Trailer fields of one body; beyond it 431.
    pub trailer_fields_max: usize,
    /// Longest line of the UNP protocol, bytes; beyond it the connection is closed.
    pub unp_line_bytes_max: usize,
    /// Largest reply of the UNP protocol, bytes (Stevens' MAXN).
    pub unp_reply_bytes_max: u64,

    /// From the first byte of a head (or from connect, before any) to its end, ms; then 408 (or a silent close).
    pub head_ms: u64,
    /// From the end of the head to the end of the body, ms; then 408.
    pub body_ms: u64,
    /// For the peer to take [`unsent_bytes_max`](Self::unsent_bytes_max) bytes of a response, ms; then the connection is cut.
    pub write_ms: u64,
    /// Between two requests of a connection, ms; then it is closed.
    pub idle_ms: u64,
    /// For the peer to take an error reply and close, ms (RFC 9112 section 9.6).
    pub linger_ms: u64,

    /// A worker's receive buffer, bytes.
    pub input_bytes: usize,
    /// Unsent response bytes a connection may hold before its next request is looked at.
    pub unsent_bytes_max: usize,
    /// Response bytes sent to one connection before the others get their turn.
    pub turn_bytes_max: usize,
    /// Memory a worker keeps in buffers that no connection needs now, bytes.
    pub spare_bytes_max: usize,

    /// Connections open at once, over all workers; at the bound the listener is not looked at.
    pub connections_max: usize,
    /// Connections that wait for a worker inside the server (thread pools, hand-off).
    pub queue_max: usize,
    /// Threads that serve behind loops, beside the workers, where a model has them.
    pub threads_max: usize,
    /// Connections that wait in the kernel for an accept (`listen(2)`).
    pub backlog: i32,
    /// Readiness events taken from the kernel at once; operations handed to a ring at once.
    pub events_max: usize,
    /// Receive buffers that are lent to a kernel which completes receives, for all connections;
    /// rounded up to a power of two, at most 32,768.
    pub lent_buffers: usize,
    /// Size of each, bytes.
    pub lent_buffer_bytes: usize,

    /// On drain, how long an idle connection may still bring one last request, ms.
    pub drain_idle_ms: u64,
    /// On drain, how long a busy connection may take to finish, ms; then it is cut.
    pub drain_ms: u64,
    /// Longest pause of accept when descriptors or memory have run out, ms.
    pub accept_pause_ms_max: u64,
    /// Longest pause before a worker that died is replaced, ms.
    pub respawn_pause_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_bytes_max: 16 << 10,
            head_bytes_max: 24 << 10,
            fields_max: 100,
            host_bytes_max: 255,
            empty_lines_max: 5,
            body_bytes_max: 1 << 20,
            chunk_extension_bytes_max: 4 << 10,
            trailer_bytes_max: 8 << 10,
            trailer_fields_max: 32,
            unp_line_bytes_max: 128,
            unp_reply_bytes_max: 16_384,
            head_ms: 5_000,
            body_ms: 10_000,
            write_ms: 10_000,
            idle_ms: 10_000,
            linger_ms: 1_000,
            input_bytes: 64 << 10,
            unsent_bytes_max: 64 << 10,
            turn_bytes_max: 1 << 20,
            spare_bytes_max: 4 << 20,
            connections_max: 65_536,
            queue_max: 1_024,
            threads_max: 64,
            backlog: 4_096,
            events_max: 512,
            lent_buffers: 256,
            lent_buffer_bytes: 4 << 10,
            drain_idle_ms: 300,
            drain_ms: 30_000,
            accept_pause_ms_max: 100,
            respawn_pause_ms_max: 1_000,
        }
    }
}

impl Limits {
    /// The most that [`fields_max`](Self::fields_max) may be.
    pub const FIELDS_CAP: usize = FIELDS_CAP;

    /// [`head_ms`](Self::head_ms) as a duration; so for the others.
    pub(crate) fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    pub(crate) fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }

    pub(crate) fn write(&self) -> Duration {
        Duration::from_millis(self.write_ms)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}
