//! The search of one capacity by trials that may each be wrong.
//!
//! A trial at a rate tells how far its p99 was from the objective. The search brackets the rate at which
//! that is nothing. The result comes from all trials together, by the monotone function that is nearest to
//! them (pool adjacent violators: Ayer and others, 1955): one trial that a slow moment of the machine has
//! spoilt moves it a little, and does not end the search at the wrong place.

/// The search ends when its ends are so near: half a stride. Where the objective lies between them is told by how
/// far each trial was from it, and trials that came nearer would differ by their noise.
const WITHIN: f64 = 1.065;
/// The same where a rough figure is enough.
const WITHIN_COARSE: f64 = 1.10;
/// Below this share of the highest rate, half the way to it is a better step than a stride.
const FAR_SHARE: f64 = 0.4;
/// The first step of a search that has one end.
const STRIDE: f64 = 1.12;
/// No step is longer.
const STRIDE_MAX: f64 = 2.5;
/// How near the highest rate a search goes: beyond, nothing is left to find.
const TOP_SHARE: f64 = 0.985;
/// A p99 beyond so many times the objective, or among the unanswered, counts as that many.
const FAR: f64 = 8.0;

/// A trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Offered requests per second; in a search over clients, how many there were.
    pub rate: f64,
    /// 99th percentile of the response, µs; `None` where it falls among the unanswered.
    pub p99_us: Option<f64>,
    /// Share of the requests that were not answered.
    pub errors_share: f64,
}

/// What must be kept.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// p99 of the response at most, µs.
    pub p99_us: f64,
    /// Share of unanswered requests at most.
    pub errors_share: f64,
}

impl Trial {
    /// The logarithm of p99 over objective; above 0 where the objective was not kept.
    fn excess(&self, kept: Kept) -> f64 {
        let most = FAR.ln();
        match self.p99_us {
            Some(p99) if self.errors_share <= kept.errors_share => {
                (p99.max(1.0) / kept.p99_us).ln().clamp(-most, most)
            }
            _ => most,
        }
    }
}

/// A search of the highest rate that keeps an objective.
#[derive(Debug, Clone)]
pub struct Search {
    kept: Kept,
    /// What the server answered in a closed loop: it cannot do more for long, and a short window of a
    /// higher rate would only show how long a queue may become in it.
    most: f64,
    /// The rate of the next trial.
    pub next: f64,
    low: f64,
    high: f64,
    stride: f64,
    within: f64,
    /// Whether only whole numbers can be tried.
    whole: bool,
    trials: Vec<Trial>,
}

impl Search {
    /// A search up to `most` that begins near `guess`, which may be nothing.
    pub fn new(kept: Kept, most: f64, guess: f64) -> Self {
        let from = if guess > 0.0 { guess } else { most * 0.7 };
        Self {
            kept,
            most,
            next: from.min(most) * 0.97,
            low: 0.0,
            high: f64::INFINITY,
            stride: STRIDE,
            within: WITHIN,
            whole: false,
            trials: Vec::new(),
        }
    }

    /// The same over whole numbers, as of clients.
    pub fn whole(self) -> Self {
        let mut whole = Self {
            whole: true,
            most: self.most.floor().max(1.0),
            ..self
        };
        whole.round();
        whole
    }

    /// Makes the next a whole number between the ends.
    fn round(&mut self) {
        if self.whole {
            let most = (self.high - 1.0).min(self.most);
            self.next = self.next.round().min(most).max(self.low + 1.0);
        }
    }

    /// The same, that ends at a rough figure.
    pub fn coarse(self) -> Self {
        Self {
            within: WITHIN_COARSE,
            ..self
        }
    }

    /// The trial at [`Search::next`] was made.
    pub fn record(&mut self, trial: Trial) {
        let kept = trial.excess(self.kept) <= 0.0;
        if kept {
            self.low = self.low.max(trial.rate);
        } else {
            self.high = self.high.min(trial.rate);
        }
        self.trials.push(trial);
        self.next = match (self.low > 0.0, self.high.is_finite()) {
            (true, true) => f64::sqrt(self.low * self.high),
            // Far from the top, half the way to it is a longer step. Near the guess, a stride is the better one:
            // a good guess is confirmed with the fewest trials.
            (true, false) if self.low < self.most * FAR_SHARE || self.stride > STRIDE => {
                let half_way = f64::sqrt(self.low * self.most);
                (self.low * self.stride).max(half_way).min(self.most)
            }
            (true, false) => (self.low * self.stride).min(self.most),
            _ => self.high / self.stride,
        };
        if !(self.low > 0.0 && self.high.is_finite()) {
            self.stride = (self.stride * self.stride).min(STRIDE_MAX);
        }
        self.round();
    }

