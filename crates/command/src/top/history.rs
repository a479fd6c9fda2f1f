//! The rate of requests over the last intervals, as a small picture.

use std::collections::VecDeque;

/// Requests per second, the latest last.
#[derive(Debug, Default)]
pub struct History(VecDeque<f64>);

/// A minute at the usual interval.
const INTERVALS: usize = 60;

impl History {
    /// Takes note of an interval.
    pub fn add(&mut self, requests_per_s: f64) {
        if self.0.len() == INTERVALS {
            self.0.pop_front();
        }
        self.0.push_back(requests_per_s);
    }

    /// A bar for each of the last intervals, `width` at most; each height is a part of the highest rate
    /// shown, which is returned, too.
    pub fn bars(&self, width: usize, heights: &[char]) -> (String, f64) {
        let shown = self.0.iter().skip(self.0.len().saturating_sub(width));
        let most = shown.clone().copied().fold(0.0, f64::max);
        let bar = |rate: &f64| {
            let top = heights.len() - 1;
            let height = if most > 0.0 {
                rate / most * top as f64
            } else {
                0.0
            };
            // What is not nothing is seen.
            let height = (height.round() as usize).max(usize::from(*rate > 0.0));
            heights[height.min(top)]
        };
        (shown.map(bar).collect(), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_parts_of_the_highest() {
        let history = History(VecDeque::from([9.0, 0.0, 4.0, 0.1, 8.0]));
        let heights = [' ', '1', '2', '3', '4'];
        assert_eq!(history.bars(4, &heights), (" 214".into(), 8.0));
        assert_eq!(History::default().bars(4, &heights), (String::new(), 0.0));
    }
}
