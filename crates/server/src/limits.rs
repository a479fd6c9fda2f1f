//! The limits as flags: each bound of [`Limits`] under its own name.

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::Limits;

macro_rules! limits {
    ($(#[doc = $doc:literal] $name:ident: $type:ty),* $(,)?) => {
        pub(crate) fn add_flags(command: Command) -> Command {
            command
                .next_help_heading("Limits")
                .args([$(flag(stringify!($name), $doc).value_parser(value_parser!($type))),*])
                .next_help_heading(None)
        }

        /// The defaults with these flags applied.
        pub(crate) fn given(matches: &ArgMatches) -> Limits {
            let mut limits = Limits::default();
            $(if let Some(value) = matches.get_one(stringify!($name)) {
                limits.$name = *value;
            })*
            limits
        }

        /// Says which one makes no sense, if one does.
        pub(crate) fn check(limits: &Limits) -> Result<(), String> {
            $(if limits.$name == 0 && !MAY_BE_ZERO.contains(&stringify!($name)) {
                return Err(format!("--{} must be at least 1", hyphenated(stringify!($name))));
            })*
            $(if let Some(most) = most_of(stringify!($name)) && limits.$name as u64 > most {
                return Err(format!("--{} {} is not within 1 to {most}", hyphenated(stringify!($name)), limits.$name));
            })*
            if limits.fields_max > Limits::FIELDS_CAP {
                return Err(format!("--fields-max {} is above {}", limits.fields_max, Limits::FIELDS_CAP));
            }
            Ok(())
        }
    };
}

/// A larger value must be a typing error, or cannot be had. Negative numbers are larger than all.
fn most_of(name: &str) -> Option<u64> {
    Some(match name {
        "threads_max" | "sending_max" | "backlog" => 65_536,
        "events_max" => 8_192, // A ring has eight completions for each, 65,536 at most (io_uring_setup(2)).
        "lent_buffers" => 32_768,
        "connections_per_address_max" => 65_534, // It is counted in 16 bits.
        "rate_per_address_max" => 1_000_000,
        "addresses_max" => 1 << 22,
        "queue_max" => 1 << 20,
        "input_bytes" | "lent_buffer_bytes" | "unsent_bytes_max" | "access_log_bytes_max" => {
            1 << 30
        }
        "connections_max" => 1 << 30, // As many descriptors as a process can have (fs.nr_open).
        name if name.ends_with("_bytes_max") => 1 << 40,
        name if name.ends_with("_ms") || name.ends_with("_ms_max") => YEAR_MS,
        _ => return None,
    })
}

const YEAR_MS: u64 = 365 * 24 * 3_600_000;

fn flag(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name)
        .long(hyphenated(name))
        .value_name("N")
        .help(doc.trim())
        .hide_short_help(true)
}

fn hyphenated(name: &str) -> String {
    name.replace('_', "-")
}

/// Bounds for which nothing at all is a sensible amount.
const MAY_BE_ZERO: &[&str] = &[
    "empty_lines_max",
    "body_bytes_max",
    "chunk_extension_bytes_max",
    "trailer_bytes_max",
    "trailer_fields_max",
    "spare_bytes_max",
    "queue_delay_ms",
    "connections_per_address_max",
    "rate_per_address_max",
    "in_flight_max",
    "drain_delay_ms",
    "drain_idle_ms",
    "drain_ms",
    "stuck_ms",
    "worker_requests_max",
    "worker_rss_max",
];

limits! {
    /// Longest request line, bytes (16384)
    line_bytes_max: usize,
    /// Longest head, bytes (24576)
    head_bytes_max: usize,
    /// Most header fields (100, at most 128)
    fields_max: usize,
    /// Longest Host, bytes (255)
    host_bytes_max: usize,
    /// Empty lines before a request (5)
    empty_lines_max: usize,
    /// Largest request body, bytes (1048576)
    body_bytes_max: usize,
    /// Chunk extensions of a body, bytes (4096)
    chunk_extension_bytes_max: usize,
    /// Trailers of a body, bytes (8192)
    trailer_bytes_max: usize,
    /// Trailer fields of a body (32)
    trailer_fields_max: usize,
    /// Longest line of the UNP protocol, bytes (128)
    unp_line_bytes_max: usize,
    /// Largest reply of the UNP protocol, bytes (16384)
    unp_reply_bytes_max: u64,
    /// Time for a head, ms (5000)
    head_ms: u64,
    /// Time for a body, ms (10000)
    body_ms: u64,
    /// Time for the peer to take a buffer of response, ms (10000)
    write_ms: u64,
    /// Longest pause before a streamed reply is asked for more, ms (1000)
    stream_ms_max: u64,
    /// Time between two requests, ms (10000)
    idle_ms: u64,
    /// Time to take an error reply, ms (1000)
    linger_ms: u64,
    /// Receive buffer of a worker, bytes (65536)
    input_bytes: usize,
    /// Unsent response bytes of a connection before its next request is served (65536)
    unsent_bytes_max: usize,
    /// Bytes sent to one connection before the next has its turn (1048576)
    turn_bytes_max: usize,
    /// Spare buffer memory of a worker, bytes (4194304)
    spare_bytes_max: usize,
    /// Connections open at once, which bounds the workers, too (65536)
    connections_max: usize,
    /// Connections waiting inside the server for a worker (1024)
    queue_max: usize,
    /// Threads behind loops, where a model has them beside its workers (64)
    threads_max: usize,
    /// Processes that only send a reply still, beside those that compute: fork-per-client with a front (512)
    sending_max: usize,
    /// Connections waiting in the kernel for an accept (4096)
    backlog: i32,
    /// Time requests may wait for a worker before some are answered with 503, ms; 0: for ever (5)
    queue_delay_ms: u64,
    /// For so long most must have waited longer, ms (100)
    queue_delay_interval_ms: u64,
    /// Connections at once of one client address, IPv6 by /64; more are closed (0: no cap)
    connections_per_address_max: u64,
    /// Requests per second of one client address, as many at once; more are answered with 429 (0: no cap)
    rate_per_address_max: u64,
    /// Client addresses for which this is counted at once (16384)
    addresses_max: usize,
    /// Requests being computed or delayed at once; more are answered with 503 (0: no bound)
    in_flight_max: u64,
    /// Events taken from the kernel at once (512)
    events_max: usize,
    /// Receive buffers lent to the kernel for all connections, at most 32768 (256)
    lent_buffers: usize,
    /// Size of each, bytes (4096)
    lent_buffer_bytes: usize,
    /// Time after SIGTERM before the drain, in which the server is not ready and still accepts, ms (0)
    drain_delay_ms: u64,
    /// Drain: time for one last request on an idle connection, ms (300)
    drain_idle_ms: u64,
    /// Drain: time for busy connections, ms (30000)
    drain_ms: u64,
    /// Longest pause of accept when resources are short, ms (100)
    accept_pause_ms_max: u64,
    /// Longest pause before a dead worker is replaced, ms (1000)
    respawn_pause_ms_max: u64,
    /// A call that holds its worker this long is stuck: counted, and a worker process replaced, ms (0: not looked for)
    stuck_ms: u64,
    /// Requests after which a worker process is replaced (0: never)
    worker_requests_max: u64,
    /// Resident bytes above which a worker process is replaced (0: never)
    worker_rss_max: u64,
    /// Lines of the access log waiting to be written, bytes per worker (262144)
    access_log_bytes_max: usize,
}
