//! Whether the generator is late as a rule while a server is loaded in slices.
//!
//! A slice of 80 requests has a 99th percentile that is its latest one, and whatever takes the generator's
//! CPU for a third of a millisecond makes that late. But percentiles of slices are those of all slices
//! merged: a late request in every seventh slice is one in six hundred, and does not reach the 99th
//! percentile. So a slice is judged by whether a tenth of its requests was late, or whether the latest
//! hundredth is late in most slices.

use std::collections::VecDeque;

/// Slices that are looked back on.
const SLICES: usize = 7;
/// Fewer do not tell a rule from a chance.
const SLICES_MIN: usize = 2;

/// Whether each of the latest slices of one server was late.
#[derive(Debug, Clone, Default)]
pub struct Lateness(VecDeque<bool>);

impl Lateness {
    /// Adds a slice.
    pub fn add(&mut self, late: bool) {
        if self.0.len() == SLICES {
            self.0.pop_front();
        }
        self.0.push_back(late);
    }

    /// Whether most of them were late.
    pub fn is_usual(&self) -> bool {
        let late = self.0.iter().filter(|late| **late).count();
        self.0.len() >= SLICES_MIN && 2 * late > self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_the_latest_slices_make_a_rule() {
        let mut lateness = Lateness::default();
        lateness.add(true);
        assert!(!lateness.is_usual(), "one is a chance");
        lateness.add(true);
        assert!(lateness.is_usual());
        for _ in 0..6 {
            lateness.add(false);
        }
        assert!(!lateness.is_usual());
        for _ in 0..4 {
            lateness.add(true);
        }
        assert!(lateness.is_usual(), "what is long ago counts no more");
    }
}
