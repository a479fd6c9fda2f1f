//! The highest load at which an objective is kept.

use crate::engine::Engine;
use crate::goal::Goal;
use crate::{Load, Server, Topology, Trace};

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Requests per second at the highest load that keeps the goal; 0 where none does.
    pub rate: f64,
    /// That load, as a multiple of the load that was given.
    pub factor: f64,
    /// Simulations that it took.
    pub runs: u32,
}

/// Searches by bisection, to a share `within` of the load, up to a utilisation of 1: `bound_rps` is what
/// the server can do at most, whatever the response.
///
/// `around` is a load near which the answer is expected, as a multiple of the one that is given: it saves time,
/// and changes nothing that matters. In an open loop the rate is searched, in a closed one the number of clients;
/// the clients of a trace without an objective in reach are none.
pub fn capacity(
    server: &Server,
    load: &Load,
    trace: &Trace,
    goal: &Goal,
    bound_rps: f64,
    around: Option<f64>,
    within: f64,
) -> Found {
    let mut runs = 0;
    let mut kept = |load: &Load| {
        runs += 1;
        rate_if_kept(server, load, trace, goal)
    };
    let (rate, factor) = match load {
        Load::Open { rate, connections } => {
            let at = |rate: f64| Load::Open {
                rate,
                connections: *connections,
            };
            let keeps = |rate: f64| kept(&at(rate)).is_some();
            let around = around.map(|factor| factor * rate);
            let found = highest_rate(keeps, bound_rps, around, within);
            (found, found / rate)
        }
        Load::Closed {
            population,
            think_us,
        } => {
            let at = |population: usize| Load::Closed {
                population,
                think_us: think_us.clone(),
            };
            let most = population.saturating_mul(64).max(64).min(trace.len());
            let near = match around {
                Some(factor) => factor * *population as f64,
                None => saturating(server, trace, think_us.mean()),
            };
            let (clients, rate) = most_clients(|n| kept(&at(n)), most, near, within);
            (rate, clients as f64 / *population as f64)
        }
    };
    Found { rate, factor, runs }
}

/// Requests per second of a server under this load if it keeps the goal. One that surely does not is not
/// simulated to its end.
pub fn rate_if_kept(server: &Server, load: &Load, trace: &Trace, goal: &Goal) -> Option<f64> {
    let outcome = Engine::new(server, load, trace).run_while_kept(goal)?;
    (goal.reached_us(&outcome) <= goal.response_us).then_some(outcome.throughput_rps)
}

/// The highest rate that is kept, 0 where even a hundredth of the bound is too much.
fn highest_rate(
    mut keeps: impl FnMut(f64) -> bool,
    bound: f64,
    around: Option<f64>,
    within: f64,
) -> f64 {
    let (from, mut middle) = match around {
        Some(rate) if rate > 0.0 => (rate * 0.93, rate.min(bound) * 0.99),
        _ => (bound / 100.0, bound * 0.8),
    };
    let (mut low, mut high) = (from, bound);
    if !keeps(from) {
        (low, high, middle) = (bound / 100.0, from, from * 0.9);
        if !keeps(low) {
            return 0.0;
        }
    }
    while high / low > 1.0 + within {
        if keeps(middle) {
            low = middle;
        } else {
            high = middle;
        }
        middle = f64::midpoint(low, high);
    }
    low
}

/// The highest number of clients that is kept, up to `most`, and the rate at which they are served. It is looked
/// for between two powers of two, from the one below `near` on in either direction: where one begins decides how
/// long it takes, and not what is found.
fn most_clients(
    mut kept: impl FnMut(usize) -> Option<f64>,
    most: usize,
    near: f64,
    within: f64,
) -> (usize, f64) {
    let near = (near as usize).clamp(1, most);
    let mut high = 1 << near.ilog2();
    let (mut low, mut rate) = (0, 0.0);
    match kept(high) {
        Some(rps) => {
            (low, rate) = (high, rps);
            while low < most {
                high = (low * 2).min(most);
                match kept(high) {
                    Some(rps) => (low, rate) = (high, rps),
                    None => break,
                }
            }
        }
        None => {
            while high > 1 {
                match kept(high / 2) {
                    Some(rps) => {
                        (low, rate) = (high / 2, rps);
                        break;
                    }
                    None => high /= 2,
                }
            }
        }
    }
    while high > low + 1 && (high as f64 / low.max(1) as f64) > 1.0 + within {
        let middle = usize::midpoint(low, high);
        match kept(middle) {
            Some(rps) => (low, rate) = (middle, rps),
            None => high = middle,
        }
    }
    (low, rate)
}

/// How many clients make the server busy all the time, about: as many as can be thinking and served while it
/// computes for one.
fn saturating(server: &Server, trace: &Trace, think_us: f64) -> f64 {
    let mean_us = |of: fn(&crate::trace::Request) -> u64| {
        let sum: f64 = trace.requests.iter().map(|r| of(r) as f64).sum();
        sum / trace.len().max(1) as f64 / 1_000.0
    };
    let cpu_us = server.costs.request_us + mean_us(|r| r.cpu_ns) * server.costs.cpu_factor;
    let (blocked_us, wait_us) = (mean_us(|r| r.blocked_ns), mean_us(|r| r.wait_ns));
    let held_us = match server.topology {
        Topology::Loops { loops, .. } => {
            (cpu_us + blocked_us) / loops.min(server.cores).max(1) as f64
        }
        Topology::Shared { .. } | Topology::Seats { .. } | Topology::Staged { .. } => {
            cpu_us / server.cores.max(1) as f64
        }
    };
    (think_us + cpu_us + blocked_us + wait_us) / held_us.max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_clients_does_not_depend_on_where_the_search_begins() {
        for limit in [0, 1, 2, 3, 7, 8, 9, 100, 777, 5_000] {
            for most in [1, 64, 100, 1_000] {
                let from = |near: f64| {
                    let kept = |n: usize| (n <= limit).then_some(n as f64);
                    most_clients(kept, most, near, 0.02)
                };
                let found = from(1.0);
                let best = limit.min(most);
                assert!(found.0 <= best && found.0 as f64 >= best as f64 / 1.02 - 1.0);
                assert_eq!(found.1, found.0 as f64);
                for near in [0.0, 2.0, 70.0, 90.0, 1e9, f64::INFINITY, f64::NAN] {
                    assert_eq!(from(near), found, "limit {limit}, most {most}, near {near}");
                }
            }
        }
    }
}
