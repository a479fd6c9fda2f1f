//! What others use of the CPUs while one server is loaded, beside what they use while the others are.
//!
//! In slices the question is not how much others use, but whether they use more of one server's time
//! than of another's: what is taken from all alike cancels in the pairs. A daemon takes what it needs,
//! whichever server is measured. A busy loop takes its fair share, which is a half beside a server of one thread
//! and a tenth beside nine threads that are ready to run.

use std::collections::VecDeque;

use crate::observe::others::Others;

/// Slices that are looked back on: a daemon that wakes up in every third slice is not in most of them.
const SLICES: usize = 7;

/// Fewer do not tell a burst from a habit.
const SLICES_MIN: usize = 2;

/// What others used in the latest slices of one server: of the server's CPUs and of the generator's.
#[derive(Debug, Clone, Default)]
pub struct RecentOthers([VecDeque<f64>; 2]);

impl RecentOthers {
    /// Adds a slice.
    pub fn add(&mut self, others: &Others) {
        for (shares, used) in self.0.iter_mut().zip([&others.server, &others.load]) {
            if shares.len() == SLICES {
                shares.pop_front();
            }
            shares.push_back(used.share);
        }
    }

    /// The lower median on either side; `None` of fewer than [`SLICES_MIN`] slices.
    fn usual(&self) -> Option<[f64; 2]> {
        let [server, load] = &self.0;
        if server.len() < SLICES_MIN {
            return None;
        }
        Some([lower_median(server)?, lower_median(load)?])
    }

    /// By how much more others usually use while this one of `all` is loaded than while the one is with
    /// which they use least; at least zero.
    pub fn beyond<'a>(&self, all: impl Iterator<Item = &'a RecentOthers>) -> [f64; 2] {
        let Some(own) = self.usual() else {
            return [0.0; 2];
        };
        let both = |a: [f64; 2], b: [f64; 2]| [a[0].min(b[0]), a[1].min(b[1])];
        let least = all.filter_map(RecentOthers::usual).fold(own, both);
        [own[0] - least[0], own[1] - least[1]]
    }
}

fn lower_median(shares: &VecDeque<f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = shares.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use schema::random::SplitMix64;

    use super::*;
    use crate::judge::gates;
    use crate::observe::others::Used;

    /// The slices of a block of servers, and how many of each are left out.
    fn left_out(servers: usize, mut share: impl FnMut(usize) -> f64) -> Vec<usize> {
        let mut beside = vec![RecentOthers::default(); servers];
        let mut left_out = vec![0; servers];
        for _ in 0..ROTATIONS {
            for server in 0..servers {
                let used = Used {
                    share: share(server),
                    ..Used::default()
                };
                let mut others = Others {
                    server: used,
                    ..Others::default()
                };
                beside[server].add(&others);
                others.beside(beside[server].beyond(beside.iter()));
                left_out[server] += usize::from(gates::is_shared(&others));
            }
        }
        left_out
    }

    const ROTATIONS: usize = 12;

    #[test]
    fn a_busy_loop_is_found_whatever_share_it_gets() {
        // Beside one thread, beside eight, beside sixty-four.
        let found = left_out(3, |server| [0.5, 0.11, 0.015][server]);
        assert_eq!(found[0], ROTATIONS);
        // It takes two slices of every server to tell a habit from a burst.
        assert!(found[1] >= ROTATIONS - 2, "{found:?}");
        assert_eq!(found[2], 0, "it takes next to nothing from so many");
    }

    #[test]
    fn a_daemon_is_left_in_whether_it_comes_in_bursts_or_all_the_time() {
        let mut random = SplitMix64::new(5);
        let mut lost = 0;
        for _ in 0..200 {
            let of = left_out(14, |_| match random.uniform() {
                few if few < 0.15 => 0.05 + 0.04 * random.uniform(),
                _ => 0.02 * random.uniform(),
            });
            lost += of.iter().sum::<usize>();
        }
        let share = lost as f64 / (200 * 14 * ROTATIONS) as f64;
        assert!(share < 0.02, "{share}");
        let steady = left_out(14, |_| 0.06 + 0.03 * random.uniform());
        assert_eq!(steady.iter().sum::<usize>(), 0);
    }
}
