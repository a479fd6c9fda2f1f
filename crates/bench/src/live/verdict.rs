//! What the pairs of a session amount to.

use report::stats::sequential;
use report::stats::{Comparison, Verdict};
use serde::Serialize;

use super::args::Gate;
use super::counted;
use super::kind::{Kind, Said};
use super::session::Session;
use super::slice::{Rotation, Slice};

/// One figure of both servers.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Which.
    pub figure: Kind,
    /// Median over the slices: µs, or requests per second.
    pub a: Option<f64>,
    /// The same of B.
    pub b: Option<f64>,
    /// B divided by A: over 1 is more.
    pub ratio: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Pairs it rests on.
    pub pairs: usize,
    /// What follows.
    pub said: Said,
    /// They differ by this much at most, per cent.
    pub differs_by_at_most: Option<f64>,
    /// The smallest slowdown that would have been declared, per cent.
    pub smallest_slowdown: Option<f64>,
    /// How much longer it would take to decide, seconds; `None` where it is decided.
    pub seconds_to_decide: Option<f64>,
    /// Why it is not judged; empty where it is.
    pub why: String,
}

/// The outcome of a session.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The command of A.
    pub a: String,
    /// The command of B.
    pub b: String,
    /// The path asked for.
    pub path: String,
    /// The path that B was asked for, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b: Option<String>,
    pub connections: u32,
    /// Rate of the open loop.
    pub rate_rps: f64,
    /// Rotations measured.
    pub rotations: usize,
    /// Times that either server was started.
    pub starts: u32,
    /// How long it took, seconds.
    pub taken_s: f64,
    pub figures: Vec<Figure>,
    /// What the exit status rests on.
    pub gate: Gate,
    /// Figures that are counted.
    pub counted: Vec<counted::Figure>,
    /// Requests that A and B answered wrongly or not at all.
    pub failures: [u64; 2],
    /// Context switches per request of A and B, medians; not judged.
    pub context_switches_per_request: [Option<f64>; 2],
    /// What the reader must know.
    pub notes: Vec<String>,
    /// The exit status.
    pub exit: u8,
    /// Every rotation, in the order of time.
    pub record: Vec<Rotation>,
}

/// Exit status: nothing became slower, and it would have been seen.
const EXIT_NOT_SLOWER: u8 = 0;
/// Something became slower.
const EXIT_SLOWER: u8 = 1;
/// It cannot be decided.
const EXIT_UNDECIDED: u8 = 3;

/// The outcome of `session`.
pub fn of(session: &Session) -> Outcome {
    let slices = |whose: usize| {
        let both = move |each: &Rotation| [each.open[whose], each.closed[whose]];
        session.rotations.iter().flat_map(both)
    };
    let failures = [0, 1].map(|whose| {
        let counted = session.counts.as_ref();
        let counted = counted.map_or(0, |counts| counts[whose].failures);
        counted + slices(whose).map(|slice| slice.failures).sum::<u64>()
    });
    let switches = [0, 1].map(|whose| {
        let open = session.rotations.iter().map(|each| each.open[whose]);
        median(open.filter_map(|slice| slice.switches))
    });
    let figures: Vec<Figure> = Kind::ALL.map(|kind| figure(session, kind)).into();
    let counted = session.counts.as_ref().map(counted::judge);
    let counted = counted.unwrap_or_default();
    let mut notes = Vec::new();
    for (whose, contender) in session.contenders.iter().enumerate() {
        let name = contender.name;
        let all: u64 = slices(whose).map(|slice| slice.scheduled).sum();
        if failures[whose] > 0 {
            let failed = failures[whose];
            notes.push(match all {
                0 => format!("{name} failed {failed} requests."),
                all => format!("{name} failed {failed} of {all} requests."),
            });
        }
        let silent = slices(whose).map(|slice| slice.silent).max().unwrap_or(0);
        if silent > 0 {
            notes.push(format!(
                "{name} left up to {silent} of {} connections without a reply in a slice: it has fewer workers than there are connections.",
                session.connections
            ));
        }
    }
    notes.extend(shared(session));
    if let Some((whose, why)) = &session.failed {
        notes.push(format!(
            "{} ended the session: {why}",
            session.contenders[*whose].name
        ));
    }
    let deciding: Vec<Said> = match session.gate {
        Gate::Timed => figures.iter().map(|figure| figure.said).collect(),
        Gate::Exact => counted.iter().map(|figure| figure.said).collect(),
    };
    let said = |wanted: Said| deciding.contains(&wanted);
    let b_failed = matches!(session.failed, Some((1, _)));
    let worse = failures[1] > 0 && failures[0] == 0 || b_failed;
    let nothing = deciding.iter().all(|said| *said == Said::NotJudged);
    let exit = if said(Said::Slower) || worse {
        EXIT_SLOWER
    } else if said(Said::Undecided) || nothing || session.failed.is_some() {
        EXIT_UNDECIDED
    } else {
        EXIT_NOT_SLOWER
    };
    Outcome {
        a: session.contenders[0].command.clone(),
        b: session.contenders[1].command.clone(),
        path: session.path.clone(),
        path_b: session.path_b.clone(),
        connections: session.connections,
        rate_rps: session.rate_rps,
        rotations: session.rotations.len(),
        starts: session.starts,
        taken_s: session.taken_s,
        figures,
        gate: session.gate,
        counted,
        failures,
        context_switches_per_request: switches,
        notes,
        exit,
        record: session.rotations.clone(),
    }
}

