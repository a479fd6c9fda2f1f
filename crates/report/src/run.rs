//! A run's trials arranged as the report needs them: rows, scenarios, windows, cells.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{self, Cell};
use crate::data::{Env, MemoryStep, Pass, Role, ScenarioInfo, Trial, Validity};
use crate::legacy;
use crate::stats::Evidence;

mod order;
mod row;
mod window;

use order::place;
pub use row::Row;
use row::rows;
pub use window::Window;

/// Everything read from a run's folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// The environment; of an old run, with the scenarios that it did not list.
    pub env: Env,
    /// The trials whose figures are compared, in the order of the file.
    pub trials: Vec<Trial>,
    /// The trials of the other passes: memory, system calls, capacity.
    pub passes: Vec<Trial>,
    /// What the reader must know first: the bench's own remarks and what reading added.
    pub remarks: Vec<String>,
    /// Of these, what arose while the trials were read.
    pub found: Vec<String>,
    /// The rows that hold trials.
    pub rows: Vec<Row>,
    /// The scenarios that hold trials.
    pub scenarios: Vec<String>,
    /// Blocks in which models or other servers were measured.
    pub blocks: u32,
    /// The load windows of each scenario.
    windows: BTreeMap<String, BTreeSet<Window>>,
    /// Places in `trials` by scenario and label.
    places: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

impl Run {
    /// Arranges `trials`; `found` are remarks that arose while reading them.
    pub fn new(mut env: Env, trials: Vec<Trial>, found: Vec<String>) -> Self {
        if env.scenarios.is_empty() {
            env.scenarios = legacy::scenarios(&env);
        }
        let mut remarks = env.remarks.clone();
        remarks.extend(found.iter().cloned());
        if !env.complete && env.sequential.is_some() {
            remarks.push(
                "The run has not ended by itself: verdicts that are open may still be settled"
                    .to_owned(),
            );
        } else if !env.complete {
            remarks.push(format!(
                "The run is not complete: {} of {} planned trials are here",
                trials.len(),
                env.trials_planned
            ));
        }
        let rows = rows(&trials);
        let (trials, passes): (Vec<Trial>, Vec<Trial>) = trials
            .into_iter()
            .partition(|trial| trial.pass.is_measure());
        let scenarios = scenarios(&env, trials.iter());
        let blocks: BTreeSet<u32> = trials
            .iter()
            .filter(|trial| matches!(trial.role, Role::Model | Role::Target))
            .filter(|trial| trial.figures.is_some())
            .map(|trial| trial.block)
            .collect();
        let blocks = blocks.len() as u32;
        let mut windows: BTreeMap<String, BTreeSet<Window>> = BTreeMap::new();
        let mut places: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        for (index, trial) in trials.iter().enumerate() {
            windows
                .entry(trial.scenario.clone())
                .or_default()
                .insert(Window::of(&trial.shape));
            let labels = places.entry(trial.scenario.clone()).or_default();
            labels.entry(trial.label.clone()).or_default().push(index);
        }
        Self {
            env,
            trials,
            passes,
            remarks,
            found,
            rows,
            scenarios,
            blocks,
            windows,
            places,
        }
    }

