//! Where a series changes its level: the speed of the machine, as the null server's cost shows it.
//!
//! The method is Pettitt's ("A non-parametric approach to the change-point problem", Applied Statistics
//! 28, 1979), a CUSUM of ranks: the series is cut where the sum of the ranks before the cut is furthest
//! from what it would be without a change. Both parts are searched again, as E-divisive does (Matteson
//! and James, JASA 109, 2014), and Otava after it, which also looks through windows. Ranks make a single wild rotation count for little,
//! and unlike permutations they give the same answer every time.

use super::median::middle;

/// A level that lasted for fewer rotations is not told from noise.
const LENGTH_MIN: usize = 6;
/// How unlikely a cut must be by chance. Many are tried, and neighbours resemble each other, so it is
/// small.
const CHANCE_MAX: f64 = 0.0001;
/// A smaller change is left out, a logarithm.
const STEP_MIN: f64 = 0.03;

/// A stretch of the series without a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Its first place in the series.
    pub first: usize,
    /// The place behind its last one.
    pub end: usize,
    /// Its median.
    pub middle: f64,
}

/// The levels of `series`, in order; one where nothing changes, none where it is empty.
pub fn levels(series: &[f64]) -> Vec<Level> {
    let mut cuts = vec![0, series.len()];
    cut(series, 0, &mut cuts);
    cuts.sort_unstable();
    let level = |pair: &[usize]| {
        let (first, end) = (pair[0], pair[1]);
        let middle = middle(series[first..end].iter().copied())?;
        Some(Level { first, end, middle })
    };
    let mut levels: Vec<Level> = cuts.windows(2).filter_map(level).collect();
    // A cut between two that are alike was needed to find others, and is none itself.
    let mut place = 1;
    while place < levels.len() {
        let (before, after) = (levels[place - 1], levels[place]);
        if (after.middle - before.middle).abs() >= STEP_MIN {
            place += 1;
            continue;
        }
        let both = series[before.first..after.end].iter().copied();
        let middle = middle(both).unwrap_or(before.middle);
        levels[place - 1] = Level {
            end: after.end,
            middle,
            ..before
        };
        levels.remove(place);
        place = place.max(2) - 1;
    }
    levels
}

/// Cuts `part`, which begins at `first`, and both of what that leaves.
fn cut(part: &[f64], first: usize, cuts: &mut Vec<usize>) {
    let Some(place) = place_of_change(part) else {
        return;
    };
    cuts.push(first + place);
    let (before, after) = part.split_at(place);
    cut(before, first, cuts);
    cut(after, first + place, cuts);
}

/// The place before which the level of `part` is another one than behind it: the least likely one over
/// the whole of it and over halves, quarters and so on, which overlap by half. A short stretch between
/// two that are alike hardly shows in the whole.
fn place_of_change(part: &[f64]) -> Option<usize> {
    let mut best = (CHANCE_MAX, None);
    let mut length = part.len();
    while length >= 2 * LENGTH_MIN {
        let last = part.len() - length;
        let starts = (0..last).step_by(length.div_ceil(2)).chain([last]);
        for start in starts {
            let (chance, place) = pettitt(&part[start..start + length]);
            let place = start + place;
            let whole = place >= LENGTH_MIN && place + LENGTH_MIN <= part.len();
            if whole && chance < best.0 {
                best = (chance, Some(place));
            }
        }
        length /= 2;
    }
    best.1
}

/// The place of the largest sum of ranks, and how likely one so large is without a change.
fn pettitt(part: &[f64]) -> (f64, usize) {
    let n = part.len() as f64;
    let mut sum = 0.0;
    let mut largest = (0.0, 0);
    for (place, rank) in (1..).zip(ranks(part)) {
        sum += rank;
        let reach = (2.0 * sum - place as f64 * (n + 1.0)).abs();
        if reach > largest.0 {
            largest = (reach, place);
        }
    }
    let (reach, place) = largest;
    let chance = 2.0 * (-6.0 * reach * reach / (n * n * n + n * n)).exp();
    (chance, place)
}

/// The rank of each value from 1; equal ones share the middle of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let shared = below as f64 + (same.len() as f64 + 1.0) / 2.0;
        for &place in same {
            ranks[place] = shared;
        }
        below += same.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use schema::random::SplitMix64;

    use super::*;

    /// Values of a deviation of about 0.03 (nearly normal) around each of `levels`, `length` times.
    fn series(levels: &[f64], length: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        let mut value = |level: f64| {
            let noise: f64 = (0..6).map(|_| random.uniform() - 0.5).sum();
            level + 0.042 * noise
        };
        let each = |level: &f64| std::iter::repeat_n(*level, length);
        levels.iter().flat_map(each).map(&mut value).collect()
    }

    #[test]
    fn a_machine_that_becomes_slower_and_recovers_has_three_levels() {
        let found = levels(&series(&[0.0, 0.2, 0.0], 40, 1));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].end.abs_diff(40) <= 2 && found[1].end.abs_diff(80) <= 2);
        assert!((found[1].middle - 0.2).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn noise_is_one_level_and_so_is_a_single_wild_value() {
        let changed = (0..200).filter(|seed| levels(&series(&[0.0], 120, *seed)).len() > 1);
        let changed = changed.count();
        assert!(changed <= 2, "{changed} of 200");
        let mut wild = series(&[0.0], 60, 7);
        wild[30] = 3.0;
        assert_eq!(levels(&wild).len(), 1);
    }

    #[test]
    fn short_series_and_small_steps_are_left_alone() {
        assert!(levels(&[]).is_empty());
        assert_eq!(levels(&[0.0, 1.0, 0.0]).len(), 1);
        let mut small = vec![0.0; 100];
        small.extend([0.01; 100]);
        assert_eq!(levels(&small).len(), 1);
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
    }
}
