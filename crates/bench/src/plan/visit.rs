//! A visit as it is planned: a fresh server process, and the windows measured on it.
//!
//! Each window is a trial.

use std::time::Duration;

use report::data::{Mode, Pass, Role};
use schema::load::BodyCheck;
use schema::{Measured, Reason};

use crate::plan::contender::Contender;
use crate::plan::scenario::Scenario;
use crate::plan::size::Size;
use crate::plan::workers::Count;

/// A fresh server and what is measured on it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Block, from 0.
    pub block: u32,
    /// Place in the order of the scenario in this block, from 0 (the null server).
    pub order: u32,
    pub pass: Pass,
    /// The scenario: the shape of the load.
    pub scenario: &'static Scenario,
    /// Idle connections, in addition to those of the load.
    pub idle: u32,
    /// The server.
    pub contender: Contender,
    /// The number of workers to ask for; `None` for the default.
    pub workers: Option<u32>,
    /// Seed of the arrivals: the same for all servers of a block and scenario.
    pub seed: u64,
    /// The trials, in order.
    pub windows: Vec<Window>,
    /// How much of the replies is compared with the first one.
    pub check: BodyCheck,
    /// The server closes the connection after each reply, so that each request has a new one.
    pub closes: bool,
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
    /// Offered requests per second (open loop); of a load in steps, the highest.
    pub rate: Option<f64>,
    /// The steps of the load, where it has several.
    pub steps: Vec<Step>,
}

/// A step of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What the report calls it.
    pub name: &'static str,
    /// Offered requests per second.
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
            Mode::Open => scenario.window.unwrap_or(windows.open),
            Mode::Closed => scenario.window.unwrap_or(windows.closed),
        }
    }
}

impl Visit {
    /// One of `contender` in the first block, with the default workers and no window yet.
    pub fn new(pass: Pass, scenario: &'static Scenario, contender: Contender) -> Self {
        Self {
            block: 0,
            order: 0,
            pass,
            scenario,
            idle: 0,
            contender,
            workers: None,
            seed: 1,
            windows: Vec::new(),
            check: BodyCheck::Exact,
            closes: false,
            blocked: None,
        }
    }

    /// `true` for the null server.
    pub fn is_null(&self) -> bool {
        self.contender.role == Role::Null
    }

    /// Whether its windows are measured in slices, beside the other servers of the scenario.
    pub fn measured_in_slices(&self) -> bool {
        self.pass == Pass::Measure && self.scenario.measured == Measured::Slices
    }

    /// Slices that are planned for it; none where it is not measured in slices, or not at all.
    pub fn slices_planned(&self, size: Size) -> u32 {
        let windows = u32::try_from(self.windows.len()).unwrap_or(0);
        match self.measured_in_slices() && self.blocked.is_none() {
            true => size.slices().0 * windows,
            false => 0,
        }
    }

    /// Whether its CPU at ten requests per second is measured.
    pub fn trickles(&self) -> bool {
        self.scenario.trickle && self.block == 0 && !self.is_null()
    }

    /// Lines that are planned for it, in the measurement of its windows.
    pub fn lines_planned(&self, size: Size) -> u64 {
        match self.slices_planned(size) {
            0 => self.windows.len() as u64,
            slices => slices.into(),
        }
    }

    /// The path of a target's URL, where it is asked for instead of the scenario's.
    pub fn own_path(&self) -> Option<&str> {
        let own = self.contender.target.as_ref()?.path.as_deref();
        own.filter(|_| self.scenario.is_generic())
    }

    /// The path that is asked for, where all requests are alike.
    pub fn path(&self) -> &str {
        self.own_path().unwrap_or(self.scenario.path)
    }

    /// The number of workers that the server has, where that is known.
    pub fn workers_known(&self, server_cpus: usize) -> Option<u32> {
        match (self.workers, self.contender.workers.count) {
            (_, Count::UpTo(_)) => None,
            (None, _) if self.contender.target.is_some() => None,
            (Some(workers), _) => Some(workers),
            (None, Count::Pool(default)) => default,
            (None, Count::One) => Some(1),
            (None, Count::PerCpu) => u32::try_from(server_cpus).ok(),
        }
    }
}
