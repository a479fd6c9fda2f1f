//! A workload: how many requests of which kinds come, what is asked of them, and of the machine.
//!
//! It is read from TOML ([`Workload::parse`]) or from flags ([`Flags`]); every field but one class has a
//! default, and a field that is not known is an error. [`Sampler`] draws requests of it from a seed.
//!
//! ```
//! let workload = workload::Workload::parse("rate = 500\n[[class]]\ncpu_us = 100\n").unwrap();
//! assert_eq!(workload.offered, workload::Offered::Open { rate: 500.0 });
//! assert!(workload::Workload::parse("rate = -1\n[[class]]\n").is_err());
//! ```

#![forbid(unsafe_code)]

mod check;
mod distribution;
mod flags;
mod mix;
mod parse;
mod sampler;
mod write;

pub use check::{CONNECTIONS_MAX, CPUS_MAX, MICROS_MAX, RATE_MAX};
pub use distribution::Distribution;
pub use flags::Flags;
pub use mix::{Kind, Mix, as_sent};
pub use sampler::{Drawn, Sampler};

/// A workload that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// How requests come.
    pub offered: Offered,
    /// Connections that are open at once.
    pub connections: u32,
    /// How many of them carry the load; the others are idle.
    pub active: u32,
    /// Share of the requests that come on a connection of their own, 0 to 1.
    pub churn: f64,
    /// The kinds of request; their shares add up to 1.
    pub classes: Vec<Class>,
    /// What must be kept.
    pub objective: Objective,
    /// What it will run on.
    pub machine: Machine,
    /// What the service cannot do without.
    pub needs: Needs,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offered {
    /// At random, so many per second, whatever the server does.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// From clients that wait for the reply, and then think.
    Closed {
        /// Clients.
        population: u32,
        /// Time between a reply and the next request of a client, ms.
        think_ms: f64,
    },
}

/// A kind of request.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// What the answer calls it.
    pub name: String,
    /// Its share of the requests.
    pub share: f64,
    /// CPU of the handler, µs.
    pub cpu_us: Distribution,
    /// A back end that blocks its worker, µs.
    pub blocked_us: Distribution,
    /// A back end that is awaited with the worker free, µs.
    pub wait_us: Distribution,
    /// A lock that is held for the CPU time; empty for none.
    pub lock: String,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the reply's body.
    pub reply_bytes: u64,
}

impl Default for Class {
    fn default() -> Self {
        Self {
            name: String::new(),
            share: 1.0,
            cpu_us: Distribution::Constant(0.0),
            blocked_us: Distribution::Constant(0.0),
            wait_us: Distribution::Constant(0.0),
            lock: String::new(),
            request_bytes: 0,
            reply_bytes: 13,
        }
    }
}

/// What must be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The percentile of the response time that is meant, such as 99.
    pub percentile: f64,
    /// Its bound, ms.
    pub response_ms: f64,
    /// The share of requests that may fail.
    pub errors_share_max: f64,
    /// The class that is meant; empty for all requests.
    pub class: String,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            percentile: 99.0,
            response_ms: 25.0,
            errors_share_max: 0.001,
            class: String::new(),
        }
    }
}

/// What the service will run on. `None`: as the machine of the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// CPUs of the server.
    pub cpus: Option<u32>,
    /// Memory that the server may use, MiB.
    pub memory_mib: Option<u64>,
    /// Whether io_uring may be used.
    pub io_uring: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            cpus: None,
            memory_mib: None,
            io_uring: true,
        }
    }
}

/// What the service cannot do without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Handlers share state in memory.
    pub shared_memory: bool,
    /// One request's crash may cost only its own connection.
    pub crash_isolation: bool,
}

impl Workload {
    /// The mean of what a request asks for: CPU, blocked and awaited time, µs.
    pub fn means_us(&self) -> [f64; 3] {
        let mean = |of: fn(&Class) -> &Distribution| {
            let each = self.classes.iter().map(|c| c.share * of(c).mean());
            each.sum::<f64>()
        };
        [
            mean(|c| &c.cpu_us),
            mean(|c| &c.blocked_us),
            mean(|c| &c.wait_us),
        ]
    }

    /// Whether some requests block or await, and do not only compute.
    pub fn pauses(&self) -> bool {
        let pauses = |c: &Class| !(c.blocked_us.is_zero() && c.wait_us.is_zero());
        self.classes.iter().any(pauses)
    }

    /// The index of the class that the objective is about; `None` for all.
    pub fn objective_class(&self) -> Option<usize> {
        let name = &self.objective.class;
        self.classes
            .iter()
            .position(|c| !name.is_empty() && c.name == *name)
    }

    /// The offered rate where the loop is open.
    pub fn rate(&self) -> Option<f64> {
        match self.offered {
            Offered::Open { rate } => Some(rate),
            Offered::Closed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
