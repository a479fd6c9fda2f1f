//! The capacity of a server: the highest offered rate at which it keeps the objective.

use report::data::{Capacity, CapacityStep, Figures, Mode, Objective, Shape, Validity};

use crate::failure::Failure;
use crate::figures::load_figures;
use crate::gates::{self, Ceiling, Evidence};
use crate::plan::Visit;
use crate::search::Search;
use crate::server::Server;
use crate::size;
use crate::visit::{Rig, Sample};

/// A server in a closed loop does more than it can in time: where the search begins.
const OF_CLOSED: f64 = 0.7;
/// Where it begins when nothing is known, requests a second.
const GUESS_RPS: f64 = 1_000.0;
/// Above this share of the null server's throughput the generator is what is measured.
const OF_NULL_MAX: f64 = 0.7;

/// What is known before the search.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The null server's closed-loop throughput in the same shape.
    pub ceiling: Ceiling,
    /// The closed-loop throughput of this model.
    pub closed_rps: Option<f64>,
}

/// What came of a search.
#[derive(Debug)]
pub struct Found {
    /// The bracket and every step.
    pub capacity: Capacity,
    /// VALID where the bracket is the server's, LIMITED where the generator ended the search.
    pub validity: Validity,
    /// Why it is no better.
    pub reasons: Vec<String>,
    /// The command line of the last step.
    pub command: String,
}

/// Searches on a server that has been warmed up.
///
/// # Errors
/// [`Failure::Interrupted`], or when the generator fails.
pub fn search(
    rig: &Rig,
    visit: &Visit,
    server: &Server,
    how: &size::Search,
    objective: Objective,
    known: Known,
) -> Result<Found, Failure> {
    let most = match known.ceiling {
        Ceiling::Rps(null) => Some(null * OF_NULL_MAX),
        Ceiling::Itself | Ceiling::Unknown => None,
    };
    let guess = known.closed_rps.map_or(GUESS_RPS, |rps| rps * OF_CLOSED);
    let mut search = Search::new(how, guess, most);
    let mut found = Found {
        capacity: Capacity {
            objective_p99_us: objective.p99_us,
            errors_max_share: objective.errors_max_share,
            ..Capacity::default()
        },
        validity: Validity::Valid,
        reasons: Vec::new(),
        command: String::new(),
    };
    for _ in 0..how.steps_max {
        let Some(rate) = search.next() else { break };
        let shape = shape(rig, visit, rate);
        let sample = rig.sample(visit, &shape, server)?;
        let step = judge(&shape, &sample, objective, known.ceiling);
        match step.validity {
            Validity::Valid => search.record(rate, step.ok),
            // Beyond what the generator can do a success stands, and a failure is its own.
            Validity::Limited if step.ok => search.record(rate, true),
            Validity::Limited => search.bound(rate),
            Validity::Invalid | Validity::Blocks => {}
        }
        found.command = sample.command;
        found.capacity.steps.push(step);
    }
    conclude(&search, &mut found);
    Ok(found)
}

fn shape(rig: &Rig, visit: &Visit, rate: f64) -> Shape {
    Shape {
        mode: Mode::Open,
        rate: Some(rate),
        duration_s: rig.size.windows().step.as_secs_f64(),
        ..rig.shape(visit, None)
    }
}

fn judge(shape: &Shape, sample: &Sample, objective: Objective, ceiling: Ceiling) -> CapacityStep {
    let figures: Figures = load_figures(sample);
    let verdict = gates::judge(&Evidence {
        shape,
        figures: &figures,
        load: &sample.report,
        ticks: sample.machine.used,
        ceiling,
    });
    let failed = figures.scheduled.saturating_sub(figures.requests);
    let errors_share = failed as f64 / figures.scheduled.max(1) as f64;
    let p99_us = figures.response_us.p99;
    let ok = p99_us.is_some_and(|p99_us| p99_us <= objective.p99_us)
        && errors_share <= objective.errors_max_share;
    // A server that answers nothing at this rate has failed; the gates take it for a broken trial.
    let nothing = figures.requests == 0 && figures.scheduled > 0;
    // A late generator and stolen time make responses longer, never shorter: what kept the
    // objective in spite of them has kept it.
    let in_spite = verdict.noise && ok;
    CapacityStep {
        rate: shape.rate.unwrap_or_default(),
        p50_us: figures.response_us.p50,
        p99_us,
        errors_share,
        ok,
        validity: if nothing || in_spite {
            Validity::Valid
        } else {
            verdict.validity
        },
    }
}

fn conclude(search: &Search, found: &mut Found) {
    let capacity = &mut found.capacity;
    capacity.highest_ok_rps = search.highest_ok();
    capacity.lowest_failed_rps = search.lowest_failed();
    capacity.confirmed = search.confirmed();
    let mut say = |validity, reason: String| {
        found.validity = validity;
        found.reasons.push(reason);
    };
    match (capacity.highest_ok_rps, capacity.lowest_failed_rps) {
        (None, None) => say(
            Validity::Invalid,
            format!("none of {} steps was valid", capacity.steps.len()),
        ),
        (Some(ok), None) => say(
            Validity::Limited,
            format!("at least {ok:.0}/s: above it the generator is what would be measured"),
        ),
        (_, Some(_)) if !capacity.confirmed => {
            let reason = format!("not confirmed within {} steps", capacity.steps.len());
            found.reasons.push(reason);
        }
        _ => {}
    }
}
