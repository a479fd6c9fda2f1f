//! A scenario: one shape of load, the same for every server.

use std::time::Duration;

use report::data::{Deciding, Objective, ScenarioInfo};
use schema::{Measured, Reason};

use crate::plan::advised::Suits;
use crate::plan::contender::Contender;
use crate::plan::search::near_window;
use crate::plan::size::{self, Size};

/// The least objective of a request, in times of its own work.
const OBJECTIVE_TIMES: f64 = 5.0;

/// The route of the smallest reply.
pub const PLAINTEXT: &str = "/plaintext";

/// Beginnings of the routes of which it is known what they answer.
const KNOWN: &[&str] = &["/bytes/", "/cpu/", "/sleep/", "/wait/"];

/// One shape of load. Everything that a server is measured with in it is the same for every server.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Name, as `--scenarios` takes it.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub purpose: &'static str,
    /// The figure by which servers are ranked in it.
    pub decides: Deciding,
    /// In slices, where servers that stand side by side do not disturb each other; in trials of one
    /// server at a time, where they would: thousands of connections, more load than a server can carry.
    pub measured: Measured,
    /// `true` where the smaller sizes measure it by default.
    pub key: bool,
    /// The path that is asked for.
    pub path: &'static str,
    /// A mix of requests instead, as the generator takes it: `WEIGHT:METHOD:PATH`.
    pub mix: &'static [&'static str],
    /// Bytes of the bodies that the POST requests of the mix have.
    pub body_bytes: u64,
    /// Header fields of every request, `NAME: VALUE`.
    pub headers: &'static [&'static str],
    /// What is asked for is the user's, and what it answers is not known beforehand.
    pub own: bool,
    /// The length of each window, where it is not that of the size.
    pub window: Option<Duration>,
    /// Connections held, or open at a time where each carries one request.
    pub connections: u32,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// `false`: one connection per request.
    pub keep_alive: bool,
    /// Where connections are kept: the share of requests that have one of their own all the same. As many
    /// of these are open at once, at most.
    pub churn: f64,
    /// How long the clients of its closed loop think after each reply, ms.
    pub think_ms: f64,
    /// `true` where a request blocks its worker in a call, so that the worker leaves its CPU unused.
    pub blocks_worker: bool,
    /// `true` where a closed-loop window is measured.
    pub closed: bool,
    /// Offered requests per second in the open-loop windows of the smaller sizes, ascending.
    ///
    /// They are chosen for one server CPU of this decade: nearly every model holds the lower rate; at
    /// the upper one they begin to differ. They ascend because the requests that an overloaded server
    /// still has queued must not reach into a later window.
    pub rates: &'static [f64],
    /// The same in the size full.
    pub rates_full: &'static [f64],
    /// CPU per request, µs, where the load is half, twice and half of what the CPUs can compute.
    pub overload_cpu_us: Option<f64>,
    /// `true` where many idle connections are held in addition.
    pub idle: bool,
    /// Slow senders, and as many slow readers, in addition to the connections above.
    pub slow: u32,
    /// A path that is asked for once, in the middle of the window, and occupies a worker for long.
    pub poison: Option<&'static str>,
    /// `true` where the server needs a database.
    pub db: bool,
    /// Bytes that the null server replies; 0 for its default.
    pub reply_bytes: u32,
    /// What a server must keep for a rate to count as served.
    pub objective: Option<Objective>,
    /// `true` where the CPU of a server at ten requests per second is measured, in the first block.
    pub trickle: bool,
    /// The least size in which the capacity is searched for.
    pub capacity: Depth,
    /// The least size in which system calls are counted.
    pub calls: Depth,
    /// What it asks of a model, where the catalogue advises some models for that.
    pub suits: Option<Suits>,
}

/// From which size on something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// In every size.
    Always,
    /// In full only.
    Full,
    /// In none.
    Never,
}

impl Depth {
    /// Whether it is done in `size`.
    pub fn within(self, size: Size) -> bool {
        self == Self::Always || (self == Self::Full && size == Size::Full)
    }
}

impl Scenario {
    /// What the run's folder says of it.
    pub fn info(&self) -> ScenarioInfo {
        ScenarioInfo {
            name: self.name.to_owned(),
            purpose: self.purpose.to_owned(),
            decides: self.decides,
            measured: self.measured,
            objective: self.objective,
            advice: None,
        }
    }

