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
    /// Whether one thread of a queue waits for all: the next is woken up when that one runs.
    pub led: bool,
}

/// Makes the steps of requests.
pub(crate) struct Steps<'a> {
    server: &'a Server,
    trace: &'a Trace,
    /// Connections that carry the load.
    active: usize,
    /// Whether some requests come on connections that stay open.
    stay: bool,
    /// CPU around the handler of each class, on a connection that stays and on one of its own.
    around: Vec<[u64; 2]>,
    resume: u64,
    unblock: u64,
    handover: u64,
    blocked_late: u64,
    awaited_late: u64,
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
        let costs = &server.costs;
        let around = trace.classes.iter().map(|class| {
            let bytes = class.kib_in * costs.kib_in_us + class.kib_out * costs.kib_out_us;
            [0.0, costs.connection_us].map(|opened| ns(costs.request_us + opened + bytes))
        });
        Self {
            server,
            trace,
            active,
            stay: trace.requests.iter().any(|r| !r.own_connection),
            around: around.collect(),
            resume: ns(costs.resume_us),
            unblock: ns(costs.unblock_us),
            handover: ns(costs.handover_us),
            blocked_late: ns(costs.blocked_late_us),
            awaited_late: ns(costs.awaited_late_us),
        }
    }

    /// Seats that are held by connections that stay open and carry the load.
    fn kept(&self, seats: usize) -> usize {
        if self.stay { self.active.min(seats) } else { 0 }
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
                let mut threads = vec![1; self.kept(seats)];
                let held = if self.stay {
                    self.server.connections
                } else {
                    0
                };
                threads.push(seats.saturating_sub(held).max(1));
                threads
            }
            Topology::Seats { seats, .. } => vec![1; seats],
            Topology::Staged { loops, workers } => {
                let mut threads = vec![1; loops];
                threads.push(workers);
                threads
            }
        };
        Queues {
            threads,
            led: matches!(self.server.topology, Topology::Shared { .. }),
        }
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
            } if own => self.kept(seats),
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
        let drawn = &self.trace.requests[request];
        let class = drawn.class as usize;
        let around = self.around[class][usize::from(drawn.own_connection)];
        let cpu = (drawn.cpu_ns as f64 * self.server.costs.cpu_factor) as u64;
        let lock = self.trace.classes[class].lock.map(|lock| lock as u32);
        let (resume, unblock) = (self.resume, self.unblock);
        let after = |time: u64, more: u64| if time > 0 { more } else { 0 };
        let blocked = drawn.blocked_ns + after(drawn.blocked_ns, self.blocked_late);
        let wait = drawn.wait_ns + after(drawn.wait_ns, self.awaited_late);
        let home = self.home(request, connection);
        match (self.server.topology, number) {
            (Topology::Seats { .. }, _) => Step {
                queue: home,
                burst: around + cpu,
                blocked: blocked + wait,
                tail: after(blocked, unblock) + after(wait, resume),
                lock,
                last: true,
                ..Step::default()
            },
            (Topology::Staged { .. }, 0) => Step {
                queue: home,
                burst: around.saturating_sub(self.handover) / 2,
                ..Step::default()
            },
            (Topology::Staged { loops, .. }, 1) => Step {
                queue: loops as u32,
                burst: self.handover.min(around) + cpu,
                blocked,
                tail: after(blocked, unblock),
                wait,
                lock,
                last: false,
            },
            (Topology::Staged { .. }, _) => Step {
                queue: home,
                burst: around.saturating_sub(self.handover) / 2 + after(wait, resume),
                last: true,
                ..Step::default()
            },
            (_, 0) => Step {
                queue: home,
                burst: around + cpu,
                blocked,
                tail: after(blocked, unblock),
                wait,
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
