//! What a run in rounds has settled so far, and what is open: the same verdicts as the report's.

use schema::{About, Effect};

use crate::cell::State;
use crate::data::{Env, Mode, Trial};
use crate::format;
use crate::matrix::{Entry, Matrix, Standing};
use crate::run::{Run, Window};
use crate::stats::Verdict;

/// One scenario, as its deciding figure has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The scenario.
    pub scenario: String,
    /// `server CPU per request, at 2,000/s`.
    pub figure: String,
    /// The load under which that is taken.
    pub load: (Mode, Option<f64>),
    /// Every server that is measured for its own sake.
    pub rows: Vec<Row>,
    /// The servers that the others are judged by: the best, the placebo and its original.
    pub measures: Vec<String>,
}

/// A server in a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its label.
    pub label: String,
    /// What is said of it.
    pub said: Said,
    /// How many times worse than the best, with the interval; empty where there is none.
    pub factor: String,
}

/// What is said of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The best so far.
    Best,
    /// As good as the best, within what the run was to settle.
    Tied,
    /// Worse than the best.
    Behind,
    /// A peer that is better than the best model.
    Ahead,
    /// Not settled.
    Open,
    /// It cannot be ranked, however long it is measured.
    Out,
}

impl Said {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Tied => "tied with the best",
            Self::Behind => "behind",
            Self::Ahead => "ahead of the best model",
            Self::Open => "open",
            Self::Out => "not ranked",
        }
    }
}

impl Column {
    /// The column of `scenario` that `trials`, which are of no other one, make up; `None` where they hold
    /// none that is compared.
    pub fn of(env: &Env, trials: Vec<Trial>, scenario: &str) -> Option<Self> {
        let run = Run::new(env.clone(), trials, Vec::new());
        let matrix = Matrix::verdict(&run);
        let column = matrix
            .columns
            .iter()
            .find(|each| each.scenario == scenario)?;
        let window = column.choice.window;
        let rows = matrix.rows.iter().zip(&column.entries);
        let rows: Vec<Row> = rows
            .map(|(row, entry)| Row {
                label: row.label.clone(),
                said: said(&run, &row.label, (scenario, window), entry),
                factor: factor(entry),
            })
            .collect();
        let best = rows.iter().find(|row| row.said == Said::Best);
        let placebo = run.placebo();
        let placebo = placebo.map(|(copy, original)| [copy.label.clone(), original.label.clone()]);
        let best = best.map(|row| row.label.clone());
        Some(Self {
            scenario: scenario.to_owned(),
            figure: column.describe(),
            load: (window.mode(), window.rate()),
            measures: best
                .into_iter()
                .chain(placebo.into_iter().flatten())
                .collect(),
            rows,
        })
    }

    /// The labels of the servers that are not settled.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        let open = self.rows.iter().filter(|row| row.said == Said::Open);
        open.map(|row| row.label.as_str())
    }
}

fn said(run: &Run, label: &str, (scenario, window): (&str, Window), entry: &Entry) -> Said {
    let of_peer = |verdict, high| match verdict {
        Verdict::Slower => Said::Behind,
        Verdict::Faster => Said::Ahead,
        Verdict::Equivalent => Said::Tied,
        Verdict::TooClose if high <= entry.tied_within => Said::Tied,
        Verdict::TooClose => Said::Open,
    };
    match (entry.standing(), entry.peer, entry.state) {
        (Some(Standing::Best), ..) => Said::Best,
        (Some(Standing::Tied), ..) => Said::Tied,
        (Some(Standing::Behind), ..) => Said::Behind,
        (Some(Standing::Undecided), ..) => Said::Open,
        (None, Some(peer), _) => of_peer(peer.verdict, peer.high),
        (None, None, State::Valid) => Said::Open,
        (None, None, State::Limited | State::Blocks | State::NotOffered | State::Missing) => {
            Said::Out
        }
        // What the machine spoilt may come out better next time; what the server did wrong stays.
        (None, None, State::Invalid) => {
            let cell = run.cell(label, scenario, window);
            let own = |trial: &&Trial| {
                let mut about = trial.reasons.about(About::Server);
                about.any(|reason| reason.effect == Effect::Invalidates)
            };
            match cell.trials.iter().copied().all(|trial| own(&trial)) {
                true => Said::Out,
                false => Said::Open,
            }
        }
    }
}

fn factor(entry: &Entry) -> String {
    let against = entry.place.map(|place| place.against_best).or(entry.peer);
    let Some(against) = against else {
        return String::new();
    };
    let interval = entry.interval();
    let interval = interval.map_or_else(String::new, |text| format!(" ({text})"));
    format!("{}{interval}", format::factor(against.log.exp()))
}
