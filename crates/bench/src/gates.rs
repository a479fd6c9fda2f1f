//! The gates: which figures may be trusted, and one sentence for each that may not.
//!
//! The limits are METHOD's. A gate makes a trial INVALID (something went wrong: never drawn) or
//! LIMITED (the generator or the machine may be what was measured: "at least", never ranked). An
//! overloaded server is neither: its censored requests and infinite percentiles are the result.

use report::data::{Figures, Mode, Shape, Validity};

use crate::generator::Report;
use crate::machine::Ticks;

/// Share of the generator's CPUs above which it may be the limit.
const GENERATOR_CPU_MAX: f64 = 0.85;
/// Share of the null server's throughput above which the generator may be the limit.
const OF_NULL_MAX: f64 = 0.70;
/// Deviation from Little's law, as a share of the requests in flight.
const LITTLE_MAX: f64 = 0.03;
/// Lateness of the generator, p99: at least this many µs, or this share of the reported p99.
const LATE_US_MAX: f64 = 100.0;
const LATE_SHARE_MAX: f64 = 0.05;
/// Stolen time, as a share of the window on the CPUs used.
const STEAL_MAX: f64 = 0.01;

/// What the gates judge.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was asked for.
    pub shape: &'a Shape,
    /// What came out.
    pub figures: &'a Figures,
    /// The generator's own report.
    pub load: &'a Report,
    /// CPUs the generator had.
    pub load_cpus: usize,
    /// Time on the CPUs used, and how much of it was stolen.
    pub ticks: Ticks,
    /// What the null server did beside it.
    pub ceiling: Ceiling,
}

/// The null server's closed-loop throughput in the same block and shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ceiling {
    /// This trial is the null server's own.
    Itself,
    /// The null server gave no figure.
    Unknown,
    /// Correct answers a second.
    Rps(f64),
}

/// The verdict of all gates.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The worst of them.
    pub validity: Validity,
    /// A sentence for each that did not pass.
    pub reasons: Vec<String>,
    /// `true` when only noise made it INVALID: a second attempt may do better.
    pub noise: bool,
}

/// What one gate found.
struct Finding {
    validity: Validity,
    noise: bool,
    reason: String,
}

impl Finding {
    fn invalid(reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Invalid,
            noise: false,
            reason,
        })
    }

    fn noise(reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Invalid,
            noise: true,
            reason,
        })
    }

    fn limited(reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Limited,
            noise: false,
            reason,
        })
    }
}

/// Judges a window by every gate.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let gates = [
        answered,
        adds_up,
        bodies,
        little,
        silent,
        late,
        generator_cpu,
        steal,
        ceiling,
    ];
    let mut findings: Vec<Finding> = gates.iter().filter_map(|gate| gate(evidence)).collect();
    findings.extend(own_reasons(evidence.load));
    let of = |validity| findings.iter().filter(move |f| f.validity == validity);
    let validity = if of(Validity::Invalid).next().is_some() {
        Validity::Invalid
    } else if of(Validity::Limited).next().is_some() {
        Validity::Limited
    } else {
        Validity::Valid
    };
    let noise = validity == Validity::Invalid && of(Validity::Invalid).all(|f| f.noise);
    Verdict {
        validity,
        noise,
        reasons: findings.into_iter().map(|f| f.reason).collect(),
    }
}

fn answered(e: &Evidence<'_>) -> Option<Finding> {
    if e.figures.requests > 0 {
        return None;
    }
    Finding::invalid("no request was answered correctly".to_owned())
}

fn adds_up(e: &Evidence<'_>) -> Option<Finding> {
    let outcomes = e.figures.requests + e.figures.errors.values().sum::<u64>();
    if outcomes == e.figures.scheduled {
        return None;
    }
    Finding::invalid(format!(
        "outcomes do not add up: {} scheduled, {outcomes} accounted for",
        e.figures.scheduled
    ))
}

