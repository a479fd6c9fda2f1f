//! The capacity of a server: the highest offered rate at which it keeps the objective.

use std::collections::BTreeMap;

use report::data::{Capacity, CapacityStep, Figures, Mode, Objective, Shape, Validity};

use crate::failure::Failure;
use crate::judge::figures::load_figures;
use crate::judge::gates::{self, Ceiling, Evidence, Verdict};
use crate::observe::answer::Report;
use crate::observe::measured::Sample;
use crate::plan::scenario::Scenario;
use crate::plan::size::{self, Size};
use crate::plan::visit::Visit;
use crate::run::search::Search;
use crate::run::server::Server;
use crate::run::setup::Setup;
use crate::run::visit;

/// A server in a closed loop does more than it can in time: where the search begins.
const OF_CLOSED: f64 = 0.7;
/// Where it begins when nothing is known, requests a second.
const GUESS_RPS: f64 = 1_000.0;
/// How often a rate must have failed by the generator's doing until none above it is tried.
const GENERATOR_TIMES: u32 = 2;
/// How often noise may spoil a rate until the search is given up.
const NOISE_TIMES: u32 = 3;
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
    setup: &Setup,
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
    let mut search = Search::new(how, guess(known, visit.scenario, setup.size), most);
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
    let mut ends = Ends::default();
    for _ in 0..how.steps_max {
        let Some(rate) = search.next() else { break };
        let shape = shape(setup, visit, rate);
        let sample = visit::sample(setup, visit, &shape, server)?;
        let (step, came) = judge(&shape, &sample, objective, known.ceiling);
        found.command = sample.command;
        found.capacity.steps.push(step);
        if !ends.take(&mut search, rate, came) {
            break;
        }
    }
    conclude(&search, &ends, most, &mut found);
    Ok(found)
}

