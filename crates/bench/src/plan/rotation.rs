//! Rotations: which slice of which server comes when.
//!
//! Servers of one scenario stand side by side in a block. A *rotation* loads each of them once with
//! the same window and the same arrivals, in an order of its own. Rotations are numbered from 0; the
//! windows of the scenario take turns, so that rotation `n` has window `n` modulo their number. A
//! rotation that has to be measured again (an interruption cut it short, or noise spoilt it) gets the
//! number of the first with all planned ones added, as often as needed: its window is the same, and
//! what was measured before stays.

use std::collections::{BTreeMap, BTreeSet};

use schema::random::SplitMix64;

/// One pass over all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Its number within scenario and block.
    pub number: u32,
    /// Which of the scenario's windows it has.
    pub window: usize,
    /// Seed of the arrivals, the same for every server.
    pub seed: u64,
    /// The servers, as places in the plan, in the order in which they are loaded.
    pub order: Vec<usize>,
}

/// The rotations that lines of a run's folder hold: by number, the labels of the servers.
pub type Seen = BTreeMap<u32, BTreeSet<String>>;

impl Rotation {
    /// Rotation `number` of a scenario with so many `windows` and `servers`, from the seed that the plan
    /// gave the scenario in this block.
    pub fn new(seed: u64, number: u32, windows: usize, servers: usize) -> Self {
        let mut random = SplitMix64::new(seed).fork(u64::from(number));
        let arrivals = random.next_u64();
        let mut order: Vec<usize> = (0..servers).collect();
        random.shuffle(&mut order);
        Self {
            number,
            window: usize::try_from(number).unwrap_or(0) % windows.max(1),
            seed: arrivals,
            order,
        }
    }
}

/// The numbers under which rotations are still to be measured, of `planned` ones, so that each has all
/// of `servers`.
pub fn due(planned: u32, servers: &BTreeSet<String>, seen: &Seen) -> Vec<u32> {
    let whole = |number: &u32| {
        seen.get(number)
            .is_some_and(|there| there.is_superset(servers))
    };
    (0..planned)
        .filter(|&first| {
            !again(planned, first)
                .take_while(|n| *n <= last(seen))
                .any(|n| whole(&n))
        })
        .map(|first| next(planned, first, seen))
        .collect()
}

/// The next number under which the rotation `number` can be measured again.
pub fn next(planned: u32, number: u32, seen: &Seen) -> u32 {
    let first = number % planned.max(1);
    let free = again(planned, first).find(|n| !seen.contains_key(n));
    free.unwrap_or(u32::MAX)
}

/// All numbers of the rotation that was first planned as `first`.
fn again(planned: u32, first: u32) -> impl Iterator<Item = u32> {
    (0..).map_while(move |times: u32| times.checked_mul(planned.max(1))?.checked_add(first))
}

fn last(seen: &Seen) -> u32 {
    seen.keys().next_back().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn every_server_is_loaded_once_per_rotation_in_an_order_of_its_own() {
        let of = |seed| -> Vec<Rotation> {
            (0..20)
                .map(|number| Rotation::new(seed, number, 2, 6))
                .collect()
        };
        let rotations = of(7);
        for rotation in &rotations {
            let mut order = rotation.order.clone();
            order.sort_unstable();
            assert_eq!(order, (0..6).collect::<Vec<usize>>());
        }
        let distinct = |of: &dyn Fn(&Rotation) -> String| {
            rotations.iter().map(of).collect::<BTreeSet<_>>().len()
        };
        assert!(distinct(&|r| format!("{:?}", r.order)) > 15);
        assert_eq!(distinct(&|r| r.seed.to_string()), 20);
        // The seed says it all.
        assert_eq!(rotations, of(7));
        assert_ne!(rotations, of(8));
        let windows: Vec<usize> = rotations.iter().map(|r| r.window).take(4).collect();
        assert_eq!(windows, [0, 1, 0, 1]);
    }

    #[test]
    fn what_was_cut_short_is_measured_again_under_another_number() {
        let servers = labels(&["a", "b"]);
        let mut seen = Seen::new();
        assert_eq!(due(4, &servers, &seen), [0, 1, 2, 3]);
        seen.insert(0, labels(&["a", "b"]));
        seen.insert(1, labels(&["b"]));
        assert_eq!(due(4, &servers, &seen), [5, 2, 3]);
        seen.insert(5, labels(&["a"]));
        assert_eq!(due(4, &servers, &seen), [9, 2, 3]);
        seen.insert(9, labels(&["a", "b"]));
        assert_eq!(due(4, &servers, &seen), [2, 3]);
        // A server that did not start is not waited for; one that is there in addition does no harm.
        assert_eq!(due(4, &labels(&["b"]), &seen), [2, 3]);
        seen.insert(2, labels(&["a", "b", "c"]));
        seen.insert(3, labels(&["a", "b"]));
        assert!(due(4, &servers, &seen).is_empty());
        assert_eq!(next(4, 2, &seen), 6);
        assert_eq!(next(4, 5, &seen), 13);
    }
}
