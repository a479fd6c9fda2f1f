//! What is simulated.

use serde::{Deserialize, Serialize};

use crate::stalls::Stalls;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Server {
    /// Cores that its threads share.
    pub cores: usize,
    /// How its threads are arranged.
    pub topology: Topology,
    /// What a request costs beside the handler.
    pub costs: Costs,
    /// How the kernel shares a core between threads.
    pub scheduler: Scheduler,
    /// How often each core is away.
    pub stalls: Stalls,
    /// How often the client's CPU is away: requests that are due then are sent late, and replies are seen late.
    pub client_stalls: Stalls,
    /// Connections that are open, idle ones among them.
    pub connections: usize,
}

/// How the threads of a server are arranged, and what a request or a connection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// So many loops, each with the connections it was given. A request holds its loop while it computes
    /// and while it blocks; what it awaits holds nothing.
    Loops {
        /// How many.
        loops: usize,
        /// How connections are given to them.
        spread: Spread,
    },
    /// Threads that take requests from all connections. A request holds its thread while it computes and
    /// blocks.
    Shared {
        /// How many.
        threads: usize,
    },
    /// A thread or process for a connection, up to a number of seats. The connection holds its seat as
    /// long as it is open, and a request holds it in all its phases.
    Seats {
        /// How many.
        seats: usize,
        /// Whether those that wait for a seat wait together, or each at the seat that a hash gave it.
        spread: Spread,
    },
    /// Loops that read and write, and workers behind them that compute and block. A request holds its
    /// worker while it computes and blocks.
    Staged {
        /// How many loops.
        loops: usize,
        /// How many workers.
        workers: usize,
    },
}

/// How connections are spread over loops or seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// To the one with the fewest, or whoever is free.
    Even,
    /// By a hash of the connection, as SO_REUSEPORT does.
    Hashed,
}

/// Threads that a request passes in a staged server: its loop, a worker, and its loop again.
pub const STAGES: f64 = 3.0;

/// What a request costs beside the work of its handler, µs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Costs {
    /// CPU of a request, saturated.
    pub request_us: f64,
    /// What a wake-up adds of a core that has been idle for long, beside [`sleep_us`](Self::sleep_us).
    pub wake_us: f64,
    /// What it costs that a thread waited, and had to be woken up, on a core however short a while idle: the
    /// call and the switch there and back, which requests share that are served without a pause. In a staged
    /// server it is the sum of the three [`STAGES`] that a request passes.
    pub sleep_us: f64,
    /// How fast a core falls asleep: after so long it costs 63 % of that to wake it up, and of one that has only
    /// just become idle nothing. 0: at once.
    pub asleep_after_us: f64,
    /// CPU of a connection that is opened for a request and closed after it.
    pub connection_us: f64,
    /// CPU of going on after an awaited time.
    pub resume_us: f64,
    /// CPU of going on after a blocked time.
    pub unblock_us: f64,
    /// How much longer than asked for a handler blocks, by the kernel's timers.
    pub blocked_late_us: f64,
    /// How much later than asked for an awaited request goes on, by timers of kernel and server.
    pub awaited_late_us: f64,
    /// CPU of a hand-over to a worker and back, in staged servers; the part of the worker.
    pub handover_us: f64,
    /// What each open connection adds to a wait.
    pub scan_us: f64,
    /// CPU of a KiB received.
    pub kib_in_us: f64,
    /// CPU of a KiB sent.
    pub kib_out_us: f64,
    /// What a response takes beside the server's CPU: wires, wake-ups of the client.
    pub base_us: f64,
    /// CPU really used for a µs of the handler's CPU.
    pub cpu_factor: f64,
}

/// How the kernel shares a core between threads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scheduler {
    /// How long a thread runs while others wait, µs.
    pub slice_us: f64,
    /// How long a thread still runs when it must make room for one that has woken up, µs.
    pub preempt_us: f64,
    /// For how long a deadline is given, µs: a thread that has had no more than its part need not make room
    /// for one that wakes up until it has run for so long.
    pub protect_us: f64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            slice_us: 3_000.0,
            preempt_us: 3_000.0,
            protect_us: 3_000.0,
        }
    }
}
