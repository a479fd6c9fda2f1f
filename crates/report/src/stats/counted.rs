//! Figures that are counted and not timed: they hardly vary, and a few windows of each server decide.

use super::comparison::{Comparison, Verdict};
use super::median;

/// What happens to differ between windows of one build, of a figure that a server has next to none of: so
/// many per request.
const COUNT_LEAST: f64 = 0.01;

/// What happens to differ between windows of one build, as a share of the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least(f64);

impl Least {
    /// Replies happen to share a wait, or not.
    pub const SYSTEM_CALLS: Self = Self(0.02);
    /// A server that was held up finds the next request there and does not wait for it.
    pub const WAKE_UPS: Self = Self(0.05);
    /// A search of a table is longer or shorter by where memory came to lie.
    pub const INSTRUCTIONS: Self = Self(0.01);

    /// The same where the figure is `was`, as a factor less one.
    pub fn of(self, was: f64) -> f64 {
        self.0.max(COUNT_LEAST / was)
    }
}

/// How many times more of it the later windows have than the earlier ones, in logarithms; either side is
/// sorted ascending. `None` where one has no window, or the earlier ones have nothing of it.
///
/// The interval goes from the least of the one over the most of the other to the most over the least. A
/// difference counts when all of it lies beyond what happens to differ.
pub fn compare_counts(before: &[f64], after: &[f64], least: Least) -> Option<Comparison> {
    let (was, is) = (median(before)?, median(after)?);
    let (first, last) = (
        (before.first()?, before.last()?),
        (after.first()?, after.last()?),
    );
    if *first.0 <= 0.0 || *last.0 <= 0.0 {
        return None;
    }
    let (low, high) = (last.0 / first.1, last.1 / first.0);
    let factor = 1.0 + least.of(was);
    let verdict = match () {
        () if low > factor => Verdict::Slower,
        () if high < 1.0 / factor => Verdict::Faster,
        () if low >= 1.0 / factor && high <= factor => Verdict::Equivalent,
        () => Verdict::TooClose,
    };
    Some(Comparison {
        log: (is / was).ln(),
        low: low.ln(),
        high: high.ln(),
        pairs: before.len().min(after.len()),
        verdict,
        smallest: (first.1 / was * factor).ln(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_differs_when_all_windows_say_so() {
        let told = |before: &[f64], after: &[f64]| {
            compare_counts(before, after, Least::SYSTEM_CALLS).map(|told| told.verdict)
        };
        assert_eq!(told(&[3.0, 3.0], &[4.0, 4.0]), Some(Verdict::Slower));
        assert_eq!(told(&[4.0, 4.0], &[3.0, 3.0]), Some(Verdict::Faster));
        assert_eq!(told(&[3.0, 3.01], &[3.0, 3.02]), Some(Verdict::Equivalent));
        assert_eq!(told(&[3.0, 3.4], &[3.1, 3.6]), Some(Verdict::TooClose));
        // Next to nothing more is no difference.
        assert_eq!(told(&[0.01], &[0.015]), Some(Verdict::Equivalent));
        assert_eq!(told(&[0.0], &[1.0]), None);
        assert_eq!(told(&[], &[1.0]), None);
    }
}
