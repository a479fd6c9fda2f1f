//! A run and its verdict: what every page and every plot is made from.

use crate::envelope::Envelope;
use crate::matrix::{Entry, Matrix};
use crate::run::{Row, Run};

/// A run, judged.
#[derive(Debug, Clone)]
pub struct Session {
    pub run: Run,
    pub verdict: Matrix,
    /// What the production envelope costs, where that was measured.
    pub envelope: Option<Envelope>,
}

impl Session {
    /// Judges `run`.
    pub fn of(run: Run) -> Self {
        let verdict = Matrix::verdict(&run);
        Self {
            run,
            verdict,
            envelope: None,
        }
    }

    /// The envelope, where it is all that there is.
    pub fn envelope_alone(&self) -> Option<&Envelope> {
        let is_empty = self.run.trials.is_empty() && self.run.passes.is_empty();
        self.envelope.as_ref().filter(|_| is_empty)
    }

    /// What the plots of `scenario` show: the models, the peers beside them, and a variant where it
    /// is the best; all of few rows.
    pub fn drawn(&self, scenario: &str) -> Vec<&Row> {
        const ALL_MAX: usize = 9;
        let contenders = || self.run.contenders().enumerate();
        let all = contenders().count() <= ALL_MAX;
        let columns = &self.verdict.columns;
        let column = columns.iter().find(|column| column.scenario == scenario);
        let best = column.and_then(|column| {
            let is_best = |entry: &Entry| entry.place.is_some_and(|place| place.best);
            column.entries.iter().position(is_best)
        });
        let shown = |(index, row): &(usize, &Row)| all || !row.is_variant() || Some(*index) == best;
        contenders().filter(shown).map(|(_, row)| row).collect()
    }
}
