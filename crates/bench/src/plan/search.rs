//! The search for a capacity: which rate is tried next, given what came of those before.
//!
//! Rates lie on a grid of a fixed ratio, the same for every model, so that two models with the same
//! capacity get the same bracket. From its start the search goes up or down in steps that
//! double, until it has a rate at which the objective was kept below one at which it was not; then it
//! halves the gap until the two are neighbours; then each end is tried once more. A rate with one success and one
//! failure is tried a third time, and the majority counts.
//!
//! *Near the edge*, where the gap is no wider than a first step, windows are long: they hold
//! [`RAREST_MIN`] requests of the rarest kind, and last so long that at a rate one place too high the
//! queue outgrows the objective. Far from it they are short, since there a server keeps the objective
//! with ease or misses it by far. What a short window says is believed until a long one says
//! otherwise, and confirms nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::size;

/// The lowest rate that is tried, requests per second.
const RATE_MIN: f64 = 100.0;
/// The highest rate that is tried, requests per second.
const RATE_MAX: f64 = 1e6;
/// How often an end of the bracket must have come out the same.
const CONFIRMED: u32 = 2;

/// The fewest requests of the rarest kind in a window near the edge: four of them make up the slowest
/// hundredth.
pub const RAREST_MIN: f64 = 400.0;
/// How much longer a window near the edge is than the queue needs to outgrow the objective.
const OUTGROWN: f64 = 1.5;

/// What came of a rate.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    /// What the last short window said.
    far: Option<bool>,
    kept: u32,
    failed: u32,
}

impl Tries {
    /// Whether it kept the objective; `None` while it is undecided.
    fn verdict(self) -> Option<bool> {
        if self.kept + self.failed == 0 {
            return self.far;
        }
        (self.kept != self.failed).then_some(self.kept > self.failed)
    }
}

/// How long a window near the edge must be, for a bracket of this ratio: see the module.
pub fn near_window(ratio: f64, rate: f64, rarest_share: f64, objective_p99_us: f64) -> Duration {
    let enough_s = RAREST_MIN / (rate * rarest_share);
    let outgrown_s = OUTGROWN * objective_p99_us / 1e6 / (ratio - 1.0);
    Duration::from_secs_f64(enough_s.max(outgrown_s))
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    ratio: f64,
    stride: i32,
    start: i32,
    /// The highest place on the grid that may be tried.
    top: i32,
    tries: BTreeMap<i32, Tries>,
}

impl Search {
    /// A search that begins near `guess` requests per second and never goes above `most`.
    pub fn new(how: &size::Search, guess: f64, most: Option<f64>) -> Self {
        let mut search = Self {
            ratio: how.ratio,
            stride: i32::try_from(how.stride.max(1)).unwrap_or(1),
            start: 0,
            top: i32::MAX,
            tries: BTreeMap::new(),
        };
        search.top = search.place(most.unwrap_or(RATE_MAX).min(RATE_MAX));
        search.start = search.place(guess).min(search.top);
        search
    }

    /// The place on the grid at or below `rate`.
    fn place(&self, rate: f64) -> i32 {
        // A little more, so that a rate of the grid finds its own place.
        let place = (rate.max(RATE_MIN) / RATE_MIN).ln() / self.ratio.ln() + 1e-6;
        place as i32
    }

    fn rate(&self, place: i32) -> f64 {
        (RATE_MIN * self.ratio.powi(place)).round()
    }

    /// The rate to try next; `None` when there is nothing left to find out.
    pub fn next(&self) -> Option<f64> {
        self.next_place().map(|place| self.rate(place))
    }

    fn next_place(&self) -> Option<i32> {
        let undecided = self
            .tries
            .iter()
            .find(|(_, tries)| tries.verdict().is_none());
        if let Some((&place, _)) = undecided {
            return Some(place);
        }
        let again = |place: i32, times: fn(&Tries) -> u32| {
            let tried = self.tries.get(&place).map_or(0, times);
            (tried < CONFIRMED).then_some(place)
        };
        let further = |gone: i32| self.stride.max(gone);
        match (self.lower(), self.upper()) {
            (None, None) => Some(self.start),
            (Some(lower), None) if lower >= self.top => again(lower, |t| t.kept),
            (Some(lower), None) => Some((lower + further(lower - self.start)).min(self.top)),
            (None, Some(0)) => again(0, |t| t.failed),
            (None, Some(upper)) => Some((upper - further(self.start - upper)).max(0)),
            (Some(lower), Some(upper)) if upper - lower > 1 => Some(lower.midpoint(upper)),
            (Some(lower), Some(upper)) => {
                again(lower, |t| t.kept).or_else(|| again(upper, |t| t.failed))
            }
        }
    }

