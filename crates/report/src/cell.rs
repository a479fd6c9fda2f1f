//! A cell: the trials of one row in one window of one scenario, judged together.

use std::collections::{BTreeMap, BTreeSet};

use schema::{About, Effect, Figure, Reason};

use crate::data::{Figures, Mode, Trial, Validity};
use crate::histogram;
use crate::metric::Metric;
use crate::stats::{Evidence, INFINITE_LOG, LEVEL, Spread, middle, resample};

/// How far a cell's trials may be trusted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Most usable trials passed every gate; those alone make the figure.
    Valid,
    /// Half or more of the usable trials are bounds; the figure is one too.
    Limited,
    /// Every trial failed a gate: nothing to show.
    Invalid,
    /// The model cannot do this shape by design.
    Blocks,
    /// The server, which is not of this collection, has no such route.
    NotOffered,
    /// No trial.
    Missing,
}

/// The trials of one row in one window of one scenario, in block order.
#[derive(Debug, Clone)]
pub struct Cell<'a> {
    /// Every trial, whatever its validity.
    pub trials: Vec<&'a Trial>,
    /// What they amount to when every finding counts, whatever it spoils; of one figure, see
    /// [`Cell::state_for`].
    pub state: State,
    /// Why, where the state is not [`State::Valid`]: each distinct reason once.
    pub reasons: Vec<String>,
}

impl<'a> Cell<'a> {
    /// The values of `metric` by [unit](unit), from the trials the state rests on.
    ///
    /// VALID trials only, except in a LIMITED cell, which is shown but never ranked.
    pub fn values(&self, metric: Metric) -> BTreeMap<u32, f64> {
        let value = |trial: &Trial| Some((unit(trial), metric.value(trial.figures.as_ref()?)?));
        self.used_for(metric).filter_map(value).collect()
    }

    /// Logarithmic costs of `metric` by [unit](unit): infinite in a trial that did not hold its offered
    /// rate, where the metric means nothing without.
    pub fn costs(&self, metric: Metric) -> BTreeMap<u32, f64> {
        self.costs_in(self.state_for(metric), metric)
    }

    /// The same as if the cell were in `state`.
    pub fn costs_in(&self, state: State, metric: Metric) -> BTreeMap<u32, f64> {
        let cost = |trial: &Trial| {
            let figures = trial.figures.as_ref()?;
            let value = metric.value(figures)?;
            let lost = metric.needs_the_rate_held() && !holds(trial, figures);
            let cost = match lost {
                true => INFINITE_LOG,
                false => metric.cost(value),
            };
            Some((unit(trial), cost))
        };
        self.used_in(state, metric).filter_map(cost).collect()
    }

    /// The same by block: of slices, the median of each block, because two sessions share no rotations and
    /// what a block's processes share is not averaged out within it.
    pub fn costs_by_block(&self, metric: Metric) -> BTreeMap<u32, f64> {
        let mut blocks: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (unit, cost) in self.costs(metric) {
            blocks.entry(unit / UNITS_PER_BLOCK).or_default().push(cost);
        }
        let of_block = |(block, costs)| Some((block, middle(costs)?));
        blocks.into_iter().filter_map(of_block).collect()
    }

    /// The figure over its trials, or over the merged histograms of its slices.
    pub fn spread(&self, metric: Metric, evidence: Evidence) -> Option<Spread> {
        let of_values = || Spread::of(self.values(metric).into_values(), evidence);
        self.merged(metric).or_else(of_values)
    }

    /// The figure of a cell whose trials are all left out, from those that nothing but the machine and the
    /// generator has disturbed: to be shown as such, and never ranked or drawn. `None` where the server
    /// itself did something wrong, or some trial may be used.
    pub fn disturbed(&self, metric: Metric, evidence: Evidence) -> Option<Spread> {
        let disturbs = |reason: &&Reason| reason.effect == Effect::Invalidates;
        let by_others = |reason: &Reason| matches!(reason.about, About::Machine | About::Generator);
        let trials = self.trials.iter().filter(|trial| {
            let mut reasons = trial.reasons.iter().filter(disturbs).peekable();
            reasons.peek().is_some() && reasons.all(by_others)
        });
        let value = |trial: &&Trial| metric.value(trial.figures.as_ref()?);
        let values: Vec<f64> = trials.filter_map(value).collect();
        let left_out = self.state_for(metric) == State::Invalid;
        Spread::of(values, evidence).filter(|_| left_out)
    }

    /// A percentile of the response over all slices: that of their merged histograms, with the interval
    /// that drawing rotations gives. `None` for other figures and for whole trials.
    fn merged(&self, metric: Metric) -> Option<Spread> {
        let q = metric.quantile()?;
        let slices = self.slices(metric);
        let slices: Vec<&resample::Counts> = slices.values().collect();
        let told = resample::quantile(&slices, q, 1.0 - LEVEL)?;
        let value = |log: f64| match log >= INFINITE_LOG / 2.0 {
            true => f64::INFINITY,
            false => log.exp(),
        };
        Some(Spread {
            median: value(told.log),
            low: value(told.low),
            high: value(told.high),
            n: told.n,
        })
    }

    /// The histograms of the slices by [unit](unit), where `metric` is a percentile of the response; empty
    /// for other figures and for whole trials.
    pub fn slices(&self, metric: Metric) -> BTreeMap<u32, resample::Counts> {
        let slice = |trial: &Trial| Some((unit(trial), histogram::of_slice(trial)?));
        match metric.quantile() {
            Some(_) => self.used_for(metric).filter_map(slice).collect(),
            None => BTreeMap::new(),
        }
    }