/// Where the search begins. A scenario without a closed loop offers rates of which nearly every model
/// holds the highest or comes close to it.
fn guess(known: Known, scenario: &Scenario, size: Size) -> f64 {
    let offered = scenario.rates(size).last().filter(|_| !scenario.closed);
    let closed = known.closed_rps.map(|rps| rps * OF_CLOSED);
    closed.or(offered.copied()).unwrap_or(GUESS_RPS)
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
enum Came {
    /// The objective was kept, or it was not.
    Decided(bool),
    /// It was not kept, and the generator may be why.
    Generator(String),
    /// Noise of the machine has spoilt it.
    Noise(String),
    /// The server does not do what it is asked at any rate: no rate is its capacity.
    Broken(String),
}

/// Why a search ended where it did, beside what it found.
#[derive(Debug, Default)]
struct Ends {
    /// Steps that decided nothing, by rate.
    undecided: BTreeMap<u64, u32>,
    /// From which rate on the generator is what would be measured, and how that showed.
    bound: Option<String>,
    /// What made going on pointless.
    stopped: Option<String>,
    /// No figure of this server is one.
    broken: bool,
}

impl Ends {
    /// Takes down what came of `rate`; `false` when there is no use in going on.
    fn take(&mut self, search: &mut Search, rate: f64, came: Came) -> bool {
        let mut times = || {
            let times = self.undecided.entry(rate.to_bits()).or_default();
            *times += 1;
            *times
        };
        match came {
            Came::Decided(kept) => search.record(rate, kept),
            // A moment's hiccup looks the same: once is not enough to end the search there.
            Came::Generator(why) => {
                if times() >= GENERATOR_TIMES {
                    search.bound(rate);
                    self.bound = Some(format!("at {rate:.0}/s {why}"));
                }
            }
            Came::Noise(why) => {
                if times() >= NOISE_TIMES {
                    self.stopped = Some(format!("{NOISE_TIMES} times at {rate:.0}/s: {why}"));
                    return false;
                }
            }
            Came::Broken(why) => {
                self.stopped = Some(format!("at {rate:.0}/s: {why}"));
                self.broken = true;
                return false;
            }
        }
        true
    }
}

fn shape(setup: &Setup, visit: &Visit, rate: f64) -> Shape {
    Shape {
        mode: Mode::Open,
        rate: Some(rate),
        duration_s: setup.size.windows().step.as_secs_f64(),
        // That of its window, with what stands beside the load; the warm-up's has nothing beside it.
        ..setup.shape(visit, visit.windows.first())
    }
}

fn judge(
    shape: &Shape,
    sample: &Sample,
    objective: Objective,
    ceiling: Ceiling,
) -> (CapacityStep, Came) {
    let figures: Figures = load_figures(sample);
    let verdict = gates::judge(&Evidence {
        shape,
        figures: &figures,
        load: &sample.load,
        ticks: sample.machine.used,
        ceiling,
    });
    let failed = figures.scheduled.saturating_sub(figures.requests);
    let errors_share = failed as f64 / figures.scheduled.max(1) as f64;
    let p99_us = figures.response_us.p99;
    let lost = lost_connections(&sample.load);
    let ok = p99_us.is_some_and(|p99_us| p99_us <= objective.p99_us)
        && errors_share <= objective.errors_max_share
        && !lost;
    let came = came_of(&figures, &sample.load, &verdict, ok);
    let step = CapacityStep {
        rate: shape.rate.unwrap_or_default(),
        p50_us: figures.response_us.p50,
        p99_us,
        errors_share,
        ok,
        validity: match came {
            Came::Decided(true) if verdict.validity == Validity::Limited => Validity::Limited,
            Came::Decided(_) => Validity::Valid,
            Came::Generator(_) => Validity::Limited,
            Came::Noise(_) | Came::Broken(_) => Validity::Invalid,
        },
    };
    (step, came)
}

/// Whether the server dropped connections that it had taken.
fn lost_connections(report: &Report) -> bool {
    let dropped = ["reset", "early_end", "write_error"];
    let errors = |class: &&str| report.errors.get(*class).is_some_and(|&n| n > 0);
    report.connections_lost > 0 || dropped.iter().any(errors)
}

fn came_of(figures: &Figures, report: &Report, verdict: &Verdict, ok: bool) -> Came {
    let why = || verdict.reasons.join("; ");
    let wrong = report.errors.get("wrong_body").is_some_and(|&n| n > 0);
    if wrong || report.connections_closed > 0 {
        return Came::Broken(why());
    }
    // A server that answers nothing at this rate has failed, and so has one that drops connections;
    // the gates take both for a broken trial.
    let nothing = figures.requests == 0 && figures.scheduled > 0;
    if nothing || lost_connections(report) {
        return Came::Decided(false);
    }
    match verdict.validity {
        Validity::Valid => Came::Decided(ok),
        // Beyond what the generator can do a success stands, and a failure is its own. A late
        // generator and stolen time make responses longer, never shorter, too: what kept the
        // objective in spite of them has kept it.
        Validity::Limited if ok => Came::Decided(true),
        Validity::Invalid if verdict.noise && ok => Came::Decided(true),
        Validity::Limited => Came::Generator(why()),
        Validity::Invalid if verdict.noise => {
            // A generator that is late for want of CPU is at its limit; one that is late with CPU to
            // spare was kept from it by something else.
            let bound = |reason: &String| reason.starts_with(gates::GENERATOR_BOUND);
            if verdict.reasons.iter().any(bound) {
                Came::Generator(why())
            } else {
                Came::Noise(why())
            }
        }
        Validity::Invalid | Validity::Blocks => Came::Broken(why()),
    }
}

fn conclude(search: &Search, ends: &Ends, most: Option<f64>, found: &mut Found) {
    let capacity = &mut found.capacity;
    capacity.highest_ok_rps = search.highest_ok();
    capacity.lowest_failed_rps = search.lowest_failed();
    capacity.confirmed = search.confirmed() && !ends.broken;
    let steps = capacity.steps.len();
    let top = || match (&ends.stopped, &ends.bound, most) {
        (Some(why), ..) => format!("nothing above it was decided, {why}"),
        (None, Some(why), _) => {
            format!("above it the generator is what would be measured, {why}")
        }
        (None, None, Some(most)) if search.at_top() => format!(
            "it is the highest rate of the grid below {most:.0}/s, {:.0} % of what the null server does",
            OF_NULL_MAX * 100.0
        ),
        (None, None, None) if search.at_top() => "no higher rate is tried".to_owned(),
        _ => format!("nothing above it was decided within {steps} steps"),
    };
    let (validity, reason) = match (capacity.highest_ok_rps, capacity.lowest_failed_rps) {
        _ if capacity.confirmed => return,
        _ if ends.broken => (
            Validity::Invalid,
            format!(
                "no capacity: {}",
                ends.stopped.as_deref().unwrap_or_default()
            ),
        ),
        (None, None) => {
            let why = ends.stopped.as_ref().or(ends.bound.as_ref());
            let why = why.map_or_else(String::new, |why| format!(", {why}"));
            (
                Validity::Invalid,
                format!("none of {steps} steps decided anything{why}"),
            )
        }
        (Some(ok), None) => {
            let once = if search.kept_twice() {
                ""
            } else {
                " (seen once)"
            };
            (
                Validity::Limited,
                format!("at least {ok:.0}/s{once}: {}", top()),
            )
        }
        (_, Some(_)) => {
            let why = ends.stopped.as_ref().or(ends.bound.as_ref());
            let why = why.map_or_else(String::new, |why| format!(", {why}"));
            (
                found.validity,
                format!("not confirmed within {steps} steps{why}"),
            )
        }
    };
    found.validity = validity;
    found.reasons.push(reason);
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
