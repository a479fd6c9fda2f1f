//! What is asked of a server.

use crate::Outcome;

/// What must be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The percentile of the response.
    pub percentile: f64,
    /// Its bound, µs.
    pub response_us: f64,
    /// The class that is meant, by its index; `None` for all requests.
    pub class: Option<usize>,
}

impl Goal {
    /// The percentile that the goal is about, µs.
    pub fn reached_us(&self, outcome: &Outcome) -> f64 {
        let of = self
            .class
            .map_or(&outcome.all, |class| &outcome.classes[class]);
        of.percentile_us(self.percentile)
    }
}