    /// The rotations in which it was loaded, by block and whatever came of it; empty for whole trials.
    pub fn rotations(&self) -> BTreeMap<u32, BTreeSet<u32>> {
        let mut blocks: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for trial in &self.trials {
            if let Some(slice) = trial.slice {
                let rotations = blocks.entry(trial.block).or_default();
                rotations.insert(slice.rotation);
            }
        }
        blocks
    }

    /// What its trials amount to for one figure: a gate that a trial did not pass spoils some groups of
    /// figures and leaves the others. The CPU of a request is known although its generator was late.
    pub fn state_for(&self, metric: Metric) -> State {
        match metric.group() {
            None => self.state,
            Some(group) => {
                let trials = self.trials.iter();
                amount_to(trials.map(|trial| (*trial, validity_for(trial, group))))
            }
        }
    }

    /// The trials whose figure of `metric` may be used.
    fn used_for(&self, metric: Metric) -> impl Iterator<Item = &Trial> {
        self.used_in(self.state_for(metric), metric)
    }

    fn used_in(&self, state: State, metric: Metric) -> impl Iterator<Item = &Trial> {
        let group = metric.group();
        let validity = move |trial: &Trial| match group {
            Some(group) => validity_for(trial, group),
            None => trial.validity,
        };
        let trials = self.trials.iter().copied();
        trials.filter(move |trial| is_used(state, validity(trial)))
    }

    /// `true` when at least half of the trials whose figure of `metric` may be used held their offered rate.
    pub fn holds(&self, metric: Metric) -> bool {
        let (mut held, mut all) = (0, 0);
        for trial in self.used_for(metric) {
            all += 1;
            let figures = trial.figures.as_ref();
            held += usize::from(figures.is_some_and(|each| holds(trial, each)));
        }
        all > 0 && 2 * held >= all
    }

    /// The trials that the state rests on, for as long as the run.
    pub fn usable(&self) -> impl Iterator<Item = &'a Trial> {
        let state = self.state;
        self.trials
            .iter()
            .copied()
            .filter(move |trial| is_used(state, trial.validity))
    }

    /// The figures of these trials.
    pub fn figures(&self) -> impl Iterator<Item = &'a Figures> {
        self.usable().filter_map(|trial| trial.figures.as_ref())
    }

    /// Of a trial that was not excluded, the most connections that got no reply in its window, and
    /// how many there were; `None` where every one was served.
    pub fn unserved(&self) -> Option<(u64, u32)> {
        let count = |trial: &&Trial| {
            let silent = trial.figures.as_ref()?.silent_connections?;
            let counts = silent > 0 && trial.shape.keep_alive;
            (counts && trial.validity != Validity::Invalid)
                .then_some((silent, trial.shape.connections))
        };
        self.trials.iter().filter_map(count).max()
    }

    /// How many trials the state rests on.
    pub fn used_count(&self) -> usize {
        self.usable().count()
    }
}

/// More rotations than any block has.
const UNITS_PER_BLOCK: u32 = 100_000;

/// What a trial is paired by: its block, and of a slice its rotation within it. In the order of time.
fn unit(trial: &Trial) -> u32 {
    let rotation = trial
        .slice
        .map_or(0, |slice| slice.rotation.min(UNITS_PER_BLOCK - 1));
    trial
        .block
        .saturating_mul(UNITS_PER_BLOCK)
        .saturating_add(rotation)
}

/// `true` when a trial of `validity` counts in a cell of `state`.
fn is_used(state: State, validity: Validity) -> bool {
    match state {
        State::Valid => validity == Validity::Valid,
        State::Limited => matches!(validity, Validity::Valid | Validity::Limited),
        State::Invalid | State::Blocks | State::NotOffered | State::Missing => false,
    }
}

/// `true` when 99 % of what was scheduled in an open loop was answered; a closed loop always holds.
fn holds(trial: &Trial, figures: &Figures) -> bool {
    trial.shape.mode == Mode::Closed || figures.requests as f64 >= 0.99 * figures.scheduled as f64
}

/// The verdict of the gates on one group of figures. What was not measured at all stays what it is.
fn validity_for(trial: &Trial, group: Figure) -> Validity {
    let judged = matches!(trial.validity, Validity::Invalid | Validity::Limited);
    if !judged || trial.figures.is_none() {
        return trial.validity;
    }
    match trial.reasons.worst(group) {
        None if trial.reasons.is_empty() => trial.validity,
        None => Validity::Valid,
        // Of old files, which have sentences only, the word says more than what became of them.
        Some(_) if trial.validity == Validity::Limited => Validity::Limited,
        Some(Effect::Limits) => Validity::Limited,
        Some(_) => Validity::Invalid,
    }
}

/// What `trials` amount to.
pub fn state(trials: &[&Trial]) -> State {
    amount_to(trials.iter().map(|trial| (*trial, trial.validity)))
}

/// What trials amount to. LIMITED ones are lower bounds: where they are half or more of what is usable,
/// leaving them out would leave out the fastest, so the whole cell becomes a bound.
fn amount_to<'a>(trials: impl Iterator<Item = (&'a Trial, Validity)> + Clone) -> State {
    let count = |wanted| {
        let all = trials.clone();
        all.filter(|(_, validity)| *validity == wanted).count()
    };
    let (valid, limited) = (count(Validity::Valid), count(Validity::Limited));
    if valid > limited {
        State::Valid
    } else if limited > 0 {
        State::Limited
    } else if trials.clone().any(|(trial, _)| trial.lacks_route()) {
        State::NotOffered
    } else if count(Validity::Blocks) > 0 {
        State::Blocks
    } else if count(Validity::Invalid) > 0 {
        State::Invalid
    } else {
        State::Missing
    }
}