    /// Whether the search is near the edge: the next window is then a long one.
    pub fn is_near(&self) -> bool {
        // Without a first step of several places there is nothing to be far from.
        self.stride <= 1
            || match (self.lower(), self.upper()) {
                (Some(lower), Some(upper)) => upper - lower <= self.stride,
                (None, None) => false,
                // Beyond the lowest and the highest rate there is nothing to find.
                (Some(lower), None) => lower >= self.top,
                (None, Some(upper)) => upper == 0,
            }
    }

    /// Records whether `rate` kept the objective.
    pub fn record(&mut self, rate: f64, kept: bool) {
        let near = self.is_near();
        // Rounding may have put a low rate below its place.
        let place = self.place(rate + 0.5);
        let tries = self.tries.entry(place).or_default();
        if !near {
            tries.far = Some(kept);
        } else if kept {
            tries.kept += 1;
        } else {
            tries.failed += 1;
        }
    }

    /// From now on nothing at or above `rate` is tried: it would measure the generator.
    pub fn bound(&mut self, rate: f64) {
        self.top = self.top.min(self.place(rate + 0.5) - 1).max(0);
        let top = self.top;
        self.start = self.start.min(top);
        self.tries.retain(|&place, _| place <= top);
    }

    fn upper(&self) -> Option<i32> {
        let failed = |(_, tries): &(&i32, &Tries)| tries.verdict() == Some(false);
        self.tries.iter().find(failed).map(|(&place, _)| place)
    }

    fn lower(&self) -> Option<i32> {
        let below = self.upper().unwrap_or(i32::MAX);
        let kept =
            |(place, tries): &(&i32, &Tries)| **place < below && tries.verdict() == Some(true);
        self.tries.iter().rfind(kept).map(|(&place, _)| place)
    }

    /// The highest rate that kept the objective and lies below every one that did not.
    pub fn highest_ok(&self) -> Option<f64> {
        self.lower().map(|place| self.rate(place))
    }

    /// The lowest rate that did not.
    pub fn lowest_failed(&self) -> Option<f64> {
        self.upper().map(|place| self.rate(place))
    }

    /// Whether the highest rate that may be tried is the one that was kept.
    pub fn at_top(&self) -> bool {
        self.lower() == Some(self.top)
    }

    /// Whether the lower end has kept the objective twice.
    pub fn kept_twice(&self) -> bool {
        let kept = self.lower().and_then(|place| self.tries.get(&place));
        kept.is_some_and(|tries| tries.kept >= CONFIRMED)
    }

