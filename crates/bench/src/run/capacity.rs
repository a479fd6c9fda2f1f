//! The search for the capacity of a server: the highest offered rate at which it keeps the objective.

use std::time::Duration;

use report::data::{Capacity, Mode, Objective, Shape};
use schema::gates::NULL_SHARE_MAX;
use schema::{Code, Effect, Reason, Reasons};

use crate::failure::Unmeasured;
use crate::judge::capacity::{SearchEnd, conclude, step};
use crate::judge::gates::Ceiling;
use crate::plan::scenario::Scenario;
use crate::plan::search::{RAREST_MIN, Search};
use crate::plan::size::{self, Size};
use crate::plan::visit::Visit;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::visit;

/// Share of the closed-loop throughput at which the search begins: a closed loop exceeds the objective.
const OF_CLOSED: f64 = 0.7;
/// Where the search begins when nothing is known, requests per second.
const GUESS_RPS: f64 = 1_000.0;

/// What is known before the search.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The null server's closed-loop throughput in the same shape.
    pub ceiling: Ceiling,
    /// The closed-loop throughput of this model.
    pub closed_rps: Option<f64>,
}

/// The result of a search.
#[derive(Debug, Default)]
pub struct Found {
    /// The bracket and every step.
    pub capacity: Capacity,
    /// Why the bracket is not confirmed, if it is not.
    pub reasons: Reasons,
    /// The command line of the last step.
    pub command: String,
}

/// Searches on a server that has been warmed up.
pub fn search(
    setup: &Setup,
    visit: &Visit,
    server: &Server,
    how: &size::Search,
    objective: Objective,
    known: Known,
) -> Result<Found, Unmeasured> {
    let most = match known.ceiling {
        Ceiling::Rps(null) => Some(null * NULL_SHARE_MAX),
        Ceiling::Itself | Ceiling::Unknown => None,
    };
    let mut search = Search::new(how, guess(known, visit.scenario, setup.size), most);
    let mut found = Found::default();
    found.capacity.objective_p99_us = objective.p99_us;
    found.capacity.objective_percentile = objective.asked();
    found.capacity.errors_max_share = objective.errors_max_share;
    let mut end = SearchEnd::default();
    for _ in 0..how.steps_max {
        let Some(rate) = search.next() else { break };
        let length = match search.is_near() {
            true => visit.scenario.near_window(how, rate).min(how.near[1]),
            false => how.far,
        };
        let shape = shape(setup, visit, rate, length);
        let sample = visit::sample(setup, visit, &shape, server)?;
        let (step, outcome) = step(&shape, &sample, objective, known.ceiling);
        found.command = sample.command;
        found.capacity.steps.push(step);
        if !end.record(&mut search, rate, outcome) {
            break;
        }
    }
    let reason = conclude(&search, &end, most, &mut found.capacity);
    found.reasons.extend(reason);
    Ok(found)
}

/// Why a bracket is wider than 3 %.
pub fn why_coarse(how: &size::Search, visit: &Visit) -> Reason {
    let percent = (how.ratio - 1.0) * 100.0;
    let text = format!(
        "in steps of {percent:.0} %: a window that holds {RAREST_MIN:.0} of the rarest requests, as 3 % would take, is longer than this size allows"
    );
    let share = visit.scenario.rarest_share();
    Reason::new(Code::CapacityCoarse, Effect::Notes, text)
        .with("step_share", how.ratio - 1.0)
        .with("rarest_share", share)
}

/// Where the search begins. A scenario without a closed loop offers rates of which nearly every model
/// holds the highest or comes close to it.
fn guess(known: Known, scenario: &Scenario, size: Size) -> f64 {
    let offered = scenario.rates(size).last().filter(|_| !scenario.closed);
    let closed = known.closed_rps.map(|rps| rps * OF_CLOSED);
    closed.or(offered.copied()).unwrap_or(GUESS_RPS)
}

fn shape(setup: &Setup, visit: &Visit, rate: f64, length: Duration) -> Shape {
    Shape {
        mode: Mode::Open,
        rate: Some(rate),
        duration_s: length.as_secs_f64(),
        // The shape of the window, with the idle and slow clients that the warm-up does without.
        ..setup.shape(visit, visit.windows.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::scenarios::SCENARIOS;

    #[test]
    fn a_search_begins_below_the_closed_loop_or_at_the_rates_of_a_scenario_without_one() {
        let begins = |name: &str, closed_rps| {
            let scenario = SCENARIOS.iter().find(|s| s.name == name);
            let known = Known {
                ceiling: Ceiling::Unknown,
                closed_rps,
            };
            guess(known, scenario.expect("known"), Size::Full)
        };
        assert_eq!(begins("tiny-keepalive", Some(10_000.0)), 7_000.0);
        assert_eq!(begins("tiny-keepalive", None), GUESS_RPS);
        assert_eq!(begins("idle-many", None), 20_000.0);
    }
}
