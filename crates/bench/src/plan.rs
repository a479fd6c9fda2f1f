//! The plan of a run: every trial there will be, in order, from a seed and nothing else.
//!
//! A *visit* is a fresh server process and the windows measured on it; each window is a trial. The
//! null server comes first in every scenario of a block, because the gates of the others need its
//! figure; it competes with nobody. The rest, placebo included, is shuffled anew each time.

use report::data::{Mode, Role};
use serde::{Deserialize, Serialize};

use crate::args::Size;
use crate::catalogue::Contender;
use crate::failure::Failure;
use crate::random::{Random, digest};
use crate::scenario::{self, SCENARIOS, Scenario};

/// What a run was asked for: kept as `plan.json`, so that a resumed run measures the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `smoke`, `quick` or `full`.
    pub size: String,
    /// `--models`, as given.
    pub models: String,
    /// `--scenarios`, as given.
    pub scenarios: String,
    /// The seed that everything random derives from.
    pub seed: u64,
    /// CPUs of the server.
    pub server_cpus: String,
    /// CPUs of the generator.
    pub load_cpus: String,
    /// Digest of the plan itself: it differs when models or scenarios have changed since.
    pub digest: String,
}

/// A fresh server and what is measured on it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Block, from 0.
    pub block: u32,
    /// Place in the block's order for the scenario, from 0 (the null server).
    pub order: u32,
    /// The shape of the load.
    pub scenario: &'static Scenario,
    /// The server.
    pub contender: Contender,
    /// Workers to ask for, where the scenario sizes them.
    pub workers: Option<u32>,
    /// Seed of the arrivals: one for all servers of a block and scenario.
    pub seed: u64,
    /// The trials, in order.
    pub windows: Vec<Window>,
    /// Why the model cannot do this at all.
    pub blocked: Option<String>,
}

/// One trial: a window of a visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Counts up through the run.
    pub id: String,
    /// Closed or open loop.
    pub mode: Mode,
    /// Offered requests a second (open loop).
    pub rate: Option<f64>,
}

/// The scenarios that `spec` names, in the table's order; `all` is every one.
///
/// # Errors
/// A usage failure that names what is not known, and what is.
pub fn scenarios(spec: &str) -> Result<Vec<&'static Scenario>, Failure> {
    let names: Vec<&str> = spec
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    for name in &names {
        if *name != "all" && !SCENARIOS.iter().any(|s| s.name == *name) {
            let known: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
            return Err(Failure::usage(format!(
                "unknown scenario '{name}': {}",
                known.join(", ")
            )));
        }
    }
    if names.is_empty() {
        return Err(Failure::usage("--scenarios names no scenario"));
    }
    let all = names.contains(&"all");
    Ok(SCENARIOS
        .iter()
        .filter(|s| all || names.contains(&s.name))
        .collect())
}

/// Lays out the whole run.
pub fn lay_out(
    size: Size,
    contenders: &[Contender],
    scenarios: &[&'static Scenario],
    seed: u64,
    server_cpus: usize,
) -> Vec<Visit> {
    let mut visits = Vec::new();
    let mut trials = 0_u64;
    for block in 0..size.blocks() {
        for scenario in scenarios {
            let mut random = Random::new(seed)
                .fork(u64::from(block))
                .fork(digest(scenario.name));
            let arrivals = random.next();
            for (order, contender) in (0..).zip(order(contenders, scenario, &mut random)) {
                visits.push(Visit {
                    block,
                    order,
                    scenario,
                    workers: scenario::workers(&contender, scenario, server_cpus),
                    seed: arrivals,
                    windows: windows(scenario, &mut trials),
                    blocked: scenario::blocks(&contender, scenario),
                    contender,
                });
            }
        }
    }
    visits
}

/// The null server, then the models and their placebo in an order of this block's own.
fn order(contenders: &[Contender], scenario: &Scenario, random: &mut Random) -> Vec<Contender> {
    let able = |c: &&Contender| scenario::blocks(c, scenario).is_none();
    let placebo = contenders
        .iter()
        .filter(able)
        .find(|c| c.model == "single-reactor" && c.default)
        .or_else(|| contenders.iter().find(able))
        .map(Contender::placebo);
    let mut rest: Vec<Contender> = contenders.iter().cloned().chain(placebo).collect();
    random.shuffle(&mut rest);
    let mut all = vec![Contender::null()];
    all.append(&mut rest);
    all
}

fn windows(scenario: &Scenario, trials: &mut u64) -> Vec<Window> {
    let closed = (Mode::Closed, None);
    let open = scenario.rates.iter().map(|&rate| (Mode::Open, Some(rate)));
    std::iter::once(closed)
        .chain(open)
        .map(|(mode, rate)| {
            *trials += 1;
            Window {
                id: format!("{trials:05}"),
                mode,
                rate,
            }
        })
        .collect()
}

/// A digest of everything that a resumed run must share with the run it continues.
pub fn digest_of(visits: &[Visit]) -> String {
    let lines: String = visits
        .iter()
        .map(|v| {
            let s = v.scenario;
            format!(
                "{} {} {} {} {} {} {:?} {:?}\n",
                v.block,
                v.contender.label,
                s.name,
                s.path,
                s.connections,
                s.pipeline,
                v.workers,
                v.windows
            )
        })
        .collect();
    format!("{:016x}", digest(&lines))
}

impl Visit {
    /// `true` for the null server.
    pub fn is_null(&self) -> bool {
        self.contender.role == Role::Null
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