    /// Whether the highest rate was kept.
    pub fn is_at_top(&self) -> bool {
        self.low >= self.most * TOP_SHARE
    }

    /// The server has answered as many as `most` in another closed loop: where the first one met a slow
    /// moment, the search goes on above it.
    pub fn raise(&mut self, most: f64) {
        self.most = self.most.max(most);
        self.next = (self.low * STRIDE).min(self.most);
        self.round();
    }

    /// Whether both ends are near, or the highest rate was kept.
    pub fn is_over(&self) -> bool {
        let is_single = self.whole && self.high <= self.low + 1.0;
        self.is_at_top() || is_single || self.low > 0.0 && self.high / self.low < self.within
    }

    /// What was tried.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The capacity that all trials amount to; `None` where none kept the objective.
    pub fn capacity(&self) -> Option<f64> {
        match crossing(&self.trials, self.kept) {
            Crossing::Above(_) if self.is_at_top() => Some(f64::sqrt(self.low * self.most)),
            Crossing::Above(rate) | Crossing::At(rate) => Some(rate),
            Crossing::Below(_) | Crossing::Unknown => None,
        }
    }
}

/// Where trials put the rate at which an objective is just kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    /// Between those that were tried.
    At(f64),
    /// All of them kept it, up to this.
    Above(f64),
    /// None of them kept it, down to this.
    Below(f64),
    /// There were none.
    Unknown,
}

