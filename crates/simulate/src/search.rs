//! The highest load at which an objective is kept.

use crate::{Load, Outcome, Server, Trace, run};

/// What must be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The percentile of the response.
    pub percentile: f64,
    /// Its bound, µs.
    pub response_us: f64,
    /// The class that is meant, by its index; `None` for all requests.
    pub class: Option<usize>,
}

impl Goal {
    /// The percentile that the goal is about, µs.
    pub fn reached_us(&self, outcome: &Outcome) -> f64 {
        let of = self
            .class
            .map_or(&outcome.all, |class| &outcome.classes[class]);
        of.percentile_us(self.percentile)
    }
}

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
/// `around` is a rate near which the answer is expected, which saves time and changes nothing else. In an
/// open loop the rate is searched, in a closed one the number of clients; the clients of a trace
/// without an objective in reach are none.
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
        let outcome = run(server, load, trace);
        (goal.reached_us(&outcome) <= goal.response_us).then_some(outcome.throughput_rps)
    };
    match load {
        Load::Open { rate, connections } => {
            let at = |rate: f64| Load::Open {
                rate,
                connections: *connections,
            };
            let (mut low, mut high) = (0.0, bound_rps);
            // Where even a hundredth of the bound breaks the goal, no rate is of use.
            let (from, mut middle) = match around {
                Some(rate) if rate > 0.0 => (rate * 0.93, rate.min(bound_rps) * 0.99),
                _ => (bound_rps / 100.0, bound_rps * 0.8),
            };
            let least = if kept(&at(from)).is_some() {
                Some(from)
            } else {
                high = from;
                middle = from * 0.9;
                kept(&at(bound_rps / 100.0)).map(|_| bound_rps / 100.0)
            };
            if let Some(least) = least {
                low = least;
                while high / low > 1.0 + within {
                    match kept(&at(middle)) {
                        Some(_) => low = middle,
                        None => high = middle,
                    }
                    middle = f64::midpoint(low, high);
                }
            }
            Found {
                rate: low,
                factor: low / rate,
                runs,
            }
        }
        Load::Closed {
            population,
            think_us,
        } => {
            let at = |population: usize| Load::Closed {
                population,
                think_us: think_us.clone(),
            };
            let (mut low, mut rate) = (0, 0.0);
            let mut high = 1;
            let most = population.saturating_mul(64).max(64).min(trace.len());
            while let Some(rps) = kept(&at(high)) {
                (low, rate) = (high, rps);
                if high == most {
                    break;
                }
                high = (high * 2).min(most);
            }
            while high > low + 1 && (high as f64 / low.max(1) as f64) > 1.0 + within {
                let middle = usize::midpoint(low, high);
                match kept(&at(middle)) {
                    Some(rps) => (low, rate) = (middle, rps),
                    None => high = middle,
                }
            }
            Found {
                rate,
                factor: low as f64 / *population as f64,
                runs,
            }
        }
    }
}
