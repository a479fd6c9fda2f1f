//! All bounds of the project, with their defaults.

use std::time::Duration;

/// The most header fields a head may be allowed to have: the size of the parser's table.
pub const FIELDS_CAP: usize = 128;

/// The bounds of all queues, buffers, tables and waits. All can be set on the command line.
///
/// The defaults of the protocol limits are sufficient for all clients that we know. RFC 9112 section 3
/// recommends that request lines of at least 8,000 bytes be accepted.
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
    /// Largest request body that is kept in memory without a question, bytes, by its declared length;
    /// beyond it the service is asked ([`Service::intake`](crate::Service::intake)), and unless it takes the
    /// body, 413.
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

    /// Time from the first byte of a head to its end, ms; then 408. For the first head of a connection, also
    /// the time to its first byte; then the connection is closed.
    pub head_ms: u64,
    /// Time from the end of the head to the end of the body, ms; then 408. For a body beyond
    /// [`body_bytes_max`](Self::body_bytes_max), the time for each [`input_bytes`](Self::input_bytes) of it.
    pub body_ms: u64,
    /// Time for the peer to take [`unsent_bytes_max`](Self::unsent_bytes_max) bytes of a response, ms; then
    /// the connection is closed.
    pub write_ms: u64,
    /// Longest time for which the source of a streamed reply is not asked for more, ms: how late it may
    /// learn of a drain.
    pub stream_ms_max: u64,
    /// Time between two requests of a connection, ms; then it is closed.
    pub idle_ms: u64,
    /// Time for the peer to take an error reply and close, ms (RFC 9112 section 9.6).
    pub linger_ms: u64,

    /// Receive buffer of a worker, bytes.
    pub input_bytes: usize,
    /// Unsent response bytes of a connection from which on its next request must wait.
    pub unsent_bytes_max: usize,
    /// Response bytes that are sent to one connection before the others are served.
    pub turn_bytes_max: usize,
    /// Memory of a worker in buffers that no connection uses at present, bytes.
    pub spare_bytes_max: usize,

    /// Connections open at once, of all workers together; at this bound the server stops accepting.
    pub connections_max: usize,
    /// Connections that wait inside the server for a worker (thread pools, hand-off).
    pub queue_max: usize,
    /// Threads that serve in addition to the workers, in models where loops hand work to threads.
    pub threads_max: usize,
    /// Processes that only send a reply still, or wait for it, beside those that compute, where a process is forked
    /// for each request. At this bound further requests wait.
    pub sending_max: usize,
    /// Connections that wait in the kernel to be accepted (`listen(2)`).
    pub backlog: i32,
    /// Time that requests may wait for a worker, ms: once most have waited longer for an interval, those that
    /// have are answered with 503. 0: all are served, however late.
    pub queue_delay_ms: u64,
    /// That interval, ms.
    pub queue_delay_interval_ms: u64,
    /// Connections at once of one client address, an IPv4 address or the /64 of an IPv6 address; further ones
    /// are closed as soon as they are accepted. 0: no cap.
    pub connections_per_address_max: u64,
    /// Requests per second of one client address, with a bucket for one second; further ones are answered
    /// with 429. 0: no cap.
    pub rate_per_address_max: u64,
    /// Addresses for which either is counted at once; rounded up to a power of two. Those beyond it have no
    /// cap, and are counted.
    pub addresses_max: usize,
    /// Requests for which the service is being called, or of which the response is delayed, of all workers
    /// together; further ones are answered with 503. 0: no bound.
    pub in_flight_max: u64,
    /// Events taken from the kernel at once, and operations submitted to io_uring at once.
    pub events_max: usize,
    /// Receive buffers of io_uring, for all connections together; rounded up to a power of two, at most
    /// 32,768.
    pub lent_buffers: usize,
    /// Size of each, bytes.
    pub lent_buffer_bytes: usize,

    /// After SIGTERM, how long the server goes on as before, and only says that it is not ready, ms.
    pub drain_delay_ms: u64,
    /// In a drain, the time in which an idle connection may still send one last request, ms.
    pub drain_idle_ms: u64,
    /// In a drain, the time for busy connections to finish, ms; then they are cut.
    pub drain_ms: u64,
    /// Longest pause before accept is tried again when descriptors or memory have run out, ms.
    pub accept_pause_ms_max: u64,
    /// Longest pause before a worker that died is replaced, ms.
    pub respawn_pause_ms_max: u64,

    /// For how long a call of the service may hold a worker before that counts as stuck, ms. In models
    /// whose workers are processes, the worker is killed and replaced then. 0: nothing is looked for.
    pub stuck_ms: u64,
    /// Requests after which a worker process ends and is replaced; 0: none.
    pub worker_requests_max: u64,
    /// Resident memory above which a worker process ends and is replaced, bytes; 0: none.
    pub worker_rss_max: u64,
    /// Lines of the access log that wait to be written, bytes per worker.
    pub access_log_bytes_max: usize,
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
            stream_ms_max: 1_000,
            idle_ms: 10_000,
            linger_ms: 1_000,
            input_bytes: 64 << 10,
            unsent_bytes_max: 64 << 10,
            turn_bytes_max: 1 << 20,
            spare_bytes_max: 4 << 20,
            connections_max: 65_536,
            queue_max: 1_024,
            threads_max: 64,
            sending_max: 512,
            backlog: 4_096,
            queue_delay_ms: 5,
            queue_delay_interval_ms: 100,
            connections_per_address_max: 0,
            rate_per_address_max: 0,
            addresses_max: 16_384,
            in_flight_max: 0,
            events_max: 512,
            lent_buffers: 256,
            lent_buffer_bytes: 4 << 10,
            drain_delay_ms: 0,
            drain_idle_ms: 300,
            drain_ms: 30_000,
            accept_pause_ms_max: 100,
            respawn_pause_ms_max: 1_000,
            stuck_ms: 0,
            worker_requests_max: 0,
            worker_rss_max: 0,
            access_log_bytes_max: 256 << 10,
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

    pub(crate) fn stream(&self) -> Duration {
        Duration::from_millis(self.stream_ms_max)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}