/// Where `trials` put it together.
pub fn crossing(trials: &[Trial], kept: Kept) -> Crossing {
    let mut points: Vec<(f64, f64)> = trials.iter().map(|t| (t.rate, t.excess(kept))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let fitted = monotone(&points.iter().map(|p| p.1).collect::<Vec<_>>());
    let above = fitted.iter().position(|&excess| excess > 0.0);
    match (above, points.first(), points.last()) {
        (_, None, _) | (_, _, None) => Crossing::Unknown,
        (None, _, Some(last)) => Crossing::Above(last.0),
        (Some(0), Some(first), _) => Crossing::Below(first.0),
        (Some(at), ..) => {
            let (low, high) = (points[at - 1].0, points[at].0);
            let (under, over) = (fitted[at - 1], fitted[at]);
            let share = -under / (over - under).max(1e-9);
            Crossing::At(low * (high / low).powf(share.clamp(0.0, 1.0)))
        }
    }
}

/// The non-decreasing sequence that is nearest to `values` in the mean square.
fn monotone(values: &[f64]) -> Vec<f64> {
    // Blocks of a mean and a length; a block that lies below the one before it joins it.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        let mut block = (value, 1);
        while let Some(&(mean, many)) = blocks.last()
            && mean > block.0
        {
            let all = many + block.1;
            block = (
                (mean * many as f64 + block.0 * block.1 as f64) / all as f64,
                all,
            );
            blocks.pop();
        }
        blocks.push(block);
    }
    let each = blocks.into_iter().flat_map(|(mean, many)| vec![mean; many]);
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Kept = Kept {
        p99_us: 10_000.0,
        errors_share: 0.001,
    };

    /// A server whose p99 grows as 1/(1 - load), and is 10 ms at 900 of 1,000 per second.
    fn server(rate: f64) -> Trial {
        let load = rate / 1_000.0;
        Trial {
            rate,
            p99_us: (load < 1.0).then(|| 1_000.0 / (1.0 - load)),
            errors_share: 0.0,
        }
    }

    fn searched(guess: f64, answer: impl Fn(f64, usize) -> Trial) -> (Search, usize) {
        let mut search = Search::new(KEPT, 1_000.0, guess);
        let mut steps = 0;
        while !search.is_over() && steps < 40 {
            let next = search.next;
            search.record(answer(next, steps));
            steps += 1;
        }
        (search, steps)
    }

    #[test]
    fn a_capacity_is_found_from_every_guess() {
        for guess in [0.0, 50.0, 300.0, 880.0, 900.0, 960.0, 5_000.0] {
            let (search, steps) = searched(guess, |rate, _| server(rate));
            let found = search.capacity().expect("it keeps the objective");
            assert!((found / 900.0 - 1.0).abs() < 0.02, "{guess}: {found}");
            assert!(steps <= 9, "{guess}: {steps} steps");
        }
        let (_, steps) = searched(900.0, |rate, _| server(rate));
        assert!(steps <= 4, "a good guess saves time: {steps} steps");
    }

    #[test]
    fn no_more_than_the_closed_loop_is_found_and_nothing_where_nothing_is_kept() {
        let easy = |rate, _| Trial {
            rate,
            p99_us: Some(100.0),
            errors_share: 0.0,
        };
        let (search, _) = searched(700.0, easy);
        let found = search.capacity().expect("all is kept");
        assert!((970.0..=1_000.0).contains(&found), "{found}");
        // The closed loop had met a slow moment.
        let mut search = search;
        assert!(search.is_at_top());
        search.raise(990.0);
        assert!(search.is_over());
        search.raise(1_300.0);
        assert!(!search.is_over());
        while !search.is_over() {
            let next = search.next;
            search.record(easy(next, 0));
        }
        let found = search.capacity().expect("all is kept");
        assert!((1_260.0..=1_300.0).contains(&found), "{found}");
        let hard = |rate, _| Trial {
            rate,
            p99_us: Some(100.0),
            errors_share: 0.5,
        };
        let (search, _) = searched(700.0, hard);
        assert_eq!(search.capacity(), None);
    }

    #[test]
    fn one_spoilt_trial_moves_the_result_a_little() {
        let (mut search, _) = searched(700.0, |rate, step| {
            let mut trial = server(rate);
            if step == 0 {
                trial.p99_us = Some(13_000.0);
            }
            trial
        });
        // It was misled to rates below 700; trials above tell it better.
        for rate in [760.0, 850.0, 950.0] {
            search.record(server(rate));
        }
        let found = search.capacity().expect("it keeps the objective");
        assert!((800.0..950.0).contains(&found), "{found}");
    }

    #[test]
    fn a_good_guess_is_confirmed_in_a_few_trials_and_a_rough_figure_takes_fewer() {
        for guess in [880.0, 900.0, 930.0] {
            let (_, steps) = searched(guess, |rate, _| server(rate));
            assert!(steps <= 4, "{guess}: {steps} steps");
            let mut search = Search::new(KEPT, 2_000.0, guess).coarse();
            let mut steps = 0;
            while !search.is_over() {
                let next = search.next;
                search.record(server(next));
                steps += 1;
            }
            let found = search.capacity().expect("it keeps the objective");
            assert!((found / 900.0 - 1.0).abs() < 0.05, "{guess}: {found}");
            assert!(steps <= 3, "{guess}: {steps} steps");
        }
    }

    #[test]
    fn clients_are_whole_and_a_few_are_found_too() {
        for most_kept in [0.0, 1.0, 2.0, 3.0, 5.0, 9.0, 40.0, 900.0] {
            for guess in [0.0, 1.0, 4.0, 50.0, 2_000.0] {
                let mut search = Search::new(KEPT, 1_000.5, guess).whole();
                let mut steps = 0;
                while !search.is_over() {
                    let rate = search.next;
                    assert!(rate >= 1.0 && rate.fract() == 0.0, "{guess}: {rate}");
                    let again = search.trials().iter().any(|t| t.rate == rate);
                    assert!(!again, "{guess}: {rate} was tried");
                    search.record(Trial {
                        rate,
                        p99_us: Some(10_000.0 * rate / (most_kept + 0.5)),
                        errors_share: 0.0,
                    });
                    steps += 1;
                }
                assert!(steps <= 14, "{most_kept} from {guess}: {steps} steps");
                match search.capacity() {
                    None => assert!(most_kept == 0.0, "{guess}"),
                    Some(found) => assert!(
                        (found - most_kept).abs() <= f64::max(1.0, 0.04 * most_kept),
                        "{most_kept} from {guess}: {found}"
                    ),
                }
            }
        }
    }

    #[test]
    fn trials_on_one_side_only_say_so() {
        let at = |rates: &[f64]| {
            let trials: Vec<Trial> = rates.iter().map(|&rate| server(rate)).collect();
            crossing(&trials, KEPT)
        };
        assert_eq!(at(&[]), Crossing::Unknown);
        assert_eq!(at(&[500.0, 800.0]), Crossing::Above(800.0));
        assert_eq!(at(&[960.0, 950.0]), Crossing::Below(950.0));
        let Crossing::At(rate) = at(&[850.0, 950.0]) else {
            panic!("both sides were tried");
        };
        assert!((rate / 900.0 - 1.0).abs() < 0.02, "{rate}");
    }

    #[test]
    fn the_nearest_monotone_sequence() {
        assert_eq!(monotone(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(monotone(&[3.0, 1.0, 2.0]), [2.0, 2.0, 2.0]);
        assert_eq!(monotone(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert!(monotone(&[]).is_empty());
    }
}
