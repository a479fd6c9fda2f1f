//! How evenly the workers of a server were used, as they say themselves.
//!
//! A load generator's connections cannot know who serves them. Each worker, though, counts what it
//! has served and tells it at `/whoami`; so after the windows of a visit as many connections are
//! opened as there are workers, all at once, so that a worker which holds one is not asked twice,
//! and each is asked once. They are asked before the warm-up as well, so that the difference is what
//! the generator made them do: warm-up and every window, over the whole visit. Where not every worker
//! could be reached there is no index, only what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::observe::client::Client;

/// More workers than this are not asked.
const WORKERS_MAX: u32 = 256;
/// Rounds in which workers that share connections are looked for.
const ROUNDS_MAX: u32 = 4;
/// A worker that does not answer by then is busy with something else.
const REPLY_WITHIN: Duration = Duration::from_millis(500);

/// What `/whoami` says, as far as it is used here.
#[derive(Debug, Deserialize)]
pub struct Who {
    pid: u64,
    worker: u64,
    requests: u64,
}

impl Who {
    /// Process and worker number.
    pub fn worker(&self) -> (u64, u64) {
        (self.pid, self.worker)
    }
}

/// Requests served by each worker, and how even that is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fairness {
    /// In the order of process and worker number.
    pub served: Vec<u64>,
    /// Jain's index of them, when they are all there.
    pub jain: Option<f64>,
}

/// What each worker had served, by process and worker number.
pub type Told = BTreeMap<(u64, u64), u64>;

impl Fairness {
    /// What was served between two readings by a server that has `workers`. One that could not be
    /// asked before had served next to nothing then.
    pub fn between(before: &Told, after: &Told, workers: u32) -> Self {
        let since = |(worker, &served): (&(u64, u64), &u64)| {
            served.saturating_sub(before.get(worker).copied().unwrap_or(0))
        };
        let served: Vec<u64> = after.iter().map(since).collect();
        let all = served.len() as u64 == u64::from(workers);
        Self {
            jain: all.then(|| jain(&served)).flatten(),
            served,
        }
    }
}

/// Asks the `workers` of the server at `address`.
pub fn ask(address: &str, workers: u32) -> Told {
    let mut told = Told::new();
    let all = usize::try_from(workers).unwrap_or(usize::MAX);
    if workers == 0 || workers > WORKERS_MAX {
        return told;
    }
    for _ in 0..ROUNDS_MAX {
        let mut open = Vec::new();
        for _ in 0..workers {
            let Ok(mut client) = Client::connect(address, REPLY_WITHIN) else {
                break;
            };
            let Ok(reply) = client.ask("GET", "/whoami", b"") else {
                break;
            };
            let Ok(who) = serde_json::from_slice::<Who>(&reply.body) else {
                return Told::new();
            };
            told.insert(who.worker(), who.requests);
            open.push(client);
        }
        if told.len() >= all || open.is_empty() {
            break;
        }
    }
    told
}

/// Jain, Chiu and Hawe, DEC TR-301 (1984): the square of the sum over n times the sum of squares.
pub fn jain(served: &[u64]) -> Option<f64> {
    let sum: f64 = served.iter().map(|&n| n as f64).sum();
    let squares: f64 = served.iter().map(|&n| (n as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (served.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_when_even_and_a_nth_when_one_does_it_all() {
        assert_eq!(jain(&[5, 5, 5, 5]), Some(1.0));
        assert_eq!(jain(&[9, 0, 0]), Some(1.0 / 3.0));
        // Shares of 50, 30 and 20.
        let index = jain(&[50, 30, 20]).expect("something was served");
        assert!((index - 10_000.0 / (3.0 * 3_800.0)).abs() < 1e-12);
        assert_eq!(jain(&[0, 0]), None);
    }

    #[test]
    fn what_was_served_before_does_not_count() {
        let before = Told::from([((1, 0), 1_000), ((2, 1), 1)]);
        let after = Told::from([((1, 0), 1_010), ((2, 1), 11), ((3, 2), 10)]);
        let all = Fairness::between(&before, &after, 3);
        assert_eq!((all.served, all.jain), (vec![10, 10, 10], Some(1.0)));
        let one_missing = Fairness::between(&before, &after, 4);
        assert_eq!((one_missing.served.len(), one_missing.jain), (3, None));
        assert_eq!(Fairness::between(&Told::new(), &Told::new(), 0).jain, None);
    }

    #[test]
    fn whoami_is_read() {
        let who: Who = serde_json::from_str(
            r#"{"model":"prefork","variant":"accept","pid":7,"thread":7,"worker":3,"requests":12}"#,
        )
        .expect("as the route says it");
        assert_eq!((who.pid, who.worker, who.requests), (7, 3, 12));
    }
}
