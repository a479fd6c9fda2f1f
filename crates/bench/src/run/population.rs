//! The clients of a closed population, of whom a capacity search looks for the highest number that keeps
//! the objective.

use workload::{Offered, Workload};

/// The fewest and the most clients of the loop without thinking that tells what a server can do at most.
const CLIENTS: (f64, f64) = (8.0, 1_024.0);
/// A trial lasts so many thoughts, so that each client has several requests in it; but no more than so
/// many seconds.
const THOUGHTS: f64 = 3.0;
const THINKING_S_MAX: f64 = 15.0;

/// Clients that think.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Population {
    /// How long each thinks after a reply, s.
    pub(super) think_s: f64,
    /// What a request takes by itself, s.
    own_s: f64,
    /// The longest response that is within the objective, s.
    objective_s: f64,
}

impl Population {
    /// That of a workload; `None` where its loop is open.
    pub(super) fn of(workload: &Workload) -> Option<Self> {
        match workload.offered {
            Offered::Open { .. } => None,
            Offered::Closed { think_ms, .. } => Some(Self {
                think_s: think_ms / 1e3,
                own_s: workload.means_us().iter().sum::<f64>() / 1e6,
                objective_s: workload.objective.response_ms / 1e3,
            }),
        }
    }

    /// About how many clients send so many requests per second where the objective is just kept, by
    /// Little's law. How far the mean is below the percentile depends on the server: between what a
    /// request takes alone and the objective the middle of their logarithms is taken.
    pub(super) fn guess(&self, rps: f64) -> f64 {
        rps * (self.think_s + (self.own_s * self.objective_s).sqrt())
    }

    /// More clients cannot keep the objective with a server that answers `rps` at most: their mean response
    /// would be longer than the percentile may be.
    pub(super) fn most(&self, rps: f64) -> f64 {
        rps * (self.think_s + self.objective_s)
    }

    /// Clients without thinking that keep as many requests in flight as there may be.
    pub(super) fn in_flight(&self, rps: f64) -> f64 {
        let clients = rps * self.objective_s;
        clients.clamp(CLIENTS.0, CLIENTS.1).round()
    }

    /// The least length of a trial, s.
    pub(super) fn trial_s(&self) -> f64 {
        (self.think_s * THOUGHTS).min(THINKING_S_MAX)
    }
}

/// Replies per second of `clients`, by what was `served` of how many: evenly between two that were tried, in
/// their logarithms. Without any, what was searched is a rate, and this is it.
pub(super) fn served_rps(served: &[(f64, f64)], clients: f64) -> f64 {
    let mut below: Option<(f64, f64)> = None;
    let mut above: Option<(f64, f64)> = None;
    for &point in served {
        if point.0 <= clients && below.is_none_or(|b| point.0 >= b.0) {
            below = Some(point);
        }
        if point.0 >= clients && above.is_none_or(|a| point.0 < a.0) {
            above = Some(point);
        }
    }
    match (below, above) {
        (Some((from, low)), Some((to, high))) if to > from && low > 0.0 && high > 0.0 => {
            let share = (clients / from).ln() / (to / from).ln();
            low * (high / low).powf(share)
        }
        (Some((_, rps)), _) | (None, Some((_, rps))) => rps,
        (None, None) => clients,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_follow_from_a_rate_by_littles_law() {
        let text = "population = 9\nthink_ms = 100\n[[class]]\ncpu_us = 100\nblocked_us = 300\n[objective]\nresponse_ms = 40\n";
        let workload = Workload::parse(text).expect("a workload");
        let population = Population::of(&workload).expect("it is closed");
        // 4 ms lie between 0.4 and 40.
        assert!((population.guess(1_000.0) - 104.0).abs() < 1e-9);
        assert!((population.most(1_000.0) - 140.0).abs() < 1e-9);
        assert!((population.in_flight(1_000.0) - 40.0).abs() < 1e-9);
        assert!((population.trial_s() - 0.3).abs() < 1e-9);
        let open = Workload::parse("rate = 5\n[[class]]\n").expect("a workload");
        assert_eq!(Population::of(&open), None);
    }

    #[test]
    fn what_clients_send_lies_between_what_was_seen() {
        let served = [(10.0, 100.0), (40.0, 400.0), (160.0, 400.0)];
        for (clients, rps) in [
            (10.0, 100.0),
            (20.0, 200.0),
            (40.0, 400.0),
            (80.0, 400.0),
            (5.0, 100.0),
            (200.0, 400.0),
        ] {
            let found = served_rps(&served, clients);
            assert!((found - rps).abs() < 1e-6, "{clients}: {found}");
        }
        assert_eq!(served_rps(&[], 77.0), 77.0);
    }
}
