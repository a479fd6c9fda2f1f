//! The lines of `envelope.ndjson`.

use schema::envelope::{Log, LogEnd, Overload, Restart, Run, Unmeasured};

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// What was measured, how, and where.
    pub run: Run,
    pub(super) overload: Vec<Overload>,
    pub(super) restarts: Vec<Restart>,
    pub(super) logs: Vec<Log>,
    pub(super) ends: Vec<LogEnd>,
    pub(super) unmeasured: Vec<Unmeasured>,
    /// It was not interrupted.
    pub(super) complete: bool,
}

impl Envelope {
    /// The models that have a line in a part, in the order of the run.
    pub(super) fn models<'a>(&'a self, has: impl Fn(&str) -> bool + 'a) -> Vec<&'a str> {
        let all = self.run.models.iter().map(String::as_str);
        all.filter(|model| has(model)).collect()
    }
}