fn bodies(e: &Evidence<'_>) -> Option<Finding> {
    let wrong = e.figures.errors.get("wrong_body").copied().unwrap_or(0);
    if wrong == 0 {
        return None;
    }
    Finding::invalid(format!("{wrong} replies had a wrong body"))
}

fn little(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Open {
        return None;
    }
    let held = f64::from(e.shape.connections * e.shape.pipeline);
    let busy = e.load.mean_in_flight.or_else(|| {
        e.figures
            .response_us
            .mean
            .map(|mean_us| e.figures.throughput_rps * mean_us / 1e6)
    })?;
    if (held - busy).abs() <= LITTLE_MAX * held {
        return None;
    }
    Finding::invalid(format!(
        "Little's law: rate times response time is {busy:.1} requests in flight where {held} were held"
    ))
}

fn silent(e: &Evidence<'_>) -> Option<Finding> {
    let silent = e.figures.silent_connections.unwrap_or(0);
    // In an open loop most connections may have had nothing to send.
    if silent == 0 || e.shape.mode == Mode::Open {
        return None;
    }
    Finding::limited(format!(
        "{silent} of {} connections got no reply in the window: the server served the others only",
        e.shape.connections
    ))
}

fn late(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Closed {
        return None;
    }
    let late_us = e.figures.generator_late_p99_us?;
    let bound_us = match e.figures.response_us.p99 {
        Some(p99_us) => LATE_US_MAX.max(LATE_SHARE_MAX * p99_us),
        // An infinite percentile is not made wrong by any lateness.
        None if e.figures.response_us.count > 0 => return None,
        None => LATE_US_MAX,
    };
    if late_us <= bound_us {
        return None;
    }
    Finding::noise(format!(
        "the generator itself was late: p99 {late_us:.0} µs, {bound_us:.0} µs allowed"
    ))
}

fn generator_cpu(e: &Evidence<'_>) -> Option<Finding> {
    let share = e.figures.generator_cpu_share? / e.load_cpus.max(1) as f64;
    if share <= GENERATOR_CPU_MAX {
        return None;
    }
    Finding::limited(format!(
        "generator-bound: it used {:.0} % of its CPU, {:.0} % allowed",
        share * 100.0,
        GENERATOR_CPU_MAX * 100.0
    ))
}

fn steal(e: &Evidence<'_>) -> Option<Finding> {
    // One tick is the counter's resolution: in a window of less than a hundred it says nothing.
    if e.ticks.stolen <= 1 || e.ticks.stolen_share() <= STEAL_MAX {
        return None;
    }
    Finding::noise(format!(
        "the hypervisor took {:.1} % of the CPU time, {:.0} % allowed",
        e.ticks.stolen_share() * 100.0,
        STEAL_MAX * 100.0
    ))
}

fn ceiling(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Open {
        return None;
    }
    match e.ceiling {
        Ceiling::Itself => None,
        Ceiling::Unknown => Finding::limited(
            "no figure of the null server to compare with: the generator may be the limit"
                .to_owned(),
        ),
        Ceiling::Rps(null) if e.figures.throughput_rps <= OF_NULL_MAX * null => None,
        Ceiling::Rps(null) => Finding::limited(format!(
            "at least {:.0}/s, generator-bound: {:.0} % of the null server's throughput, {:.0} % allowed",
            e.figures.throughput_rps,
            e.figures.throughput_rps / null * 100.0,
            OF_NULL_MAX * 100.0
        )),
    }
}

/// The generator's own verdict, sentence by sentence.
fn own_reasons(load: &Report) -> Vec<Finding> {
    let mut findings: Vec<Finding> = load
        .reasons
        .iter()
        .filter_map(|reason| match reason.strip_prefix("limited:") {
            Some(limit) => Finding::limited(limit.trim().to_owned()),
            None if reason.contains("late") => Finding::noise(reason.clone()),
            None => Finding::invalid(reason.clone()),
        })
        .collect();
    if !load.valid && findings.is_empty() {
        findings.extend(Finding::invalid(
            "the generator calls its run invalid".to_owned(),
        ));
    }
    findings
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
