//! Capacities of several servers at a workload, in interleaved trials.
//!
//! The servers stand side by side and are visited in turn, each at the rate that its own search asks for
//! next, so that a slow moment of the machine meets all of them.

use anyhow::{Context, anyhow};
use report::data::{Mode, Pass, Shape};
use schema::load::BodyCheck;
use workload::Workload;

use crate::failure::Unmeasured;
use crate::observe::cpus::CpuList;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::scenario::Scenario;
use crate::plan::visit::Visit;
use crate::plan::workload as plan;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::visit;

/// The length of a trial, s.
pub const STEP_S: f64 = 1.0;
/// Trials of a server at most.
const STEPS: usize = 9;
/// The search ends when its ends are so near.
const WITHIN: f64 = 1.04;

/// A server that is measured.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Model.
    pub model: String,
    /// Variant.
    pub variant: String,
    /// Whether it is the model's default variant.
    pub default: bool,
    /// `--workers`; `None` for the default.
    pub workers: Option<u32>,
    /// Where the search begins, requests per second.
    pub guess_rps: f64,
}

/// A search between a rate that was kept and one that was not.
struct Search {
    low: f64,
    high: f64,
    next: f64,
}

impl Search {
    fn record(&mut self, kept: bool) {
        if kept {
            self.low = self.next;
        } else {
            self.high = self.next;
        }
        self.next = match (self.low > 0.0, self.high.is_finite()) {
            (true, true) => f64::sqrt(self.low * self.high),
            (true, false) => self.low * 1.25,
            _ => self.high * 0.75,
        };
    }

    fn is_over(&self) -> bool {
        self.low > 0.0 && self.high / self.low < WITHIN
    }
}

/// One server, its visit, and its search.
struct Runner {
    server: Server,
    visit: Visit,
    search: Search,
}

/// The capacity of each of `asked`, requests per second within the workload's objective, or why there is
/// none.
///
/// # Errors
/// The workload cannot be sent, or its objective is not one that is measured here.
pub fn capacities(
    workload: &Workload,
    asked: &[Asked],
) -> anyhow::Result<Vec<Result<f64, String>>> {
    let made = plan::scenario(&workload.to_string(), 1).map_err(|failure| anyhow!("{failure}"))?;
    let objective = made.scenario.objective;
    let objective = objective.context("only a p99 of all requests is measured")?;
    workload.rate().context("only an open loop is measured")?;
    let allowed = CpuList::allowed()?;
    let (server_cpus, load_cpus) = allowed.halves();
    let scratch =
        |name: &str| std::env::temp_dir().join(format!("turnstile-{}-{name}", std::process::id()));
    let setup = Setup::of_own(server_cpus, load_cpus, scratch)?;
    let known = Catalogue::ask(&setup.own)?
        .choose("all-variants")
        .map_err(|f| anyhow!("{f}"))?;
    let begin = |asked: &Asked| -> Result<Runner, String> {
        let plain = |name: &str| {
            if name == "-" {
                String::new()
            } else {
                name.to_owned()
            }
        };
        let same = |c: &&Contender| c.model == asked.model && c.variant == plain(&asked.variant);
        let contender = known.iter().find(same).ok_or("there is no such variant")?;
        let visit = visit_of(made.scenario, made.idle, contender, asked.workers);
        let (server, _) = visit::begin(&setup, &visit).map_err(|why| said(&why))?;
        let next = if asked.guess_rps > 0.0 {
            asked.guess_rps * 0.95
        } else {
            500.0
        };
        let search = Search {
            low: 0.0,
            high: f64::INFINITY,
            next,
        };
        Ok(Runner {
            server,
            visit,
            search,
        })
    };
    let mut runners: Vec<Result<Runner, String>> = asked.iter().map(begin).collect();
    for _ in 0..STEPS {
        for slot in &mut runners {
            let Ok(runner) = slot else { continue };
            if runner.search.is_over() {
                continue;
            }
            match step(&setup, runner, objective) {
                Ok(kept) => runner.search.record(kept),
                Err(Unmeasured::Interrupted) => anyhow::bail!("interrupted"),
                Err(why) => *slot = Err(said(&why)),
            }
        }
    }
    let end = |runner: Result<Runner, String>| {
        let runner = runner?;
        let drained = runner
            .server
            .drain(&setup.interrupt)
            .map_err(|why| said(&why));
        let Search { low, high, next } = runner.search;
        if low == 0.0 {
            return Err(format!("no rate down to {next:.0}/s kept the objective"));
        }
        drained.map(|_| {
            if high.is_finite() {
                f64::midpoint(low, high.min(low * 1.25))
            } else {
                low
            }
        })
    };
    Ok(runners.into_iter().map(end).collect())
}

fn visit_of(
    scenario: &'static Scenario,
    idle: u32,
    contender: &Contender,
    workers: Option<u32>,
) -> Visit {
    Visit {
        block: 0,
        order: 0,
        pass: Pass::Capacity,
        scenario,
        idle,
        contender: contender.clone(),
        workers,
        seed: 1,
        windows: Vec::new(),
        check: BodyCheck::Exact,
        closes: false,
        blocked: None,
    }
}

fn step(
    setup: &Setup,
    runner: &Runner,
    objective: report::data::Objective,
) -> Result<bool, Unmeasured> {
    let shape = Shape {
        mode: Mode::Open,
        rate: Some(runner.search.next),
        duration_s: STEP_S,
        idle: runner.visit.idle,
        ..setup.shape(&runner.visit, None)
    };
    let sample = visit::sample(setup, &runner.visit, &shape, &runner.server)?;
    let load = &sample.load;
    let failed = load.scheduled.saturating_sub(load.requests) as f64;
    let errors = failed / load.scheduled.max(1) as f64;
    let kept = load
        .response_us
        .p99
        .is_some_and(|p99| p99 <= objective.p99_us);
    Ok(kept && errors <= objective.errors_max_share)
}

fn said(why: &Unmeasured) -> String {
    match why {
        Unmeasured::Because(reason) => reason.text.clone(),
        Unmeasured::Interrupted => "interrupted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_a_capacity_from_every_guess() {
        for guess in [100.0, 900.0, 1_000.0, 1_400.0, 3_000.0] {
            let mut search = Search {
                low: 0.0,
                high: f64::INFINITY,
                next: guess,
            };
            let mut steps = 0;
            while !search.is_over() {
                search.record(search.next <= 1_000.0);
                steps += 1;
                assert!(steps < 40, "from {guess}");
            }
            assert!(search.low <= 1_000.0 && search.high > 1_000.0);
        }
    }
}
