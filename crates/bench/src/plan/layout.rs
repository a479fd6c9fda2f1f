//! Lays out the plan of a run: block by block, scenario by scenario, server by server.
//!
//! The null server comes first in every scenario of a block, because the gates of the others need its
//! figure; it is not compared itself. The others, placebo included, are shuffled again in each block
//! and scenario. The passes that are not compared by speed follow: capacity and system calls behind
//! the scenario they belong to, memory at the end of the first block.

use std::collections::BTreeMap;

use report::data::{Mode, Pass};
use schema::Measured;
use schema::digest::digest;
use schema::random::SplitMix64;

use crate::plan::contender::Contender;
use crate::plan::passes::Passes;
use crate::plan::scenario::{self, Scenario};
use crate::plan::scenarios::MEMORY;
use crate::plan::size::Size;
use crate::plan::target::Target;
use crate::plan::visit::{Step, Visit, Window};
use crate::plan::workers::{Count, Holds};

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// How much is measured.
    pub size: Size,
    /// The servers: the rows of the comparison.
    pub contenders: &'a [Contender],
    /// The scenarios: its columns.
    pub scenarios: &'a [&'static Scenario],
    pub passes: &'a Passes,
    /// The seed that everything random derives from.
    pub seed: u64,
    /// How many CPUs the server has.
    pub server_cpus: usize,
    /// Idle connections, in scenarios that hold many.
    pub idle: u32,
    /// Offered rates by scenario, where they are not those of the table.
    pub rates: &'a BTreeMap<String, Vec<f64>>,
    /// Rounds of slices, where they are not the blocks of the size: each is a block of its own.
    pub rounds: Option<u32>,
}

/// Lays out the whole run.
pub fn lay_out(spec: &Spec<'_>) -> Vec<Visit> {
    let mut layout = Layout {
        spec,
        visits: Vec::new(),
        trials: 0,
    };
    for block in 0..spec.size.blocks() {
        for scenario in spec.scenarios {
            layout.scenario(block, scenario);
        }
        if block == 0 && spec.passes.has(Pass::Memory) {
            layout.memory();
        }
    }
    for round in spec.size.blocks()..spec.rounds.unwrap_or(0) {
        for scenario in spec.scenarios {
            if scenario.measured == Measured::Slices {
                layout.round(round, scenario);
            }
        }
    }
    layout.visits
}

/// A plan while it is laid out.
struct Layout<'a> {
    spec: &'a Spec<'a>,
    visits: Vec<Visit>,
    trials: u64,
}

