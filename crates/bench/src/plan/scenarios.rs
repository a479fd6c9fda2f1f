//! The table of scenarios, in the order in which they are run and shown.

use report::data::{Deciding, Objective};
use schema::Measured;

use crate::plan::advised::Suits;
use crate::plan::scenario::{Depth, PLAINTEXT, Scenario};

/// What most scenarios share.
pub(crate) const TINY: Scenario = Scenario {
    name: "",
    purpose: "",
    decides: Deciding::ThroughputRps,
    measured: Measured::Slices,
    key: false,
    path: PLAINTEXT,
    mix: &[],
    body_bytes: 0,
    headers: &[],
    own: false,
    window: None,
    connections: 64,
    pipeline: 1,
    keep_alive: true,
    churn: 0.0,
    think_ms: 0.0,
    blocks_worker: false,
    closed: true,
    rates: &[],
    rates_full: &[],
    overload_cpu_us: None,
    idle: false,
    slow: 0,
    poison: None,
    db: false,
    reply_bytes: 0,
    objective: None,
    trickle: false,
    capacity: Depth::Never,
    calls: Depth::Never,
    suits: None,
};

/// p99 within so many ms, and one request in a thousand may fail.
const fn within(ms: f64) -> Option<Objective> {
    Some(Objective {
        p99_us: ms * 1_000.0,
        errors_max_share: 0.001,
        percentile: 99.0,
        kinds: None,
    })
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tiny-keepalive",
        purpose: "What a request costs when the service does next to nothing.",
        decides: Deciding::ServerCpuUsPerRequest,
        key: true,
        rates: &[20_000.0],
        rates_full: &[5_000.0, 20_000.0, 40_000.0],
        objective: within(5.0),
        trickle: true,
        capacity: Depth::Always,
        calls: Depth::Always,
        suits: Some(Suits::Shares),
        ..TINY
    },
    Scenario {
        name: "tiny-pipelined",
        purpose: "The same with 16 requests in flight per connection: many requests share each system call.",
        decides: Deciding::ServerCpuUsPerRequest,
        pipeline: 16,
        rates: &[40_000.0],
        rates_full: &[10_000.0, 40_000.0],
        objective: within(5.0),
        suits: Some(Suits::Shares),
        ..TINY
    },
    Scenario {
        name: "churn",
        purpose: "One connection per request: what accepting, handing over and closing cost.",
        decides: Deciding::ServerCpuUsPerRequest,
        key: true,
        connections: 32,
        keep_alive: false,
        rates: &[3_000.0],
        rates_full: &[1_000.0, 3_000.0, 8_000.0],
        objective: within(10.0),
        capacity: Depth::Full,
        calls: Depth::Full,
        ..TINY
    },
    Scenario {
        name: "latency",
        purpose: "One connection, one request at a time: the shortest way through the model.",
        decides: Deciding::ResponseP50Us,
        connections: 1,
        rates: &[1_000.0],
        rates_full: &[1_000.0, 5_000.0],
        objective: within(2.0),
        ..TINY
    },
    Scenario {
        name: "large",
        purpose: "Replies of 64 KiB: copying and sending, not scheduling, is the work.",
        path: "/bytes/65536",
        connections: 16,
        rates: &[2_000.0],
        rates_full: &[1_000.0, 4_000.0],
        reply_bytes: 65_536,
        objective: within(10.0),
        calls: Depth::Full,
        ..TINY
    },
    Scenario {
        name: "cpu",
        purpose: "100 µs of computation per request: how the model shares a busy CPU.",
        path: "/cpu/100",
        connections: 16,
        rates: &[5_000.0],
        rates_full: &[2_000.0, 5_000.0, 7_000.0],
        objective: within(10.0),
        capacity: Depth::Full,
        ..TINY
    },
    Scenario {
        name: "bimodal",
        purpose: "99 % of requests compute 100 µs, 1 % compute 10 ms: how many wait behind the long ones.",
        decides: Deciding::ResponseP90Us,
        key: true,
        path: "/cpu/100",
        mix: &["99:GET:/cpu/100", "1:GET:/cpu/10000"],
        connections: 32,
        rates: &[2_500.0],
        rates_full: &[1_000.0, 2_500.0, 3_500.0],
        objective: within(25.0),
        capacity: Depth::Always,
        suits: Some(Suits::MayWait),
        ..TINY
    },
    Scenario {
        name: "blocking",
        purpose: "A back end of 1 ms that blocks its worker: how many others have to wait.",
        key: true,
        path: "/sleep/1000",
        // So few that even a server that serves one after the other (16 ms each) answers many of them
        // within the window.
        connections: 16,
        blocks_worker: true,
        rates: &[500.0],
        rates_full: &[500.0, 2_000.0, 5_000.0],
        objective: within(10.0),
        capacity: Depth::Full,
        calls: Depth::Full,
        suits: Some(Suits::MayWait),
        ..TINY
    },
    Scenario {
        name: "cooperative",
        purpose: "A back end of 1 ms that leaves its worker free: what waiting itself costs.",
        path: "/wait/1000",
        rates: &[8_000.0],
        rates_full: &[2_000.0, 8_000.0, 20_000.0],
        objective: within(10.0),
        capacity: Depth::Full,
        calls: Depth::Full,
        suits: Some(Suits::Awaits),
        ..TINY
    },
    Scenario {
        name: "sqlite",
        purpose: "An embedded database, 90 % reads and 10 % writes: all workers share its lock.",
        path: "/kv/{n:1000}",
        mix: &["90:GET:/kv/{n:1000}", "10:PUT:/kv/{n:1000}"],
        connections: 16,
        blocks_worker: true,
        rates: &[2_000.0],
        rates_full: &[1_000.0, 4_000.0, 10_000.0],
        db: true,
        objective: within(25.0),
        capacity: Depth::Full,
        calls: Depth::Full,
        suits: Some(Suits::MayWait),
        ..TINY
    },
    Scenario {
        name: "idle-many",
        purpose: "10,000 idle connections and 64 active ones: what holding the idle ones costs the others.",
        measured: Measured::Trials,
        decides: Deciding::ServerCpuUsPerRequest,
        key: true,
        closed: false,
        rates: &[5_000.0],
        rates_full: &[5_000.0, 20_000.0],
        idle: true,
        objective: within(10.0),
        capacity: Depth::Full,
        suits: Some(Suits::HoldsMany),
        ..TINY
    },
    Scenario {
        name: "slow-clients",
        purpose: "Clients that send or read slowly, and others that do not: what the slow ones cost the others.",
        measured: Measured::Trials,
        decides: Deciding::ResponseP99Us,
        closed: false,
        rates: &[2_000.0],
        rates_full: &[2_000.0, 10_000.0],
        slow: 32,
        objective: within(10.0),
        suits: Some(Suits::HoldsMany),
        ..TINY
    },
    Scenario {
        name: "overload",
        purpose: "Half of what the CPU can compute, then twice as much as it can, then half again: what is still answered in time, and how soon the server recovers.",
        measured: Measured::Trials,
        decides: Deciding::GoodputRps,
        path: "/cpu/200",
        closed: false,
        overload_cpu_us: Some(200.0),
        objective: within(20.0),
        ..TINY
    },
    Scenario {
        name: "poison",
        purpose: "One request that blocks its worker for 300 ms among many short ones: how many others have to wait.",
        measured: Measured::Trials,
        decides: Deciding::ResponseP99Us,
        closed: false,
        rates: &[2_000.0],
        rates_full: &[2_000.0, 10_000.0],
        poison: Some("/sleep/300000"),
        objective: within(10.0),
        suits: Some(Suits::MayWait),
        ..TINY
    },
];

/// The scenario in which memory is read: it has no load, and `--scenarios` does not name it.
pub const MEMORY: Scenario = Scenario {
    name: "memory",
    purpose: "Memory and tasks of a server by the connections it holds, each of which was served once.",
    measured: Measured::Trials,
    connections: 0,
    closed: false,
    ..TINY
};

#[cfg(test)]
#[path = "scenarios_tests.rs"]
mod tests;
