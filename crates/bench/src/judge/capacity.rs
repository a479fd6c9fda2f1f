//! What the steps of a capacity search amount to: which rates were kept, and why the search ended.

use std::collections::BTreeMap;

use report::data::{Capacity, CapacityStep, Figures, Objective, Shape, Validity};
use schema::gates::NULL_SHARE_MAX;
use schema::load::LoadResult;
use schema::{Code, Effect, Reason, Reasons};

use crate::judge::figures::load_figures;
use crate::judge::gates::{self, Ceiling, Evidence};
use crate::observe::measured::Sample;
use crate::plan::search::Search;

/// How often a rate must have failed by the generator's doing until none above it is tried.
const GENERATOR_TIMES: u32 = 2;
/// How often noise may spoil a rate until the search is given up.
const NOISE_TIMES: u32 = 3;

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// The objective was kept, or it was not.
    Decided(bool),
    /// It was not kept, and the generator may be why.
    Generator(Reasons),
    /// Noise of the machine has spoilt it.
    Noise(Reasons),
    /// The server does not do what it is asked at any rate: no rate is its capacity.
    Broken(Reasons),
}

/// Why a search ended where it did, beside what it found.
#[derive(Debug, Default)]
pub struct Ends {
    /// Steps that decided nothing, by rate.
    undecided: BTreeMap<u64, u32>,
    /// From which rate on the generator is what would be measured, and how that showed: for people.
    bound: Option<String>,
    /// What made going on pointless: for people.
    stopped: Option<String>,
    /// No figure of this server is one.
    broken: bool,
}

impl Ends {
    /// Takes down what came of `rate`; `false` when there is no use in going on.
    pub fn take(&mut self, search: &mut Search, rate: f64, came: Came) -> bool {
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
                    self.bound = Some(format!("at {rate:.0}/s {}", why.text()));
                }
            }
            Came::Noise(why) => {
                if times() >= NOISE_TIMES {
                    let why = why.text();
                    self.stopped = Some(format!("{NOISE_TIMES} times at {rate:.0}/s: {why}"));
                    return false;
                }
            }
            Came::Broken(why) => {
                self.stopped = Some(format!("at {rate:.0}/s: {}", why.text()));
                self.broken = true;
                return false;
            }
        }
        true
    }
}

/// Judges one step.
pub fn step(
    shape: &Shape,
    sample: &Sample,
    objective: Objective,
    ceiling: Ceiling,
) -> (CapacityStep, Came) {
    let figures: Figures = load_figures(sample);
    let reasons = gates::judge(&Evidence {
        shape,
        figures: &figures,
        load: &sample.load,
        ticks: sample.machine.used,
        ceiling,
    });
    let failed = figures.scheduled.saturating_sub(figures.requests);
    let errors_share = failed as f64 / figures.scheduled.max(1) as f64;
    let p99_us = figures.response_us.p99;
    let ok = p99_us.is_some_and(|p99_us| p99_us <= objective.p99_us)
        && errors_share <= objective.errors_max_share
        && !lost_connections(&sample.load);
    let limited = gates::validity(&reasons) == Validity::Limited;
    let came = came_of(&figures, &sample.load, reasons, ok);
    let step = CapacityStep {
        rate: shape.rate.unwrap_or_default(),
        p50_us: figures.response_us.p50,
        p99_us,
        errors_share,
        ok,
        validity: match came {
            Came::Decided(true) if limited => Validity::Limited,
            Came::Decided(_) => Validity::Valid,
            Came::Generator(_) => Validity::Limited,
            Came::Noise(_) | Came::Broken(_) => Validity::Invalid,
        },
    };
    (step, came)
}

/// Whether the server dropped connections that it had taken.
fn lost_connections(load: &LoadResult) -> bool {
    let dropped = ["reset", "early_end", "write_error"];
    let errors = |class: &&str| load.errors.get(*class).is_some_and(|&n| n > 0);
    load.connections_lost > 0 || dropped.iter().any(errors)
}

