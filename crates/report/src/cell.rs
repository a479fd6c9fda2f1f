//! A cell: the trials of one row in one window of one scenario, judged together.

use std::collections::BTreeMap;

use crate::data::{Figures, Mode, Trial, Validity};
use crate::metric::Metric;
use crate::stats::INFINITE_LOG;

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
    /// What they amount to.
    pub state: State,
    /// Why, where the state is not [`State::Valid`]: each distinct reason once.
    pub reasons: Vec<String>,
}

impl<'a> Cell<'a> {
    /// The values of `metric` by block, from the trials the state rests on.
    ///
    /// VALID trials only, except in a LIMITED cell, which is shown but never ranked.
    pub fn values(&self, metric: Metric) -> BTreeMap<u32, f64> {
        let value = |trial: &Trial| Some((trial.block, metric.value(trial.figures.as_ref()?)?));
        self.used().filter_map(value).collect()
    }

    /// Logarithmic costs of `metric` by block: infinite in a trial that did not hold its offered
    /// rate, where the metric means nothing without.
    pub fn costs(&self, metric: Metric) -> BTreeMap<u32, f64> {
        let cost = |trial: &Trial| {
            let figures = trial.figures.as_ref()?;
            let value = metric.value(figures)?;
            let lost = metric.needs_the_rate_held() && !holds(trial, figures);
            Some((
                trial.block,
                if lost {
                    INFINITE_LOG
                } else {
                    metric.cost(value)
                },
            ))
        };
        self.used().filter_map(cost).collect()
    }

    /// `true` when at least half of the trials held their offered rate.
    pub fn holds(&self) -> bool {
        let (mut held, mut all) = (0, 0);
        for trial in self.used() {
            all += 1;
            held += usize::from(
                trial
                    .figures
                    .as_ref()
                    .is_some_and(|each| holds(trial, each)),
            );
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

    /// The trials that the state rests on.
    fn used(&self) -> impl Iterator<Item = &Trial> {
        self.usable()
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
        self.used().count()
    }
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

/// What `trials` amount to. LIMITED trials are lower bounds: where they are half or more of what is
/// usable, leaving them out would leave out the fastest, so the whole cell becomes a bound.
pub fn state(trials: &[&Trial]) -> State {
    let count = |validity| {
        trials
            .iter()
            .filter(|trial| trial.validity == validity)
            .count()
    };
    let (valid, limited) = (count(Validity::Valid), count(Validity::Limited));
    if valid > limited {
        State::Valid
    } else if limited > 0 {
        State::Limited
    } else if trials.iter().any(|trial| trial.lacks_route()) {
        State::NotOffered
    } else if count(Validity::Blocks) > 0 {
        State::Blocks
    } else if count(Validity::Invalid) > 0 {
        State::Invalid
    } else {
        State::Missing
    }
}