/// What is said where others used the CPUs.
fn shared(session: &Session) -> Option<String> {
    let slices = session.rotations.iter();
    let slices: Vec<_> = slices
        .flat_map(|each| each.open.iter().chain(&each.closed))
        .collect();
    let shares: Vec<f64> = slices.iter().filter_map(|slice| slice.shared_by).collect();
    let most = shares.iter().copied().reduce(f64::max)?;
    Some(format!(
        "{} of {} slices are left out, because others used the CPUs: up to {:.0} % of them.",
        shares.len(),
        slices.len(),
        most * 100.0
    ))
}

/// What is said where a latency has no verdict because the generator sent too late for it.
fn late(session: &Session, kind: Kind) -> Option<String> {
    let is_late = |slice: &&Slice| match kind {
        Kind::P50 => slice.late_p50,
        Kind::P99 => slice.late_p99,
        Kind::Cpu | Kind::Throughput => false,
    };
    let slices = session.rotations.iter().flat_map(|each| &each.open);
    let late = slices.clone().filter(is_late).count();
    (late > 0).then(|| {
        format!(
            "in {late} of {} slices the generator sent requests too late",
            slices.count()
        )
    })
}

fn figure(session: &Session, kind: Kind) -> Figure {
    let side = |whose: usize| {
        let values = session
            .rotations
            .iter()
            .filter_map(|each| kind.of(each)[whose]);
        median(values)
    };
    let empty = Figure {
        figure: kind,
        a: side(0),
        b: side(1),
        ratio: None,
        low: None,
        high: None,
        pairs: session.logs(kind).len(),
        said: Said::NotJudged,
        differs_by_at_most: None,
        smallest_slowdown: None,
        seconds_to_decide: None,
        why: String::new(),
    };
    let Some(judged) = session.judged.get(&kind) else {
        let why = late(session, kind);
        let why = why.unwrap_or_else(|| "too few slices have it".to_owned());
        return Figure { why, ..empty };
    };
    if kind == Kind::Throughput && is_generators(session) {
        let why =
            "the generator was the limit; CPU per request tells what the servers cost".to_owned();
        return Figure { why, ..empty };
    }
    judge(session, judged, empty)
}

/// Fills in what `judged` says.
fn judge(session: &Session, judged: &Comparison, empty: Figure) -> Figure {
    let bounds = empty.figure.bounds(session.within);
    // A cost that is lower by so much is a throughput that is higher by it.
    let [low, log, high] = match empty.figure {
        Kind::Throughput => [-judged.high, -judged.log, -judged.low],
        _ => [judged.low, judged.log, judged.high],
    };
    let percent = |log: f64| log.exp_m1() * 100.0;
    let more = sequential::pairs_to_decide(judged, bounds);
    let more = more.map(|pairs| pairs.saturating_sub(judged.pairs) as f64 * session.rotation_s);
    Figure {
        ratio: Some(log.exp()),
        low: Some(low.exp()),
        high: Some(high.exp()),
        pairs: judged.pairs,
        said: match judged.verdict {
            Verdict::Slower => Said::Slower,
            Verdict::Faster => Said::Faster,
            Verdict::Equivalent => Said::Equal,
            Verdict::TooClose => Said::Undecided,
        },
        differs_by_at_most: Some(percent(judged.low.abs().max(judged.high.abs()))),
        smallest_slowdown: Some(percent(judged.smallest)),
        seconds_to_decide: more,
        ..empty
    }
}

/// `true` where the generator was the limit of most closed loops of either server.
fn is_generators(session: &Session) -> bool {
    let bound = |whose: usize| {
        let rotations = session.rotations.iter();
        2 * rotations
            .filter(|each| each.closed[whose].generator_bound)
            .count()
            > session.rotations.len()
    };
    bound(0) || bound(1)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    report::stats::middle(values).filter(|value| value.is_finite())
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
