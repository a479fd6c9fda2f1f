//! The plan of a run: every trial there will be, in order, from a seed and nothing else.
//!
//! A *visit* is a fresh server process and the windows measured on it; each window is a trial. The
//! null server comes first in every scenario of a block, because the gates of the others need its
//! figure; it competes with nobody. The rest, placebo included, is shuffled anew each time. The
//! passes that are not compared by speed follow: capacity and system calls behind the scenario they
//! belong to, memory at the end of the first block.

use std::time::Duration;

use report::data::{Mode, Pass, Role};
use schema::Reason;

use crate::plan::contender::Contender;
use crate::plan::nature::Workers;
use crate::plan::scenario::Scenario;
use crate::plan::size::Size;

/// A fresh server and what is measured on it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Block, from 0.
    pub block: u32,
    /// Place in the block's order for the scenario, from 0 (the null server).
    pub order: u32,
    /// What it is there for.
    pub pass: Pass,
    /// The shape of the load.
    pub scenario: &'static Scenario,
    /// Connections beside it without a request.
    pub idle: u32,
    /// The server.
    pub contender: Contender,
    /// Workers to ask for, where the scenario sizes them.
    pub workers: Option<u32>,
    /// Seed of the arrivals: one for all servers of a block and scenario.
    pub seed: u64,
    /// The trials, in order.
    pub windows: Vec<Window>,
    /// Why it is not measured at all: by its design, or because a route is not offered.
    pub blocked: Option<Reason>,
}

/// One trial: a window of a visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Counts up through the run.
    pub id: String,
    /// Closed or open loop.
    pub mode: Mode,
    /// Offered requests a second (open loop); of a load in steps, the highest.
    pub rate: Option<f64>,
    /// The steps of the load, where it has several.
    pub steps: Vec<Step>,
}

/// A step of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What the report calls it.
    pub name: &'static str,
    /// Offered requests a second.
    pub rate: f64,
    /// Its length.
    pub duration: Duration,
}

impl Window {
    /// How long it is in `scenario`.
    pub fn duration(&self, scenario: &Scenario, size: Size) -> Duration {
        let windows = size.windows();
        match self.mode {
            Mode::Open if !self.steps.is_empty() => {
                self.steps.iter().map(|step| step.duration).sum()
            }
            Mode::Open if scenario.poison.is_some() => windows.poison,
            Mode::Open => windows.open,
            Mode::Closed => windows.closed,
        }
    }
}

impl Visit {
    /// `true` for the null server.
    pub fn is_null(&self) -> bool {
        self.contender.role == Role::Null
    }

    /// The path of the target's own that it is asked for instead of the scenario's.
    pub fn own_path(&self) -> Option<&str> {
        let own = self.contender.target.as_ref()?.path.as_deref();
        own.filter(|_| self.scenario.is_generic())
    }

    /// What it is asked for, where requests are all alike.
    pub fn path(&self) -> &str {
        self.own_path().unwrap_or(self.scenario.path)
    }

    /// Workers it is known to have, where that is known.
    pub fn workers_known(&self, server_cpus: usize) -> Option<u32> {
        match (self.workers, self.contender.nature.workers) {
            (_, Workers::UpTo(_)) => None,
            (None, _) if self.contender.target.is_some() => None,
            (Some(workers), _) => Some(workers),
            (None, Workers::Pool(default)) => default,
            (None, Workers::One) => Some(1),
            (None, Workers::PerCpu) => u32::try_from(server_cpus).ok(),
        }
    }
}
