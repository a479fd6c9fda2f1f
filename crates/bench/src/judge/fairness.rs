//! How evenly the workers of a server were used: by requests, and by connections.

use crate::observe::connections::ByWorker;
use crate::observe::whoami::Served;

/// What each worker had, and how even that is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// In the order of process and worker number.
    pub counts: Vec<u64>,
    /// Jain's index of them; `None` where not every worker is among them.
    pub jain: Option<f64>,
}

impl Shares {
    /// The requests that `workers` served between two readings. A worker that could not be asked before
    /// had served next to nothing then.
    pub fn of_requests(before: &Served, after: &Served, workers: u32) -> Self {
        let since = |(worker, &served): (_, &u64)| {
            served.saturating_sub(before.get(worker).copied().unwrap_or(0))
        };
        let counts: Vec<u64> = after.iter().map(since).collect();
        let all = counts.len() as u64 == u64::from(workers);
        Self {
            jain: all.then(|| jain(&counts)).flatten(),
            counts,
        }
    }

    /// How `workers` shared new connections; those that served none come last, with 0. Nothing where the
    /// number of workers is not known, or cannot be right.
    pub fn of_connections(connections: &ByWorker, workers: u32) -> Self {
        let workers = usize::try_from(workers).unwrap_or(usize::MAX);
        let mut counts: Vec<u64> = connections.values().copied().collect();
        if counts.is_empty() || counts.len() > workers {
            return Self::default();
        }
        counts.resize(workers, 0);
        Self {
            jain: jain(&counts),
            counts,
        }
    }
}

/// Jain, Chiu and Hawe, DEC TR-301 (1984): the square of the sum over n times the sum of squares.
fn jain(counts: &[u64]) -> Option<f64> {
    let sum: f64 = counts.iter().map(|&n| n as f64).sum();
    let squares: f64 = counts.iter().map(|&n| (n as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (counts.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_when_even_and_an_nth_when_one_serves_all() {
        assert_eq!(jain(&[5, 5, 5, 5]), Some(1.0));
        assert_eq!(jain(&[9, 0, 0]), Some(1.0 / 3.0));
        // Shares of 50, 30 and 20.
        let index = jain(&[50, 30, 20]).expect("something was served");
        assert!((index - 10_000.0 / (3.0 * 3_800.0)).abs() < 1e-12);
        assert_eq!(jain(&[0, 0]), None);
    }

    #[test]
    fn what_was_served_before_does_not_count() {
        let before = Served::from([((1, 0), 1_000), ((2, 1), 1)]);
        let after = Served::from([((1, 0), 1_010), ((2, 1), 11), ((3, 2), 10)]);
        let all = Shares::of_requests(&before, &after, 3);
        assert_eq!((all.counts, all.jain), (vec![10, 10, 10], Some(1.0)));
        let one_missing = Shares::of_requests(&before, &after, 4);
        assert_eq!((one_missing.counts.len(), one_missing.jain), (3, None));
        let none = Served::new();
        assert_eq!(Shares::of_requests(&none, &none, 0).jain, None);
    }

    #[test]
    fn workers_that_served_no_connection_count_too() {
        let connections = ByWorker::from([((7, 0), 6), ((7, 1), 2)]);
        let of = |workers| Shares::of_connections(&connections, workers);
        assert_eq!(of(2).counts, [6, 2]);
        assert!(of(2).jain.is_some_and(|jain| (jain - 0.8).abs() < 1e-9));
        assert_eq!(of(4).counts, [6, 2, 0, 0]);
        assert_eq!(of(1), Shares::default(), "not this server's number");
    }
}
