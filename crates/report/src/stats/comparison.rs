//! What two models compared amount to.

/// So many pairs are rotations of slices, which neighbours resemble; blocks are fewer and minutes apart.
pub const ROTATIONS_MIN: usize = 20;

/// What follows for one model compared with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Better by more than the indifference zone.
    Faster,
    /// Worse by more than the indifference zone.
    Slower,
    /// The difference lies within the indifference zone.
    Equivalent,
    /// The trials do not decide.
    TooClose,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Equivalent => "equivalent",
            Self::TooClose => "too close to call",
        }
    }
}

/// How many times worse one model is than another, as logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Estimate.
    pub log: f64,
    /// Lower end of its interval or range.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Blocks that hold both.
    pub pairs: usize,
    /// What follows.
    pub verdict: Verdict,
    /// The smallest difference to the worse that would have been declared with an interval of this
    /// width, a logarithm: what the measurement could have shown.
    pub smallest: f64,
}
