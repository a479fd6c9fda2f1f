//! Judges the steps of a capacity search: at which rates the objective was kept, and why the search
//! ended.

use std::collections::BTreeMap;

use report::data::{Capacity, CapacityStep, Figures, Mode, Objective, Shape, Validity};
use schema::gates::NULL_SHARE_MAX;
use schema::load::LoadResult;
use schema::{Code, Effect, Reason, Reasons};

use crate::judge::figures::load_figures;
use crate::judge::gates::{self, Ceiling, Evidence};
use crate::observe::measured::Sample;
use crate::plan::search::Search;

/// How often the generator must have been the limit at a rate until no rate above it is tried.
const GENERATOR_TIMES: u32 = 2;
/// How often noise may spoil a rate until the search end.
const NOISE_TIMES: u32 = 3;

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The objective was kept, or it was not.
    Decided(bool),
    /// It was not kept, and the generator may be why.
    Generator(Reasons),
    /// Noise of the machine has spoilt it.
    Noise(Reasons),
    /// The server does something wrong that has nothing to do with the rate: it has no capacity.
    Broken(Reasons),
}

/// Why a search ended where it did.
#[derive(Debug, Default)]
pub struct SearchEnd {
    /// Steps that decided nothing, by rate.
    undecided: BTreeMap<u64, u32>,
    /// How it showed that above some rate the generator would be measured; a text to print.
    bound: Option<String>,
    /// Why further steps would not help; a text to print.
    stopped: Option<String>,
    /// No figure of this server may be used.
    broken: bool,
}

impl SearchEnd {
    /// Records the outcome of `rate`; `false` when further steps would not help.
    pub fn record(&mut self, search: &mut Search, rate: f64, outcome: Outcome) -> bool {
        let mut times = || {
            let times = self.undecided.entry(rate.to_bits()).or_default();
            *times += 1;
            *times
        };
        match outcome {
            Outcome::Decided(kept) => search.record(rate, kept),
            // A short disturbance looks the same: once is not enough to end the search there.
            Outcome::Generator(why) => {
                if times() >= GENERATOR_TIMES {
                    search.bound(rate);
                    self.bound = Some(format!("at {rate:.0}/s {}", why.text()));
                }
            }
            Outcome::Noise(why) => {
                if times() >= NOISE_TIMES {
                    let why = why.text();
                    self.stopped = Some(format!("{NOISE_TIMES} times at {rate:.0}/s: {why}"));
                    return false;
                }
            }
            Outcome::Broken(why) => {
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
) -> (CapacityStep, Outcome) {
    let figures: Figures = load_figures(sample);
    // The windows of a search are short: what was in flight at the edges of a closed loop counts.
    let evidence = Evidence {
        slice: shape.mode == Mode::Closed,
        ..Evidence::of(shape, &figures, sample, ceiling)
    };
    let reasons = gates::judge(&evidence);
    let failed = figures.scheduled.saturating_sub(figures.requests);
    let errors_share = failed as f64 / figures.scheduled.max(1) as f64;
    let p99_us = match objective.asked() {
        None => figures.response_us.p99,
        Some(_) => sample.load.percentile.as_ref().and_then(|p| p.response_us),
    };
    let ok = p99_us.is_some_and(|p99_us| p99_us <= objective.p99_us)
        && errors_share <= objective.errors_max_share
        && !lost_connections(&sample.load);
    let limited = gates::validity(&reasons) == Validity::Limited;
    let outcome = outcome(&figures, &sample.load, reasons, ok);
    let step = CapacityStep {
        rate: shape.rate.unwrap_or_default(),
        p50_us: figures.response_us.p50,
        p99_us,
        errors_share,
        ok,
        validity: match outcome {
            Outcome::Decided(true) if limited => Validity::Limited,
            Outcome::Decided(_) => Validity::Valid,
            Outcome::Generator(_) => Validity::Limited,
            Outcome::Noise(_) | Outcome::Broken(_) => Validity::Invalid,
        },
    };
    (step, outcome)
}

/// Whether the server dropped connections that it had accepted.
fn lost_connections(load: &LoadResult) -> bool {
    let dropped = ["reset", "early_end", "write_error"];
    let errors = |class: &&str| load.errors.get(*class).is_some_and(|&n| n > 0);
    load.connections_lost > 0 || dropped.iter().any(errors)
}

/// Whether nothing but that some clients got no reply limits the figures.
fn only_silent(why: &Reasons) -> bool {
    let mut limits = why.iter().filter(|r| r.effect == Effect::Limits);
    limits.all(|r| r.code == Code::ConnectionsSilent)
}

fn outcome(figures: &Figures, load: &LoadResult, why: Reasons, ok: bool) -> Outcome {
    let wrong = load.errors.get("wrong_body").is_some_and(|&n| n > 0);
    if wrong || load.connections_closed > 0 {
        return Outcome::Broken(why);
    }
    // A server that answers nothing at this rate has failed at it, and so has one that drops
    // connections. To the gates either is a trial that went wrong.
    let nothing = figures.requests == 0 && figures.scheduled > 0;
    if nothing || lost_connections(load) {
        return Outcome::Decided(false);
    }
    let noise = gates::is_noise(&why);
    match gates::validity(&why) {
        Validity::Valid => Outcome::Decided(ok),
        // Where the generator is the limit, a success counts, and a failure may be the generator's.
        // A late generator and stolen time only make responses longer: a server that kept the
        // objective in spite of them has kept it.
        Validity::Limited if ok => Outcome::Decided(true),
        // Clients without a reply are the server's doing.
        Validity::Limited if only_silent(&why) => Outcome::Decided(false),
        Validity::Invalid if noise && ok => Outcome::Decided(true),
        Validity::Limited => Outcome::Generator(why),
        // A generator that is late and has no CPU left is at its limit; one that is late and has CPU
        // left was disturbed.
        Validity::Invalid if noise && why.has(Code::GeneratorCpu) => Outcome::Generator(why),
        Validity::Invalid if noise => Outcome::Noise(why),
        Validity::Invalid | Validity::Blocks => Outcome::Broken(why),
    }
}

/// Writes the bracket into `capacity`; gives the reason why it is not confirmed, if it is not.
///
/// `most` is the rate above which the generator would be measured.
pub fn conclude(
    search: &Search,
    end: &SearchEnd,
    most: Option<f64>,
    capacity: &mut Capacity,
) -> Option<Reason> {
    capacity.highest_ok_rps = search.highest_ok();
    capacity.lowest_failed_rps = search.lowest_failed();
    capacity.confirmed = search.confirmed() && !end.broken;
    if capacity.confirmed {
        return None;
    }
    let steps = capacity.steps.len();
    let why = end.stopped.as_ref().or(end.bound.as_ref());
    let why = why.map_or_else(String::new, |why| format!(", {why}"));
    let reason = match (capacity.highest_ok_rps, capacity.lowest_failed_rps) {
        _ if end.broken => {
            let why = end.stopped.as_deref().unwrap_or_default();
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
            let above = above(search, end, most, steps);
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
fn above(search: &Search, end: &SearchEnd, most: Option<f64>, steps: usize) -> String {
    match (&end.stopped, &end.bound, most) {
        (Some(why), ..) => format!("nothing above it was decided, {why}"),
        (None, Some(why), _) => {
            format!("above it the generator would be measured, {why}")
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
