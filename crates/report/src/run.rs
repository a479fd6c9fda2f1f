//! A run's trials arranged as the report needs them: rows, scenarios, windows, cells.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{self, Cell};
use crate::data::{Env, Mode, Role, Shape, Trial, Validity};

/// Models in the order in which the literature introduces them; others follow by name.
const MODELS: [&str; 12] = [
    "iterative",
    "fork-per-client",
    "prefork",
    "thread-per-client",
    "thread-pool",
    "single-reactor",
    "reactor-pool",
    "multi-reactor",
    "leader-follower",
    "proactor",
    "signal-driven",
    "async-tasks",
];

/// Scenarios in the order of the method's list; others follow by name.
const SCENARIOS: [&str; 7] = [
    "tiny-keepalive",
    "tiny-pipelined",
    "churn",
    "latency",
    "cpu",
    "blocking",
    "cooperative",
];

/// One kind of load within a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// As fast as replies come.
    Closed,
    /// A fixed offered rate, in thousandths of a request a second so that it can be a key.
    Open {
        /// Requests offered in 1,000 s.
        rate_milli: u64,
    },
}

impl Window {
    /// The window a trial's load belongs to.
    pub fn of(shape: &Shape) -> Self {
        match shape.mode {
            Mode::Closed => Self::Closed,
            Mode::Open => {
                let rate = shape.rate.unwrap_or(0.0).max(0.0);
                Self::Open {
                    rate_milli: (rate * 1000.0).round() as u64,
                }
            }
        }
    }

    /// Offered requests a second; `None` in a closed loop.
    pub fn rate(self) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Open { rate_milli } => Some(rate_milli as f64 / 1000.0),
        }
    }

    /// `closed loop` or `at 2,000/s`.
    pub fn describe(self) -> String {
        match self.rate() {
            None => "closed loop".to_owned(),
            Some(rate) => format!("at {}/s", crate::format::number(rate)),
        }
    }

    /// A form fit for anchors and file names.
    pub fn slug(self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Open { rate_milli } if rate_milli % 1000 == 0 => {
                format!("open-{}", rate_milli / 1000)
            }
            Self::Open { rate_milli } => format!("open-{rate_milli}m"),
        }
    }
}

/// A row of the report: a model, one of its variants, the placebo or the null server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name shown.
    pub label: String,
    /// The model behind it.
    pub model: String,
    /// Its variant.
    pub variant: String,
    /// Measured model, placebo or null server.
    pub role: Role,
}

/// Everything read from a run's folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// The environment.
    pub env: Env,
    /// The trials, in the order of the file.
    pub trials: Vec<Trial>,
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
            remarks,
            rows,
            scenarios,
            blocks,
            windows,
            places,
        }
    }

    /// The measured models, without controls.
    pub fn models(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.role == Role::Model)
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
        if trials.is_empty() {
            trials = here()
                .filter(|trial| trial.validity == Validity::Blocks)
                .collect();
        }
        trials.sort_by_key(|trial| (trial.block, trial.order));
        let state = cell::state(&trials);
        let reasons: BTreeSet<&String> = trials
            .iter()
            .filter(|trial| trial.validity != Validity::Valid)
            .flat_map(|trial| &trial.reasons)
            .collect();
        let reasons = reasons.into_iter().cloned().collect();
        Cell {
            trials,
            state,
            reasons,
        }
    }
}

/// The distinct rows of `trials`: models in the order of the literature, then the controls.
fn rows(trials: &[Trial]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = BTreeSet::new();
    for trial in trials {
        if seen.insert(trial.label.as_str()) {
            rows.push(Row {
                label: trial.label.clone(),
                model: trial.model.clone(),
                variant: trial.variant.clone(),
                role: trial.role,
            });
        }
    }
    rows.sort_by_cached_key(|row| {
        // A model's default variant bears the bare name and so sorts before the others.
        (row.role, place(&MODELS, &row.model), row.label.clone())
    });
    rows
}

/// A sort key: the place of `name` in `known`, or behind it by name.
pub fn place(known: &[&str], name: &str) -> (usize, String) {
    let index = known
        .iter()
        .position(|&each| each == name)
        .unwrap_or(known.len());
    (index, name.to_owned())
}
