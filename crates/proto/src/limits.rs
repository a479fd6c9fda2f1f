//! All bounds of the project, with their defaults.

use std::time::Duration;

/// The most header fields a head may be allowed to have: the size of the parser's table.
pub const FIELDS_CAP: usize = 128;

/// Hands each bound to a macro: what it is, its name, its type, its default, and what `--help` says of it.
#[doc(hidden)]
#[macro_export]
macro_rules! limits {
    ($define:ident) => { $define! {
        /// Longest request line, bytes; beyond it 414.
        line_bytes_max: usize = 16 << 10, "Longest request line, bytes (16384)";
        /// Longest head, request line included, bytes; beyond it 431.
        head_bytes_max: usize = 24 << 10, "Longest head, bytes (24576)";
        /// Most header fields in a head, at most 128; beyond it 431.
        fields_max: usize = 100, "Most header fields (100, at most 128)";
        /// Longest `Host`, bytes; beyond it 400.
        host_bytes_max: usize = 255, "Longest Host, bytes (255)";
        /// Empty lines tolerated before a request (RFC 9112 section 2.2); beyond it 400.
        empty_lines_max: usize = 5, "Empty lines before a request (5)";
        /// Largest request body that is kept in memory without a question, bytes, by its declared length;
        /// beyond it the service is asked ([`Service::intake`](crate::Service::intake)), and unless it takes the
        /// body, 413.
        body_bytes_max: usize = 1 << 20, "Largest request body, bytes (1048576)";
        /// Chunk extensions of one body, bytes; beyond it 413.
        chunk_extension_bytes_max: usize = 4 << 10, "Chunk extensions of a body, bytes (4096)";
        /// Trailers of one body, bytes; beyond it 431.
        trailer_bytes_max: usize = 8 << 10, "Trailers of a body, bytes (8192)";
        /// Trailer fields of one body; beyond it 431.
        trailer_fields_max: usize = 32, "Trailer fields of a body (32)";
        /// Longest line of the UNP protocol, bytes; beyond it the connection is closed.
        unp_line_bytes_max: usize = 128, "Longest line of the UNP protocol, bytes (128)";
        /// Largest reply of the UNP protocol, bytes (Stevens' MAXN).
        unp_reply_bytes_max: u64 = 16_384, "Largest reply of the UNP protocol, bytes (16384)";

        /// Time from the first byte of a head to its end, ms; then 408. For the first head of a connection, also
        /// the time to its first byte; then the connection is closed.
        head_ms: u64 = 5_000, "Time for a head, ms (5000)";
        /// Time from the end of the head to the end of the body, ms; then 408. For a body beyond
        /// [`body_bytes_max`](Self::body_bytes_max), the time for each [`input_bytes`](Self::input_bytes) of it.
        body_ms: u64 = 10_000, "Time for a body, ms (10000)";
        /// Time for the peer to take [`unsent_bytes_max`](Self::unsent_bytes_max) bytes of a response, ms; then
        /// the connection is closed.
        write_ms: u64 = 10_000, "Time for the peer to take a buffer of response, ms (10000)";
        /// Longest time for which the source of a streamed reply is not asked for more, ms: how late it may
        /// learn of a drain.
        stream_ms_max: u64 = 1_000, "Longest pause before a streamed reply is asked for more, ms (1000)";
        /// Time between two requests of a connection, ms; then it is closed.
        idle_ms: u64 = 10_000, "Time between two requests, ms (10000)";
        /// Time for the peer to take an error reply and close, ms (RFC 9112 section 9.6).
        linger_ms: u64 = 1_000, "Time to take an error reply, ms (1000)";

        /// Receive buffer of a worker, bytes.
        input_bytes: usize = 64 << 10, "Receive buffer of a worker, bytes (65536)";
        /// Unsent response bytes of a connection from which on its next request must wait.
        unsent_bytes_max: usize = 64 << 10, "Unsent response bytes of a connection before its next request is served (65536)";
        /// Response bytes that are sent to one connection before the others are served.
        turn_bytes_max: usize = 1 << 20, "Bytes sent to one connection before the next has its turn (1048576)";
        /// Memory of a worker in buffers that no connection uses at present, bytes.
        spare_bytes_max: usize = 4 << 20, "Spare buffer memory of a worker, bytes (4194304)";

        /// Connections open at once, of all workers together; at this bound the server stops accepting.
        connections_max: usize = 65_536, "Connections open at once, which bounds the workers, too (65536)";
        /// Connections that wait inside the server for a worker (thread pools, hand-off).
        queue_max: usize = 1_024, "Connections waiting inside the server for a worker (1024)";
        /// Threads that serve in addition to the workers, in models where loops hand work to threads.
        threads_max: usize = 64, "Threads behind loops, where a model has them beside its workers (64)";
        /// Processes that only send a reply still, or wait for it, beside those that compute, where a process is forked
        /// for each request. At this bound further requests wait.
        sending_max: usize = 512, "Processes that only send a reply still, beside those that compute: fork-per-client with a front (512)";
        /// Connections that wait in the kernel to be accepted (`listen(2)`).
        backlog: i32 = 4_096, "Connections waiting in the kernel for an accept (4096)";
        /// Time that requests may wait for a worker, ms: once most have waited longer for an interval, those that
        /// have are answered with 503. 0: all are served, however late.
        queue_delay_ms: u64 = 5, "Time requests may wait for a worker before some are answered with 503, ms; 0: for ever (5)";
        /// That interval, ms.
        queue_delay_interval_ms: u64 = 100, "For so long most must have waited longer, ms (100)";
        /// Connections at once of one client address, an IPv4 address or the /64 of an IPv6 address; further ones
        /// are closed as soon as they are accepted. 0: no cap.
        connections_per_address_max: u64 = 0, "Connections at once of one client address, IPv6 by /64; more are closed (0: no cap)";
        /// Requests per second of one client address, with a bucket for one second; further ones are answered
        /// with 429. 0: no cap.
        rate_per_address_max: u64 = 0, "Requests per second of one client address, as many at once; more are answered with 429 (0: no cap)";
        /// Addresses for which either is counted at once; rounded up to a power of two. Those beyond it have no
        /// cap, and are counted.
        addresses_max: usize = 16_384, "Client addresses for which this is counted at once (16384)";
        /// Requests for which the service is being called, or of which the response is delayed, of all workers
        /// together; further ones are answered with 503. 0: no bound.
        in_flight_max: u64 = 0, "Requests being computed or delayed at once; more are answered with 503 (0: no bound)";
        /// Events taken from the kernel at once, and operations submitted to io_uring at once.
        events_max: usize = 512, "Events taken from the kernel at once (512)";
        /// Receive buffers of io_uring, for all connections together; rounded up to a power of two, at most
        /// 32,768.
        lent_buffers: usize = 256, "Receive buffers lent to the kernel for all connections, at most 32768 (256)";
        /// Size of each, bytes.
        lent_buffer_bytes: usize = 4 << 10, "Size of each, bytes (4096)";

        /// After SIGTERM, how long the server goes on as before, and only says that it is not ready, ms.
        drain_delay_ms: u64 = 0, "Time after SIGTERM before the drain, in which the server is not ready and still accepts, ms (0)";
        /// In a drain, the time in which an idle connection may still send one last request, ms.
        drain_idle_ms: u64 = 300, "Drain: time for one last request on an idle connection, ms (300)";
        /// In a drain, the time for busy connections to finish, ms; then they are cut.
        drain_ms: u64 = 30_000, "Drain: time for busy connections, ms (30000)";
        /// Longest pause before accept is tried again when descriptors or memory have run out, ms.
        accept_pause_ms_max: u64 = 100, "Longest pause of accept when resources are short, ms (100)";
        /// Longest pause before a worker that died is replaced, ms.
        respawn_pause_ms_max: u64 = 1_000, "Longest pause before a dead worker is replaced, ms (1000)";

        /// For how long a call of the service may hold a worker before that counts as stuck, ms. In models
        /// whose workers are processes, the worker is killed and replaced then. 0: nothing is looked for.
        stuck_ms: u64 = 0, "A call that holds its worker this long is stuck: counted, and a worker process replaced, ms (0: not looked for)";
        /// Requests after which a worker process ends and is replaced; 0: none.
        worker_requests_max: u64 = 0, "Requests after which a worker process is replaced (0: never)";
        /// Resident memory above which a worker process ends and is replaced, bytes; 0: none.
        worker_rss_max: u64 = 0, "Resident bytes above which a worker process is replaced (0: never)";
        /// Lines of the access log that wait to be written, bytes per worker.
        access_log_bytes_max: usize = 256 << 10, "Lines of the access log waiting to be written, bytes per worker (262144)";
    } };
}

macro_rules! define {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $help:literal;)*) => {
        /// The bounds of all queues, buffers, tables and waits. All can be set on the command line.
        ///
        /// The defaults of the protocol limits are sufficient for all clients that we know. RFC 9112
        /// section 3 recommends that request lines of at least 8,000 bytes be accepted.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)* }
            }
        }
    };
}

limits!(define);

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