    /// The same with another path. It lives as long as the program, as the table does.
    pub fn asking_for(&self, path: &str) -> Result<&'static Self, String> {
        let more = self.poison.is_some() || self.slow > 0 || self.overload_cpu_us.is_some();
        if !self.mix.is_empty() || self.db || more {
            return Err(format!("{} asks for more than one path", self.name));
        }
        let path: &'static str = Box::leak(path.to_owned().into_boxed_str());
        let known = path == PLAINTEXT || KNOWN.iter().any(|prefix| path.starts_with(prefix));
        let purpose = format!("{} Every row is asked for {path}.", self.purpose);
        let times = ["/cpu/", "/sleep/", "/wait/"].into_iter();
        let mut micros = times.filter_map(|prefix| path.strip_prefix(prefix)?.parse::<f64>().ok());
        // A server cannot be held to less than a few times the work of one request.
        let least_us = OBJECTIVE_TIMES * micros.next().unwrap_or(0.0);
        let objective = self.objective.map(|objective| Objective {
            p99_us: objective.p99_us.max(least_us),
            ..objective
        });
        Ok(Box::leak(Box::new(Self {
            path,
            own: !known,
            suits: None,
            purpose: Box::leak(purpose.into_boxed_str()),
            objective,
            ..*self
        })))
    }

    /// Rates of the open-loop windows.
    pub fn rates(&self, size: Size) -> &'static [f64] {
        match size {
            Size::Smoke | Size::Quick => self.rates,
            Size::Full => self.rates_full,
        }
    }

    /// Whether nothing but `/plaintext` is asked for, so that any other small reply will do.
    pub fn is_generic(&self) -> bool {
        let only = self.slow == 0 && self.poison.is_none() && !self.db;
        self.path == PLAINTEXT && self.mix.is_empty() && only && !self.own
    }

    /// The share of its rarest kind of request.
    pub fn rarest_share(&self) -> f64 {
        let weight = |kind: &&str| kind.split(':').next()?.parse::<f64>().ok();
        let weights: Vec<f64> = self.mix.iter().filter_map(weight).collect();
        let least = weights.iter().copied().reduce(f64::min);
        least.map_or(1.0, |least| least / weights.iter().sum::<f64>())
    }

    /// How its capacity is searched for, and whether that is coarse: where the windows that a narrow
    /// bracket takes are longer than the size allows.
    pub fn search(&self, size: Size) -> Option<(size::Search, bool)> {
        let fine = size.fine_search()?;
        let rate = self.rates(size).last().copied()?;
        let longest = self.near_window(&fine, rate);
        if longest <= fine.near[1] {
            return Some((fine, false));
        }
        Some((size.search()?, true))
    }

    /// How long a window near the edge must be at `rate`.
    pub fn near_window(&self, how: &size::Search, rate: f64) -> Duration {
        let objective_us = self.objective.map_or(0.0, |objective| objective.p99_us);
        let needed = near_window(how.ratio, rate, self.rarest_share(), objective_us);
        needed.max(how.near[0])
    }

    /// Connections that a server must hold at once, `idle` of them idle.
    pub fn connections_at_once(&self, idle: u32) -> u32 {
        let own = if self.churn > 0.0 {
            self.connections
        } else {
            0
        };
        self.connections + own + idle + 2 * self.slow + u32::from(self.poison.is_some())
    }

    /// Rates of the overload: half, twice and half of what `cpus` CPUs can compute, the same for every
    /// model. A tenth of the CPU is left for what is not computation.
    pub fn overload_rates(&self, cpus: usize) -> Option<[f64; 3]> {
        let capacity = 0.9 * 1e6 / self.overload_cpu_us? * cpus as f64;
        Some([capacity / 2.0, capacity * 2.0, capacity / 2.0])
    }

    /// The length of a slice of it in `size`.
    pub fn slice(&self, size: Size) -> Duration {
        self.window.unwrap_or(size.slices().1)
    }

    /// Every path that is asked for, with its method.
    pub fn requests(&self) -> Vec<(&'static str, &'static str)> {
        if self.mix.is_empty() {
            return vec![("GET", self.path)];
        }
        let kind = |mixed: &&'static str| {
            let mut parts = mixed.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        };
        self.mix.iter().filter_map(kind).collect()
    }
}

/// Why `contender` cannot do `scenario` at all, when it cannot.
///
/// Slow is not "cannot": a single reactor serialises a blocking back end, and that is measured.
pub fn blocks(contender: &Contender, scenario: &Scenario, idle: u32) -> Option<Reason> {
    // Where each request has a connection of its own, a server of one connection at a time serves
    // the next one when that request is over.
    let held_for_long = scenario.keep_alive || idle > 0 || scenario.slow > 0;
    let held = scenario.connections_at_once(idle);
    held_for_long
        .then(|| contender.workers.cannot_hold(held))
        .flatten()
}

/// The number of workers to ask for; `None` where the variant's default is right.
pub fn workers(
    contender: &Contender,
    scenario: &Scenario,
    idle: u32,
    server_cpus: usize,
) -> Option<u32> {
    if contender.default_pool || contender.target.is_some() {
        return None;
    }
    let held = scenario.connections_at_once(idle);
    contender
        .workers
        .asked_for(held, scenario.blocks_worker, server_cpus)
}
