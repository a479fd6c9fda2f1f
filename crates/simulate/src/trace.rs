//! The requests that all candidates are given.

use schema::random::SplitMix64;
use workload::{Distribution, Offered, Sampler, Workload};

/// How requests come.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// At random, so many per second, on whatever connection is free.
    Open {
        /// Requests per second.
        rate: f64,
        /// Connections that carry them; a request that finds none free waits, and its wait counts.
        connections: usize,
    },
    /// From clients that wait for the reply, and then think.
    Closed {
        /// Clients, each with a connection of its own.
        population: usize,
        /// How long each thinks, µs.
        think_us: Distribution,
    },
}

impl Load {
    /// So many times as much: requests per second, or clients.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        match self {
            Self::Open { rate, connections } => Self::Open {
                rate: rate * factor,
                connections: *connections,
            },
            Self::Closed {
                population,
                think_us,
            } => Self::Closed {
                population: ((*population as f64 * factor) as usize).max(1),
                think_us: think_us.clone(),
            },
        }
    }

    /// The load of a workload. Its clients think for times that vary (exponentially) around what it says: those that
    /// all think equally long would stay behind each other for ever, once a slow request has made them queue, and no
    /// user is so even.
    pub fn of(workload: &Workload) -> Self {
        match workload.offered {
            Offered::Open { rate } => Self::Open {
                rate,
                connections: workload.active as usize,
            },
            Offered::Closed {
                population,
                think_ms,
            } => Self::Closed {
                population: population as usize,
                think_us: match think_ms * 1_000.0 {
                    us if us > 0.0 => Distribution::Exponential { mean: us },
                    _ => Distribution::Constant(0.0),
                },
            },
        }
    }
}

/// A request as it was drawn; times in ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub class: u32,
    pub cpu_ns: u64,
    pub blocked_ns: u64,
    pub wait_ns: u64,
    /// The gap before it, as a multiple of the mean gap.
    pub gap: f32,
    /// Uniform in [0, 1): decides think times and hashes.
    pub chance: f32,
    pub own_connection: bool,
}

/// Requests, drawn once and served by all candidates.
#[derive(Debug, Clone)]
pub struct Trace {
    pub(crate) requests: Vec<Request>,
    pub(crate) classes: Vec<ClassOf>,
}

/// What all requests of a class share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassOf {
    /// The lock it takes, by number.
    pub lock: Option<usize>,
    pub kib_in: f64,
    pub kib_out: f64,
}

impl Trace {
    /// Draws `many` requests of `workload`.
    pub fn draw(workload: &Workload, many: usize, seed: u64) -> Self {
        let mut locks: Vec<&str> = workload.classes.iter().map(|c| c.lock.as_str()).collect();
        locks.sort_unstable();
        locks.dedup();
        let classes = workload.classes.iter().map(|class| ClassOf {
            lock: locks.iter().position(|l| !l.is_empty() && *l == class.lock),
            kib_in: class.request_bytes as f64 / 1024.0,
            kib_out: class.reply_bytes as f64 / 1024.0,
        });
        let mut random = SplitMix64::new(seed).fork(1);
        let ns = |us: f64| (us * 1_000.0) as u64;
        let requests = Sampler::new(workload, seed)
            .take(many)
            .map(|drawn| Request {
                class: drawn.class as u32,
                cpu_ns: ns(drawn.cpu_us),
                blocked_ns: ns(drawn.blocked_us),
                wait_ns: ns(drawn.wait_us),
                gap: -(1.0 - random.uniform()).ln() as f32,
                chance: random.uniform() as f32,
                own_connection: random.uniform() < workload.churn,
            });
        Self {
            requests: requests.collect(),
            classes: classes.collect(),
        }
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}