    /// Whether the ends are neighbours, and each has come out the same twice.
    pub fn confirmed(&self) -> bool {
        let of = |place: i32| self.tries.get(&place).copied().unwrap_or_default();
        match (self.lower(), self.upper()) {
            (Some(lower), Some(upper)) => {
                upper - lower == 1 && of(lower).kept >= CONFIRMED && of(upper).failed >= CONFIRMED
            }
            (None, Some(0)) => of(0).failed >= CONFIRMED,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::size::Size;

    fn how(size: Size) -> size::Search {
        size.search().expect("this size searches")
    }

    /// Searches a server whose capacity is `capacity`, and gives the steps it took.
    fn find(how: &size::Search, search: &mut Search, capacity: f64) -> u32 {
        let mut steps = 0;
        while let Some(rate) = search.next().filter(|_| steps < how.steps_max) {
            search.record(rate, rate <= capacity);
            steps += 1;
        }
        steps
    }

    #[test]
    fn every_capacity_is_found_within_its_steps_from_every_guess() {
        for size in [Size::Quick, Size::Full] {
            let how = how(size);
            for capacity in [150.0, 990.0, 4_321.0, 25_000.0, 130_000.0] {
                for off in [0.5, 0.8, 1.0, 1.3, 2.0] {
                    let mut search = Search::new(&how, capacity * off, None);
                    let steps = find(&how, &mut search, capacity);
                    let (lower, upper) = (search.highest_ok(), search.lowest_failed());
                    let (lower, upper) = (lower.expect("found"), upper.expect("found"));
                    assert!(
                        lower <= capacity && capacity < upper,
                        "{lower} {capacity} {upper}"
                    );
                    assert!(upper / lower < how.ratio * 1.02, "{lower} {upper}");
                    assert!(search.confirmed(), "{capacity} from {off} in {steps}");
                }
            }
        }
    }

    #[test]
    fn the_grid_is_the_same_for_every_guess() {
        let how = how(Size::Quick);
        let brackets: Vec<Option<f64>> = [3_000.0, 3_500.0, 9_000.0]
            .into_iter()
            .map(|guess| {
                let mut search = Search::new(&how, guess, None);
                find(&how, &mut search, 5_000.0);
                search.highest_ok()
            })
            .collect();
        assert_eq!(brackets[0], brackets[1]);
        assert_eq!(brackets[0], brackets[2]);
    }

    #[test]
    fn not_even_the_lowest_and_no_end_are_told_apart() {
        let how = how(Size::Quick);
        let mut hopeless = Search::new(&how, 400.0, None);
        find(&how, &mut hopeless, 10.0);
        assert_eq!(
            (hopeless.highest_ok(), hopeless.lowest_failed()),
            (None, Some(100.0))
        );
        assert!(hopeless.confirmed());
        let mut endless = Search::new(&how, 400.0, Some(2_000.0));
        find(&how, &mut endless, 1e9);
        let highest = endless.highest_ok().expect("found");
        assert!(
            highest <= 2_000.0 && highest * how.ratio > 1_950.0,
            "{highest}"
        );
        assert_eq!(endless.lowest_failed(), None);
        assert!(!endless.confirmed());
    }

    fn fine(size: Size) -> size::Search {
        size.fine_search().expect("this size searches")
    }

    #[test]
    fn a_fine_search_ends_within_three_per_cent_and_spends_its_time_near_the_edge() {
        for size in [Size::Quick, Size::Full] {
            let how = fine(size);
            for capacity in [150.0, 990.0, 4_321.0, 25_000.0, 130_000.0] {
                for off in [0.5, 0.8, 1.0, 1.3, 2.0] {
                    let mut search = Search::new(&how, capacity * off, None);
                    let (mut far, mut near) = (0, 0);
                    while let Some(rate) = search.next().filter(|_| far + near < how.steps_max) {
                        *(if search.is_near() {
                            &mut near
                        } else {
                            &mut far
                        }) += 1;
                        search.record(rate, rate <= capacity);
                    }
                    let (lower, upper) = (search.highest_ok(), search.lowest_failed());
                    let (lower, upper) = (lower.expect("found"), upper.expect("found"));
                    assert!(lower <= capacity && capacity < upper);
                    // Low rates are rounded to whole requests per second.
                    assert!(upper / lower < 1.035, "{lower} {upper}");
                    assert!(search.confirmed(), "{capacity} from {off}");
                    assert!(
                        near >= 4 && far <= 8,
                        "{capacity} from {off}: {far}, {near}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_short_window_that_was_wrong_is_overruled_by_long_ones() {
        let how = fine(Size::Quick);
        let mut search = Search::new(&how, 4_000.0, None);
        let mut steps = 0;
        // In short windows the server seems to hold a fifth more than it does.
        while let Some(rate) = search.next().filter(|_| steps < how.steps_max) {
            let seems = if search.is_near() { 1.0 } else { 1.2 };
            search.record(rate, rate <= 5_000.0 * seems);
            steps += 1;
        }
        let (lower, upper) = (search.highest_ok(), search.lowest_failed());
        assert!(search.confirmed(), "{lower:?} {upper:?} in {steps}");
        assert!(lower <= Some(5_000.0) && upper > Some(5_000.0));
    }

    #[test]
    fn windows_near_the_edge_hold_the_rarest_and_outlast_the_objective() {
        let seconds = |rate, share, ms| near_window(1.03, rate, share, ms * 1e3).as_secs_f64();
        // A hundredth of 2,500 requests per second are long ones.
        assert_eq!(seconds(2_500.0, 0.01, 5.0), 16.0);
        // At a rate 3 % too high the queue has outgrown 25 ms after 0.83 s.
        assert!((seconds(20_000.0, 1.0, 25.0) - 1.25).abs() < 1e-9);
    }

    #[test]
    fn a_contradiction_is_decided_by_a_third_try() {
        let how = how(Size::Quick);
        let mut search = Search::new(&how, 1_000.0, None);
        let lower = search.next().expect("a rate");
        search.record(lower, true);
        let upper = search.next().expect("a rate");
        assert!(upper > lower);
        search.record(upper, false);
        assert_eq!(search.next(), Some(lower));
        search.record(lower, false);
        assert_eq!(search.next(), Some(lower), "one of each: once more");
        search.record(lower, true);
        assert_eq!(search.next(), Some(upper));
        search.record(upper, false);
        assert!(search.confirmed() && search.next().is_none());
    }

    #[test]
    fn a_rate_at_the_generators_limit_bounds_the_search() {
        let how = how(Size::Quick);
        let mut search = Search::new(&how, 1_000.0, None);
        let first = search.next().expect("a rate");
        search.record(first, true);
        let second = search.next().expect("a rate");
        search.bound(second);
        assert_eq!(search.next(), Some(first), "confirmed, and no further");
        search.record(first, true);
        assert_eq!(search.next(), None);
        assert_eq!(search.lowest_failed(), None);
    }
}
