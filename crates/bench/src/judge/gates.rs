//! The gates: which figures may be trusted, and one sentence for each that may not.
//!
//! The limits are METHOD's. A gate makes a trial INVALID (something went wrong: never drawn) or
//! LIMITED (the generator or the machine may be what was measured: "at least", never ranked). An
//! overloaded server is neither: its censored requests and infinite percentiles are the result.

use report::data::{Figures, Mode, Shape, Validity};

use crate::observe::answer::Report;
use crate::observe::machine::Ticks;

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

/// How the sentence on a generator without CPU to spare begins.
pub const GENERATOR_BOUND: &str = "generator-bound: it used";

/// What the gates judge.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was asked for.
    pub shape: &'a Shape,
    /// What came out.
    pub figures: &'a Figures,
    /// The generator's own report.
    pub load: &'a Report,
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
    /// Words by which the generator's own sentence on the same matter is known, if it has one.
    topic: &'static str,
    reason: String,
}

impl Finding {
    fn invalid(topic: &'static str, reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Invalid,
            noise: false,
            topic,
            reason,
        })
    }

    fn noise(topic: &'static str, reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Invalid,
            noise: true,
            topic,
            reason,
        })
    }

    fn limited(topic: &'static str, reason: String) -> Option<Self> {
        Some(Self {
            validity: Validity::Limited,
            noise: false,
            topic,
            reason,
        })
    }
}

/// The topic of a finding that the generator cannot make.
const OURS: &str = "\0";

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
    let own = own_reasons(evidence, &findings);
    findings.extend(own);
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
    Finding::invalid("no request", "no request was answered correctly".to_owned())
}

fn adds_up(e: &Evidence<'_>) -> Option<Finding> {
    let (scheduled, requests) = (e.figures.scheduled, e.figures.requests);
    let outcomes = requests + e.figures.errors.values().sum::<u64>();
    if outcomes == scheduled {
        return None;
    }
    let reason = format!("outcomes do not add up: {scheduled} scheduled, {outcomes} accounted for");
    Finding::invalid("outcomes add up", reason)
}

fn bodies(e: &Evidence<'_>) -> Option<Finding> {
    let wrong = e.figures.errors.get("wrong_body").copied().unwrap_or(0);
    if wrong == 0 {
        return None;
    }
    Finding::invalid("wrong bodies", format!("{wrong} replies had a wrong body"))
}

fn little(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Open {
        return None;
    }
    let held = f64::from(e.shape.connections * e.shape.pipeline);
    // A connection that carries one request is busy until it is closed.
    let busy_us = e.figures.response_us.mean? + e.load.closing_mean_us;
    let busy = e.figures.throughput_rps * busy_us / 1e6;
    if (held - busy).abs() <= LITTLE_MAX * held {
        return None;
    }
    Finding::invalid(
        "Little's law",
        format!(
            "Little's law: rate times response time is {busy:.1} requests in flight where {held} were held"
        ),
    )
}

fn silent(e: &Evidence<'_>) -> Option<Finding> {
    let silent = e.figures.silent_connections.unwrap_or(0);
    // In an open loop, and where each request opens its own, connections may have had nothing to do.
    if silent == 0 || e.shape.mode == Mode::Open || !e.shape.keep_alive {
        return None;
    }
    Finding::limited(
        OURS,
        format!(
            "{silent} of {} connections got no reply in the window: the server served the others only",
            e.shape.connections
        ),
    )
}

fn late(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Closed {
        return None;
    }
    let late_us = e.figures.generator_late_p99_us?;
    // An infinite percentile is not made wrong by any lateness.
    let p99_us = e.figures.response_us.p99.unwrap_or(f64::INFINITY);
    let bound_us = LATE_US_MAX.max(LATE_SHARE_MAX * p99_us);
    if late_us <= bound_us {
        return None;
    }
    Finding::noise(
        "generator-late",
        format!("the generator itself was late: p99 {late_us:.0} µs, {bound_us:.0} µs allowed"),
    )
}

fn generator_cpu(e: &Evidence<'_>) -> Option<Finding> {
    let share = e
        .load
        .generator
        .busiest_thread_share
        .or(e.figures.generator_cpu_share)?;
    if share <= GENERATOR_CPU_MAX {
        return None;
    }
    Finding::limited(
        "generator CPU",
        format!(
            "{GENERATOR_BOUND} {:.0} % of its CPU, {:.0} % allowed",
            share * 100.0,
            GENERATOR_CPU_MAX * 100.0
        ),
    )
}

fn steal(e: &Evidence<'_>) -> Option<Finding> {
    // One tick is the counter's resolution: in a window of less than a hundred it says nothing.
    if e.ticks.stolen <= 1 || e.ticks.stolen_share() <= STEAL_MAX {
        return None;
    }
    Finding::noise(
        OURS,
        format!(
            "the hypervisor took {:.1} % of the CPU time, {:.0} % allowed",
            e.ticks.stolen_share() * 100.0,
            STEAL_MAX * 100.0
        ),
    )
}

fn ceiling(e: &Evidence<'_>) -> Option<Finding> {
    if e.shape.mode == Mode::Open {
        return None;
    }
    let throughput = e.figures.throughput_rps;
    match e.ceiling {
        Ceiling::Itself => None,
        Ceiling::Unknown => {
            let reason =
                "no figure of the null server to compare with: the generator may be the limit";
            Finding::limited(OURS, reason.to_owned())
        }
        Ceiling::Rps(null) if throughput <= OF_NULL_MAX * null => None,
        Ceiling::Rps(null) => Finding::limited(
            OURS,
            format!(
                "at least {throughput:.0}/s, generator-bound: {:.0} % of the null server's throughput, {:.0} % allowed",
                throughput / null * 100.0,
                OF_NULL_MAX * 100.0
            ),
        ),
    }
}

/// The generator's own verdict, sentence by sentence, as far as it has not been said already.
fn own_reasons(e: &Evidence<'_>, said: &[Finding]) -> Vec<Finding> {
    let new = |reason: &&String| !said.iter().any(|finding| reason.contains(finding.topic));
    let mut findings: Vec<Finding> = e
        .load
        .reasons
        .iter()
        .filter(new)
        .filter(|reason| !(reason.starts_with("sent/scheduled") && server_kept_them_waiting(e)))
        .filter_map(|reason| match reason.strip_prefix("limited:") {
            Some(limit) => Finding::limited(OURS, limit.trim().to_owned()),
            // What was not sent although connections were free was noticed late.
            None if reason.starts_with("generator-late")
                || reason.starts_with("sent/scheduled") =>
            {
                Finding::noise(OURS, reason.clone())
            }
            None => Finding::invalid(OURS, reason.clone()),
        })
        .collect();
    if !e.load.valid && e.load.reasons.is_empty() {
        findings.extend(Finding::invalid(
            OURS,
            "the generator calls its run invalid".to_owned(),
        ));
    }
    findings
}

/// Whether requests were not sent because no connection was free for them.
///
/// That is an overloaded server, not a generator that did not do its part, as long as the generator
/// noticed them in time: measured against how long they waited, for want of a finite percentile.
fn server_kept_them_waiting(e: &Evidence<'_>) -> bool {
    let late_us = e.figures.generator_late_p99_us.unwrap_or(f64::INFINITY);
    e.shape.mode == Mode::Open
        && late_us <= LATE_US_MAX.max(LATE_SHARE_MAX * e.load.no_connection_p99_us)
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
