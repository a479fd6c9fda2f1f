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
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::tests::catalogue;

    fn plan(size: Size, seed: u64) -> Vec<Visit> {
        let contenders = catalogue().choose("all").expect("known");
        lay_out(
            size,
            &contenders,
            &scenarios("all").expect("known"),
            seed,
            1,
        )
    }

    fn labels(visits: &[Visit], block: u32, scenario: &str) -> Vec<String> {
        let of = |v: &&Visit| v.block == block && v.scenario.name == scenario;
        visits
            .iter()
            .filter(of)
            .map(|v| v.contender.label.clone())
            .collect()
    }

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(
            digest_of(&plan(Size::Quick, 7)),
            digest_of(&plan(Size::Quick, 7))
        );
        assert_ne!(
            digest_of(&plan(Size::Quick, 7)),
            digest_of(&plan(Size::Quick, 8))
        );
        assert_ne!(
            digest_of(&plan(Size::Quick, 7)),
            digest_of(&plan(Size::Smoke, 7))
        );
    }

    #[test]
    fn every_block_and_scenario_holds_every_model_the_placebo_and_the_null_server() {
        let visits = plan(Size::Quick, 1);
        for block in 0..3 {
            for s in SCENARIOS {
                let mut here = labels(&visits, block, s.name);
                assert_eq!(here[0], "null");
                here.sort();
                assert_eq!(
                    here,
                    [
                        "iterative",
                        "null",
                        "prefork",
                        "single-reactor",
                        "single-reactor (A/A)",
                        "thread-pool"
                    ]
                );
            }
        }
        let ids: BTreeSet<&str> = visits
            .iter()
            .flat_map(|v| &v.windows)
            .map(|w| w.id.as_str())
            .collect();
        assert_eq!(
            ids.len(),
            visits.iter().map(|v| v.windows.len()).sum::<usize>()
        );
    }

    #[test]
    fn the_order_differs_across_blocks_and_the_arrivals_are_shared_within_one() {
        let visits = plan(Size::Full, 3);
        let orders: BTreeSet<Vec<String>> =
            (0..10).map(|block| labels(&visits, block, "cpu")).collect();
        assert!(orders.len() > 5, "{orders:?}");
        for block in 0..10 {
            for s in SCENARIOS {
                let seeds: BTreeSet<u64> = visits
                    .iter()
                    .filter(|v| v.block == block && v.scenario.name == s.name)
                    .map(|v| v.seed)
                    .collect();
                assert_eq!(seeds.len(), 1);
            }
        }
    }

    #[test]
    fn the_placebo_is_a_model_that_can_do_the_scenario() {
        let only = catalogue()
            .choose("iterative,prefork:flock")
            .expect("known");
        let visits = lay_out(Size::Smoke, &only, &scenarios("all").expect("known"), 1, 1);
        assert!(labels(&visits, 0, "cpu").contains(&"prefork:flock (A/A)".to_owned()));
        assert!(labels(&visits, 0, "churn").contains(&"iterative (A/A)".to_owned()));
        assert!(
            visits
                .iter()
                .all(|v| v.contender.role == Role::Model || v.blocked.is_none())
        );
    }

    #[test]
    fn unknown_scenarios_are_named() {
        let error = scenarios("cpu,tiny").expect_err("unknown");
        assert!(
            error
                .to_string()
                .starts_with("unknown scenario 'tiny': tiny-keepalive,")
        );
        assert_eq!(scenarios("latency,cpu").expect("known").len(), 2);
    }
}
