//! What may be concluded, and with which confidence.

/// Confidence asked of every interval.
pub const LEVEL: f64 = 0.95;

/// What the number of blocks allows one to conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// One or two blocks: figures, no ranking.
    Figures,
    /// Three to nine: medians and ranges, tiers where ranges are disjoint.
    Ranges,
    /// Ten or more: intervals and all four verdicts.
    Intervals,
}

impl Evidence {
    /// The evidence that `blocks` blocks give.
    pub fn of(blocks: u32) -> Self {
        match blocks {
            0..=2 => Self::Figures,
            3..=9 => Self::Ranges,
            10.. => Self::Intervals,
        }
    }
}