impl Layout<'_> {
    /// The servers of a scenario in a block, one after the other or side by side; returns what else in
    /// the block is drawn from: the random numbers, and the seed of the arrivals.
    fn round(&mut self, block: u32, scenario: &'static Scenario) -> (SplitMix64, u64) {
        let mut random = SplitMix64::new(self.spec.seed)
            .fork(u64::from(block))
            .fork(digest(scenario.name.as_bytes()));
        let arrivals = random.next_u64();
        let order = self.order(scenario, &mut random);
        if self.spec.passes.has(Pass::Measure) {
            for (order, contender) in (0..).zip(order) {
                self.visit(block, order, Pass::Measure, scenario, contender, arrivals);
            }
        }
        (random, arrivals)
    }

    fn scenario(&mut self, block: u32, scenario: &'static Scenario) {
        let Spec { size, passes, .. } = *self.spec;
        let (mut random, arrivals) = self.round(block, scenario);
        let searched = size.search().is_some_and(|search| block < search.blocks);
        let capacity = searched && scenario.capacity.within(size);
        let calls = block == 0 && scenario.calls.within(size);
        for (pass, here) in [(Pass::Capacity, capacity), (Pass::SystemCalls, calls)] {
            if !here || !passes.has(pass) {
                continue;
            }
            let mut rest = self.competitors(pass);
            random.shuffle(&mut rest);
            for (order, contender) in (1..).zip(rest) {
                self.visit(block, order, pass, scenario, contender, arrivals);
            }
        }
    }

    fn memory(&mut self) {
        for (order, contender) in (1..).zip(self.competitors(Pass::Memory)) {
            self.visit(0, order, Pass::Memory, &MEMORY, contender, 0);
        }
    }

    /// The servers of a pass without a placebo. All passes but capacity read counters, for which the
    /// process must be known.
    fn competitors(&self, pass: Pass) -> Vec<Contender> {
        let known = |c: &&Contender| {
            let process = c.target.as_ref().is_none_or(Target::has_process);
            process || pass == Pass::Capacity
        };
        self.spec.contenders.iter().filter(known).cloned().collect()
    }

    fn visit(
        &mut self,
        block: u32,
        order: u32,
        pass: Pass,
        scenario: &'static Scenario,
        contender: Contender,
        seed: u64,
    ) {
        let idle = if scenario.idle { self.spec.idle } else { 0 };
        let workers = scenario::workers(&contender, scenario, idle, self.spec.server_cpus);
        let windows = self.windows(scenario, pass);
        self.visits.push(Visit {
            block,
            order,
            idle,
            workers: workers.filter(|_| pass != Pass::Memory),
            seed,
            windows,
            // Memory is read up to the step that the server cannot hold, and that step says why.
            blocked: scenario::blocks(&contender, scenario, idle).filter(|_| pass != Pass::Memory),
            ..Visit::new(pass, scenario, contender)
        });
    }

    /// The null server, then the models and their placebo in a random order.
    fn order(&self, scenario: &'static Scenario, random: &mut SplitMix64) -> Vec<Contender> {
        let contenders = self.spec.contenders;
        let idle = if scenario.idle { self.spec.idle } else { 0 };
        let able = |c: &&Contender| scenario::blocks(c, scenario, idle).is_none();
        let placebo = contenders
            .iter()
            .filter(able)
            // A single loop adds the least noise of its own.
            .find(|c| c.default && c.workers.is_one_loop())
            .or_else(|| contenders.iter().find(able))
            .map(Contender::placebo);
        let default_pools = self.default_pools(scenario);
        let rest = contenders.iter().cloned().chain(placebo);
        let mut rest: Vec<Contender> = rest.chain(default_pools).collect();
        random.shuffle(&mut rest);
        let mut all = vec![Contender::null()];
        all.append(&mut rest);
        all
    }

    /// The same servers with their default pool size, where the scenario asks for another one; in the
    /// size full only.
    ///
    /// Not where there are idle or slow clients: they would hold every worker before the first request.
    fn default_pools(&self, scenario: &'static Scenario) -> Vec<Contender> {
        let others = scenario.idle || scenario.slow > 0 || scenario.poison.is_some();
        if self.spec.size != Size::Full || !scenario.key || others {
            return Vec::new();
        }
        let resized = |c: &&Contender| {
            let asked = scenario::workers(c, scenario, 0, self.spec.server_cpus);
            let default = match c.workers.count {
                Count::Pool(default) => default,
                Count::One | Count::PerCpu | Count::UpTo(_) => return false,
            };
            c.default && c.workers.holds == Holds::Workers && asked != default
        };
        let resized = self.spec.contenders.iter().filter(resized);
        resized.map(Contender::with_default_pool).collect()
    }

    fn windows(&mut self, scenario: &Scenario, pass: Pass) -> Vec<Window> {
        let size = self.spec.size;
        let plain = |mode, rate| (mode, rate, Vec::new());
        let closed = plain(Mode::Closed, None);
        let shapes = match pass {
            Pass::Memory | Pass::SystemCalls | Pass::Drain => vec![closed],
            Pass::Capacity => vec![plain(Mode::Open, None)],
            Pass::Measure => {
                let own = self.spec.rates.get(scenario.name).map(Vec::as_slice);
                let open = own.unwrap_or(scenario.rates(size)).iter();
                let open = open.map(|&rate| plain(Mode::Open, Some(rate)));
                let steps = overload(scenario, size, self.spec.server_cpus);
                let peak = steps.iter().map(|step| step.rate).reduce(f64::max);
                let stepped = (!steps.is_empty()).then_some((Mode::Open, peak, steps));
                let closed = scenario.closed.then_some(closed).into_iter();
                closed.chain(open).chain(stepped).collect()
            }
        };
        let mut window = |(mode, rate, steps)| {
            self.trials += 1;
            Window {
                id: format!("{:05}", self.trials),
                mode,
                rate,
                steps,
            }
        };
        shapes.into_iter().map(&mut window).collect()
    }
}

fn overload(scenario: &Scenario, size: Size, cpus: usize) -> Vec<Step> {
    let Some(rates) = scenario.overload_rates(cpus) else {
        return Vec::new();
    };
    let durations = size.windows().overload;
    ["half", "twice", "recovery"]
        .into_iter()
        .zip(rates)
        .zip(durations)
        .map(|((name, rate), duration)| Step {
            name,
            rate,
            duration,
        })
        .collect()
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
