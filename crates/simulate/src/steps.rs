//! The way of a request through a server, as steps.

use crate::server::{Server, Spread, Topology};
use crate::trace::Trace;

/// One step: a thread of `queue` computes, blocks, and goes on; then the request awaits without a
/// thread. Times in ns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    pub queue: u32,
    pub burst: u64,
    pub blocked: u64,
    /// CPU after the blocked time.
    pub tail: u64,
    pub wait: u64,
    pub lock: Option<u32>,
    pub last: bool,
}

/// Which queues there are, and how many threads serve each.
pub(crate) struct Queues {
    /// Threads of each queue at most.
    pub threads: Vec<usize>,
}

/// Makes the steps of requests.
pub(crate) struct Steps<'a> {
    server: &'a Server,
    trace: &'a Trace,
    /// Connections that carry the load.
    active: usize,
}

fn ns(us: f64) -> u64 {
    (us * 1_000.0).max(0.0) as u64
}

/// A hash of a connection, as a number below `below`.
fn hashed(connection: usize, below: usize) -> usize {
    let mixed = schema::random::SplitMix64::new(connection as u64 + 1).next_u64();
    (mixed % below.max(1) as u64) as usize
}

impl<'a> Steps<'a> {
    pub(crate) fn new(server: &'a Server, trace: &'a Trace, active: usize) -> Self {
        Self {
            server,
            trace,
            active,
        }
    }

    pub(crate) fn queues(&self) -> Queues {
        let threads = match self.server.topology {
            Topology::Loops { loops, .. } => vec![1; loops],
            Topology::Shared { threads } => vec![threads],
            Topology::Seats {
                seats,
                spread: Spread::Even,
            } => {
                // A seat for each connection that stays open, and the rest for those that come and go.
                let kept = self.active.min(seats);
                let mut threads = vec![1; kept];
                threads.push(seats.saturating_sub(self.server.connections).max(1));
                threads
            }
            Topology::Seats { seats, .. } => vec![1; seats],
            Topology::Staged { loops, workers } => {
                let mut threads = vec![1; loops];
                threads.push(workers);
                threads
            }
        };
        Queues { threads }
    }

    /// The queue at which a request of `connection` begins.
    fn home(&self, request: usize, connection: usize) -> u32 {
        let own = self.trace.requests[request].own_connection;
        // A connection of its own is another one every time.
        let connection = if own {
            self.active + request
        } else {
            connection
        };
        let spread = |spread, over: usize| match spread {
            Spread::Even => connection % over,
            Spread::Hashed => hashed(connection, over),
        };
        let queue = match self.server.topology {
            Topology::Loops { loops, spread: by } => spread(by, loops),
            Topology::Shared { .. } => 0,
            Topology::Seats {
                seats,
                spread: Spread::Even,
            } if own => self.active.min(seats),
            Topology::Seats {
                seats,
                spread: Spread::Even,
            } => connection % self.active.min(seats).max(1),
            Topology::Seats { seats, .. } => hashed(connection, seats),
            Topology::Staged { loops, .. } => connection % loops,
        };
        queue as u32
    }

    /// Step `number` of a request.
    pub(crate) fn step(&self, request: usize, connection: usize, number: u8) -> Step {
        let costs = &self.server.costs;
        let drawn = &self.trace.requests[request];
        let class = &self.trace.classes[drawn.class as usize];
        let opened = if drawn.own_connection {
            costs.connection_us
        } else {
            0.0
        };
        let bytes = class.kib_in * costs.kib_in_us + class.kib_out * costs.kib_out_us;
        let cpu = (drawn.cpu_ns as f64 * costs.cpu_factor) as u64;
        let lock = class.lock.map(|lock| lock as u32);
        let around = ns(costs.request_us + opened + bytes);
        let resume = ns(costs.resume_us);
        let after = |time: u64| if time > 0 { resume } else { 0 };
        let home = self.home(request, connection);
        match (self.server.topology, number) {
            (Topology::Seats { .. }, _) => {
                let held = drawn.blocked_ns + drawn.wait_ns;
                Step {
                    queue: home,
                    burst: around + cpu,
                    blocked: held,
                    tail: after(held),
                    lock,
                    last: true,
                    ..Step::default()
                }
            }
            (Topology::Staged { .. }, 0) => Step {
                queue: home,
                burst: around.saturating_sub(ns(costs.handover_us)) / 2,
                ..Step::default()
            },
            (Topology::Staged { loops, .. }, 1) => Step {
                queue: loops as u32,
                burst: ns(costs.handover_us).min(around) + cpu,
                blocked: drawn.blocked_ns,
                tail: after(drawn.blocked_ns),
                wait: drawn.wait_ns,
                lock,
                last: false,
            },
            (Topology::Staged { .. }, _) => Step {
                queue: home,
                burst: around.saturating_sub(ns(costs.handover_us)) / 2 + after(drawn.wait_ns),
                last: true,
                ..Step::default()
            },
            (_, 0) => Step {
                queue: home,
                burst: around + cpu,
                blocked: drawn.blocked_ns,
                tail: after(drawn.blocked_ns),
                wait: drawn.wait_ns,
                lock,
                last: drawn.wait_ns == 0,
            },
            (_, _) => Step {
                queue: home,
                burst: resume,
                last: true,
                ..Step::default()
            },
        }
    }
}
