//! Candidates as lines of the answer: in tiers, with intervals; and the choice of the first tier.

use std::cmp::Ordering;

use simulate::Trace;

use crate::answer::{CandidateLine, Interval, Response};
use crate::bounds;
use crate::candidate::Candidate;
use crate::priced::spins;
use crate::question::{COARSE, FINALISTS, Found, Question, TIE_SHARE, parallel};

/// The lines of ranked candidates: tiers with intervals, and the response at the asked load.
pub(crate) fn lines(question: &Question<'_>, found: &[Found]) -> Vec<CandidateLine> {
    let trace = question.trace(COARSE);
    let items = found
        .iter()
        .enumerate()
        .map(|(at, f)| (at, f.clone()))
        .collect();
    let mut lines = parallel(items, |(at, f): (usize, Found)| {
        let cpu = |costs: &simulate::Costs| {
            let server = simulate::Server {
                costs: *costs,
                ..f.candidate.server
            };
            bounds::cpu_us(&server, question.workload)
        };
        let facts = &f.candidate.facts;
        let drawn = question.priced.bootstrap(facts, question.seed, cpu);
        let interval = interval(question, &f, at < FINALISTS, drawn, &trace);
        let asked = question.at_offered(&f.candidate, &trace);
        let keeps_up = question
            .workload
            .rate()
            .is_none_or(|rate| f.expected >= rate);
        CandidateLine {
            model: f.candidate.facts.model.clone(),
            variant: f.candidate.facts.variant.clone(),
            workers: f.candidate.workers,
            tier: 0,
            capacity_rps: Some(interval),
            response_us: keeps_up.then(|| Response {
                p50: asked.all.percentile_us(50.0),
                p90: asked.all.percentile_us(90.0),
                p99: asked.all.percentile_us(99.0),
            }),
            throughput_rps: keeps_up.then_some(asked.throughput_rps),
            cpu_us: keeps_up.then(|| {
                let cores = f.candidate.server.cores as f64;
                let used = match question.priced.measured(facts).is_some_and(spins) {
                    true => 1.0,
                    false => asked.utilisation,
                };
                used * cores * 1e6 / asked.throughput_rps.max(1e-9)
            }),
            memory_mib: Some(f.candidate.memory_mib),
            disqualified: None,
        }
    });
    // A tier's candidates are equals of its first: the profile's errors are common to all of them, so
    // their intervals overlap much more widely than their differences are uncertain.
    let mut leader = f64::INFINITY;
    let mut tier = 0;
    for line in &mut lines {
        let expected = line.capacity_rps.map_or(0.0, |c| c.expected);
        if expected <= 0.0 {
            continue;
        }
        if expected < leader * (1.0 - TIE_SHARE) || tier == 0 {
            (tier, leader) = (tier + 1, expected);
        }
        line.tier = tier;
    }
    lines
}

/// The wider of two: what capacities the profile's own repetitions allow, and how far predictions have been off.
/// `drawn` are the factors by which a request may cost less or more. Only finalists are simulated again.
fn interval(
    question: &Question<'_>,
    found: &Found,
    finalist: bool,
    (less, more): (f64, f64),
    trace: &Trace,
) -> Interval {
    let expected = found.expected;
    // What carries nothing has nothing to be simulated again.
    let finalist = finalist && expected > 0.0;
    let end = |factor: f64| {
        if finalist && factor != 1.0 {
            let priced = found.candidate.costing(factor);
            let around = found.around().map(|load| load / factor);
            question.capacity(&priced, trace, around, 0.04).rate
        } else {
            expected / factor
        }
    };
    let off = question.calibrated.spread.unwrap_or(0.0).exp();
    // One look often tells that the other end lies further out, where a search would take five.
    let keeps = |factor: f64, load: f64| {
        finalist && question.keeps(&found.candidate.costing(factor), trace, found.factor * load)
    };
    let low = match keeps(more, 1.0 / off) {
        true => expected / off,
        false => end(more).min(expected / off).min(expected),
    };
    let most = found.candidate.costing(less).rate_max(question.workload);
    let most = question.calibrated.corrected(most);
    let high = match finalist && most <= expected * off {
        true => expected * off,
        false => end(less).max(expected * off).max(expected),
    };
    Interval {
        low,
        expected,
        high,
    }
}

/// Memories that differ by less than this share and so many MiB, a hundredth of a small machine's, are the same.
const MEMORY_SAME: (f64, f64) = (0.1, 4.0);

/// The choice of the first tier: the smallest memory, then the simplest to operate, then the highest capacity.
pub(crate) fn choice(found: &[Found], lines: &[CandidateLine]) -> Option<usize> {
    let tied: Vec<usize> = (0..found.len()).filter(|&at| lines[at].tier == 1).collect();
    let mibs = tied.iter().map(|&at| found[at].candidate.memory_mib);
    let least = mibs.fold(f64::INFINITY, f64::min);
    // What is below is pages that happen to be touched, and no reason for anything.
    let memory = |at: usize| {
        let mib = found[at].candidate.memory_mib;
        let (share, more) = MEMORY_SAME;
        if mib <= least * (1.0 + share) + more {
            least
        } else {
            mib
        }
    };
    let by = |a: &usize, b: &usize| -> Ordering {
        memory(*a)
            .total_cmp(&memory(*b))
            .then({
                // One whose wait looks at every connection becomes slower when more are open than were told.
                let complexity = |at: usize| {
                    let Candidate { facts, server, .. } = &found[at].candidate;
                    facts.complexity() + u32::from(server.costs.scan_us > 0.0)
                };
                complexity(*a).cmp(&complexity(*b))
            })
            .then(found[*b].expected.total_cmp(&found[*a].expected))
    };
    tied.iter().copied().min_by(by)
}

/// The choice of the coarse results alone, as a label.
pub(crate) fn coarse_choice(found: &[Found]) -> Option<usize> {
    let best = found.first().map_or(0.0, |f| f.expected);
    let line = |f: &Found| CandidateLine {
        tier: u32::from(f.expected >= best * (1.0 - TIE_SHARE) && best > 0.0),
        ..CandidateLine::default()
    };
    let lines: Vec<CandidateLine> = found.iter().map(line).collect();
    choice(found, &lines)
}