    /// The trials of `scenario` whose figures are compared.
    pub fn trials_of(&self, scenario: &str) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(move |t| t.scenario == scenario)
    }

    /// Whether `scenario` was measured in slices.
    pub fn is_in_slices(&self, scenario: &str) -> bool {
        self.trials_of(scenario).any(|trial| trial.slice.is_some())
    }

    /// How long a rotation of `scenario` takes, all of its servers together, seconds: the median; `None`
    /// where it was not measured in slices, or these do not say when they began.
    pub fn rotation_s(&self, scenario: &str) -> Option<f64> {
        let mut rotations: BTreeMap<(u32, u32), Vec<f64>> = BTreeMap::new();
        for trial in self.trials_of(scenario) {
            if let Some((slice, began_s)) = trial.slice.and_then(|it| Some((it, it.began_s?))) {
                let rotation = rotations.entry((trial.block, slice.rotation)).or_default();
                rotation.push(began_s);
            }
        }
        let length_s = |began_s: &Vec<f64>| {
            let first = began_s.iter().copied().reduce(f64::min)?;
            let last = began_s.iter().copied().reduce(f64::max)?;
            let gaps = began_s.len() - 1;
            (gaps > 0).then(|| (last - first) / gaps as f64 * began_s.len() as f64)
        };
        crate::stats::middle(rotations.values().filter_map(length_s))
    }

    /// What may be concluded in `scenario`: as much as its blocks allow, or of slices its rotations. A smoke
    /// run shows that everything runs, and ranks nothing, unless it goes on until verdicts are settled.
    pub fn evidence(&self, scenario: &str) -> Evidence {
        if self.env.size == "smoke" && self.env.sequential.is_none() {
            return Evidence::Figures;
        }
        let rotations: BTreeSet<(u32, u32)> = self
            .trials_of(scenario)
            .filter_map(|trial| Some((trial.block, trial.slice?.rotation)))
            .collect();
        match rotations.len() as u32 {
            0 => Evidence::of(self.blocks),
            rotations => Evidence::of(rotations),
        }
    }

    /// The rows that are ranked: the measured models and the servers that stand beside none.
    pub fn models(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_ranked())
    }

    /// The models and the peers beside them: everything that is measured for its own sake.
    pub fn contenders(&self) -> impl Iterator<Item = &Row> {
        let is_one = |row: &&Row| matches!(row.role, Role::Model | Role::Target);
        self.rows.iter().filter(is_one)
    }

    /// `true` where the load changes within the window, so that one percentile of it means little.
    pub fn is_stepped(&self, scenario: &str) -> bool {
        let mut here = self.trials_of(scenario);
        here.any(|trial| trial.shape.profile.is_some())
    }

    /// `true` when a row of that name holds trials.
    pub fn has(&self, label: &str) -> bool {
        self.rows.iter().any(|row| row.label == label)
    }

    /// The trials of a pass of `label` in `scenario`.
    pub fn pass<'a>(
        &'a self,
        pass: Pass,
        label: &'a str,
        scenario: &'a str,
    ) -> impl Iterator<Item = &'a Trial> {
        let is_one = move |trial: &&Trial| {
            trial.pass == pass && trial.label == label && trial.scenario == scenario
        };
        self.passes.iter().filter(is_one)
    }

    /// The scenarios in which there are trials of a pass, in the usual order.
    pub fn scenarios_of(&self, pass: Pass) -> Vec<String> {
        let found = self.passes.iter().filter(|trial| trial.pass == pass);
        scenarios(&self.env, found)
    }

    /// A scenario as the run describes it; `None` for one that it does not list.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioInfo> {
        self.env.scenarios.iter().find(|each| each.name == name)
    }

    /// The memory of `label` by connections, from every trial that was not excluded.
    pub fn memory(&self, label: &str) -> BTreeMap<u64, Vec<&MemoryStep>> {
        let mut steps: BTreeMap<u64, Vec<&MemoryStep>> = BTreeMap::new();
        let trials = self.passes.iter().filter(|trial| {
            trial.pass == Pass::Memory
                && trial.label == label
                && trial.validity != Validity::Invalid
        });
        for step in trials.flat_map(|trial| &trial.memory_steps) {
            steps.entry(step.connections).or_default().push(step);
        }
        steps
    }

    /// The placebo's row and the row it is a copy of.
    pub fn placebo(&self) -> Option<(&Row, &Row)> {
        self.rows
            .iter()
            .filter(|row| row.role == Role::Placebo)
            .find_map(|copy| {
                let same = |row: &&Row| row.model == copy.model && row.variant == copy.variant;
                Some((copy, self.models().find(same)?))
            })
    }

    /// The windows of `scenario`: the closed loop first, then rates upwards.
    pub fn windows(&self, scenario: &str) -> Vec<Window> {
        let windows = self.windows.get(scenario).into_iter();
        windows.flatten().copied().collect()
    }

    /// The trials of `label` in `window` of `scenario`, judged together.
    pub fn cell(&self, label: &str, scenario: &str, window: Window) -> Cell<'_> {
        let labels = self.places.get(scenario);
        let places = labels.and_then(|labels| labels.get(label));
        let here = || {
            let places = places.into_iter().flatten();
            places.map(|&index| &self.trials[index])
        };
        let mut trials: Vec<&Trial> = here()
            .filter(|trial| Window::of(&trial.shape) == window)
            .collect();
        // A model that blocks in one window of a scenario was not tried in the others.
        let windows = self.windows.get(scenario);
        if trials.is_empty() && windows.is_some_and(|windows| windows.contains(&window)) {
            trials = here()
                .filter(|trial| trial.validity == Validity::Blocks)
                .collect();
        }
        trials.sort_by_key(|trial| (trial.block, trial.order));
        let state = cell::state(&trials);
        let reasons: BTreeSet<&str> = trials
            .iter()
            .filter(|trial| trial.validity != Validity::Valid)
            .flat_map(|trial| trial.reasons.iter())
            .map(|reason| reason.text.as_str())
            .collect();
        let reasons = reasons.into_iter().map(str::to_owned).collect();
        Cell {
            trials,
            state,
            reasons,
        }
    }
}

/// The scenarios of `trials` in the run's order, others behind by name.
fn scenarios<'a>(env: &Env, trials: impl Iterator<Item = &'a Trial>) -> Vec<String> {
    let known: Vec<&str> = env
        .scenarios
        .iter()
        .map(|each| each.name.as_str())
        .collect();
    let names: BTreeSet<&str> = trials.map(|trial| trial.scenario.as_str()).collect();
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort_by_key(|name| place(&known, name));
    names
}