fn came_of(figures: &Figures, load: &LoadResult, why: Reasons, ok: bool) -> Came {
    let wrong = load.errors.get("wrong_body").is_some_and(|&n| n > 0);
    if wrong || load.connections_closed > 0 {
        return Came::Broken(why);
    }
    // A server that answers nothing at this rate has failed, and so has one that drops connections;
    // the gates take both for a broken trial.
    let nothing = figures.requests == 0 && figures.scheduled > 0;
    if nothing || lost_connections(load) {
        return Came::Decided(false);
    }
    let noise = gates::is_noise(&why);
    match gates::validity(&why) {
        Validity::Valid => Came::Decided(ok),
        // Beyond what the generator can do a success stands, and a failure is its own. A late
        // generator and stolen time make responses longer, never shorter, too: what kept the
        // objective in spite of them has kept it.
        Validity::Limited if ok => Came::Decided(true),
        Validity::Invalid if noise && ok => Came::Decided(true),
        Validity::Limited => Came::Generator(why),
        // A generator that is late for want of CPU is at its limit; one that is late with CPU to
        // spare was kept from it by something else.
        Validity::Invalid if noise && why.has(Code::GeneratorCpu) => Came::Generator(why),
        Validity::Invalid if noise => Came::Noise(why),
        Validity::Invalid | Validity::Blocks => Came::Broken(why),
    }
}

/// Puts the bracket into `capacity`; gives the reason why it is not confirmed, when it is not.
///
/// `most` is the rate above which the generator would be measured.
pub fn conclude(
    search: &Search,
    ends: &Ends,
    most: Option<f64>,
    capacity: &mut Capacity,
) -> Option<Reason> {
    capacity.highest_ok_rps = search.highest_ok();
    capacity.lowest_failed_rps = search.lowest_failed();
    capacity.confirmed = search.confirmed() && !ends.broken;
    if capacity.confirmed {
        return None;
    }
    let steps = capacity.steps.len();
    let why = ends.stopped.as_ref().or(ends.bound.as_ref());
    let why = why.map_or_else(String::new, |why| format!(", {why}"));
    let reason = match (capacity.highest_ok_rps, capacity.lowest_failed_rps) {
        _ if ends.broken => {
            let why = ends.stopped.as_deref().unwrap_or_default();
            let text = format!("no capacity: {why}");
            Reason::new(Code::CapacityNone, Effect::Invalidates, text)
        }
        (None, None) => {
            let text = format!("none of {steps} steps decided anything{why}");
            Reason::new(Code::CapacityUndecided, Effect::Invalidates, text)
        }
        (Some(ok), None) => {
            let once = if search.kept_twice() {
                ""
            } else {
                " (seen once)"
            };
            let above = above(search, ends, most, steps);
            let text = format!("at least {ok:.0}/s{once}: {above}");
            Reason::new(Code::CapacityAtLeast, Effect::Limits, text).with("rate_rps", ok)
        }
        (_, Some(_)) => {
            let text = format!("not confirmed within {steps} steps{why}");
            Reason::new(Code::CapacityUnconfirmed, Effect::Notes, text)
        }
    };
    Some(reason.with("steps", steps as f64))
}

/// Why no rate above the highest that was kept has failed.
fn above(search: &Search, ends: &Ends, most: Option<f64>, steps: usize) -> String {
    match (&ends.stopped, &ends.bound, most) {
        (Some(why), ..) => format!("nothing above it was decided, {why}"),
        (None, Some(why), _) => {
            format!("above it the generator is what would be measured, {why}")
        }
        (None, None, Some(most)) if search.at_top() => format!(
            "it is the highest rate of the grid below {most:.0}/s, {:.0} % of what the null server does",
            NULL_SHARE_MAX * 100.0
        ),
        (None, None, None) if search.at_top() => "no higher rate is tried".to_owned(),
        _ => format!("nothing above it was decided within {steps} steps"),
    }
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
