//! The scenarios: what is asked of every server, the same of each.

use report::data::{Deciding, Objective, ScenarioInfo};
use schema::Reason;

use crate::plan::contender::Contender;
use crate::plan::size::Size;

/// The route of the smallest reply.
pub const PLAINTEXT: &str = "/plaintext";

/// One shape of load. Everything a model is measured with in it is the same for every model.
#[derive(Debug)]
pub struct Scenario {
    /// Name, as `--scenarios` takes it.
    pub name: &'static str,
    /// One sentence: what it is there to show.
    pub purpose: &'static str,
    /// The figure by which servers are ranked in it.
    pub decides: Deciding,
    /// `true` where the smaller sizes measure it without being asked to.
    pub key: bool,
    /// Route asked for.
    pub path: &'static str,
    /// A mix instead, as the generator takes it: `WEIGHT:METHOD:PATH`.
    pub mix: &'static [&'static str],
    /// Connections held, or in flight at once when each carries one request.
    pub connections: u32,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// `false`: a connection a request.
    pub keep_alive: bool,
    /// `true` when a request keeps its worker from the CPU (blocked in the call).
    pub blocks_worker: bool,
    /// `true` where a closed-loop window says something.
    pub closed: bool,
    /// Offered requests a second of the open-loop windows of the smaller sizes, ascending.
    ///
    /// Chosen for one server CPU of this decade: nearly every model holds the lower rate; the upper
    /// one is where they begin to differ, and a model that cannot hold it shows that. Ascending,
    /// because what an overloaded server still has queued must not spill into a later window.
    pub rates: &'static [f64],
    /// The same of the size full.
    pub rates_full: &'static [f64],
    /// CPU of a request, µs, where the load is half, twice and half of what that CPU allows.
    pub overload_cpu_us: Option<f64>,
    /// `true` where many connections are held beside these without a request.
    pub idle: bool,
    /// Slow senders, and as many slow readers, beside the connections above.
    pub slow: u32,
    /// A path that is asked for once, in the middle, and hurts.
    pub poison: Option<&'static str>,
    /// `true` where the server needs a database.
    pub db: bool,
    /// What a reply body of the null server must be as long as, bytes; 0 for its own.
    pub reply_bytes: u32,
    /// When a rate counts as served.
    pub objective: Option<Objective>,
    /// The least size in which the capacity is searched for.
    pub capacity: Depth,
    /// The least size in which system calls are counted.
    pub calls: Depth,
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
            objective: self.objective,
        }
    }

    /// Rates of the open-loop windows.
    pub fn rates(&self, size: Size) -> &'static [f64] {
        match size {
            Size::Smoke | Size::Quick => self.rates,
            Size::Full => self.rates_full,
        }
    }

    /// Whether any small reply will do: nothing but `/plaintext` is asked for.
    pub fn is_generic(&self) -> bool {
        let alone = self.slow == 0 && self.poison.is_none() && !self.db;
        self.path == PLAINTEXT && self.mix.is_empty() && alone
    }

    /// Connections that a server must hold at once, `idle` of them without a request.
    pub fn connections_at_once(&self, idle: u32) -> u32 {
        self.connections + idle + 2 * self.slow + u32::from(self.poison.is_some())
    }

    /// Rates of the overload: half, twice and half of what `cpus` CPUs can compute. The same for
    /// every model: a tenth is left for what is not computation.
    pub fn overload_rates(&self, cpus: usize) -> Option<[f64; 3]> {
        let capacity = 0.9 * 1e6 / self.overload_cpu_us? * cpus as f64;
        Some([capacity / 2.0, capacity * 2.0, capacity / 2.0])
    }

    /// Every path that it asks for, with its method.
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
    // A connection a request is over with it: whoever serves one at a time serves the next one then.
    let held_for_long = scenario.keep_alive || idle > 0 || scenario.slow > 0;
    let held = scenario.connections_at_once(idle);
    held_for_long
        .then(|| contender.nature.cannot_hold(held))
        .flatten()
}

/// Workers to ask for, `None` where the model's own default is right.
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
        .nature
        .workers_for(held, scenario.blocks_worker, server_cpus)
}
