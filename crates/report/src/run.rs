//! A run's trials arranged as the report needs them: rows, scenarios, windows, cells.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{self, Cell};
use crate::data::{Env, MemoryStep, Pass, Role, Trial, Validity};
use crate::matrix::Matrix;

mod row;
mod window;

pub use row::Row;
use row::rows;
pub use window::Window;

/// Scenarios in the order of the method's list; others follow by name.
const SCENARIOS: [&str; 14] = [
    "tiny-keepalive",
    "tiny-pipelined",
    "churn",
    "latency",
    "large",
    "cpu",
    "bimodal",
    "blocking",
    "cooperative",
    "sqlite",
    "idle-many",
    "slow-clients",
    "overload",
    "poison",
];

/// Everything read from a run's folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// The environment.
    pub env: Env,
    /// The trials whose figures are compared, in the order of the file.
    pub trials: Vec<Trial>,
    /// The trials of the other passes: memory, system calls, capacity.
    pub passes: Vec<Trial>,
    /// What the reader must know first: the bench's own remarks and what reading added.
    pub remarks: Vec<String>,
    /// The rows that hold trials.
    pub rows: Vec<Row>,
    /// The scenarios that hold trials.
    pub scenarios: Vec<String>,
    /// Blocks in which models were measured.
    pub blocks: u32,
    /// The load windows of each scenario.
    windows: BTreeMap<String, BTreeSet<Window>>,
    /// Places in `trials` by scenario and label.
    places: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// The verdict, once it was asked for.
    verdict: OnceCell<Matrix>,
}

impl Run {
    /// Arranges `trials`; `found` are remarks that arose while reading them.
    pub fn new(env: Env, trials: Vec<Trial>, found: Vec<String>) -> Self {
        let mut remarks = env.remarks.clone();
        remarks.extend(found);
        if !env.complete {
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
        let names: BTreeSet<&str> = trials.iter().map(|trial| trial.scenario.as_str()).collect();
        let mut scenarios: Vec<String> = names.into_iter().map(str::to_owned).collect();
        scenarios.sort_by_key(|name| place(&SCENARIOS, name));
        let blocks: BTreeSet<u32> = trials
            .iter()
            .filter(|trial| trial.role == Role::Model && trial.figures.is_some())
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
            rows,
            scenarios,
            blocks,
            windows,
            places,
            verdict: OnceCell::new(),
        }
    }

    /// The verdict matrix.
    pub fn verdict(&self) -> &Matrix {
        self.verdict.get_or_init(|| Matrix::verdict(self))
    }

    /// The measured models, without controls.
    pub fn models(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.role == Role::Model)
    }

    /// The models and the peers beside them: everything that is measured for its own sake.
    pub fn contenders(&self) -> impl Iterator<Item = &Row> {
        let is_one = |row: &&Row| matches!(row.role, Role::Model | Role::Target);
        self.rows.iter().filter(is_one)
    }

    /// What the plots of `scenario` show: the models, the peers beside them, and a variant where it
    /// is the best; all of few rows.
    pub fn drawn(&self, scenario: &str) -> Vec<&Row> {
        const ALL_MAX: usize = 9;
        let all = self.contenders().count() <= ALL_MAX;
        let columns = &self.verdict().columns;
        let column = columns.iter().find(|column| column.scenario == scenario);
        let best = column.and_then(|column| {
            column
                .entries
                .iter()
                .position(|entry| entry.place.is_some_and(|place| place.best))
        });
        let shown = |(index, row): &(usize, &Row)| all || !row.is_variant() || Some(*index) == best;
        self.contenders()
            .enumerate()
            .filter(shown)
            .map(|(_, row)| row)
            .collect()
    }

    /// `true` where the load changes within the window, so that one percentile of it means little.
    pub fn is_stepped(&self, scenario: &str) -> bool {
        let mut here = self
            .trials
            .iter()
            .filter(|trial| trial.scenario == scenario);
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
        let names: BTreeSet<&str> = found.map(|trial| trial.scenario.as_str()).collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_by_key(|name| place(&SCENARIOS, name));
        names
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
        self.windows
            .get(scenario)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// The trials of `label` in `window` of `scenario`, judged together.
    pub fn cell(&self, label: &str, scenario: &str, window: Window) -> Cell<'_> {
        let places = self
            .places
            .get(scenario)
            .and_then(|labels| labels.get(label));
        let here = || {
            places
                .into_iter()
                .flatten()
                .map(|&index| &self.trials[index])
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

/// A sort key: the place of `name` in `known`, or behind it by name.
pub fn place(known: &[&str], name: &str) -> (usize, String) {
    let index = known
        .iter()
        .position(|&each| each == name)
        .unwrap_or(known.len());
    (index, name.to_owned())
}
