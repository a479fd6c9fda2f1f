//! The parts of an outcome: steps, slices, kinds of request, and what ran beside the load.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::books::{Failures, Idle, Poison, Slice, Slow, SlowSide};
use crate::clock::SECOND_NS;
use crate::record::Record;
use crate::spread::{Durations, Spread};

/// A step of the profile. A request belongs to the step of its intended start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseOutcome {
    /// Requests a second offered at its beginning.
    pub rate_from: f64,
    /// Requests a second offered at its end.
    pub rate_to: f64,
    /// When it began, seconds from the start of the window.
    pub start_s: f64,
    /// How long it lasted, seconds.
    pub duration_s: f64,
    /// Requests due in it.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// Of those, within the objective, exactly; `None` without one.
    pub within_objective: Option<u64>,
    /// The others, by class.
    pub errors: BTreeMap<&'static str, u64>,
    /// Intended start to done, microseconds.
    pub response_us: Spread,
    /// Actual send to done, microseconds.
    pub service_us: Spread,
    /// Intended start to actual send, microseconds.
    pub slip_us: Spread,
}

/// A slice of the window. A request belongs to the slice of its intended start; percentiles that
/// fall among requests not answered correctly are `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceOutcome {
    /// When it began, seconds from the start of the window.
    pub start_s: f64,
    /// How long it lasted, seconds.
    pub duration_s: f64,
    /// Requests due in it.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// Of those, within the objective, exactly; `None` without one.
    pub within_objective: Option<u64>,
    /// The others.
    pub errors_total: u64,
    /// Median of the response, microseconds.
    pub p50_us: Option<f64>,
    /// Its 99th percentile.
    pub p99_us: Option<f64>,
    /// Its largest value.
    pub max_us: Option<f64>,
}

/// A kind of request of a mix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindOutcome {
    /// Request method.
    pub method: String,
    /// Path, with its placeholder.
    pub path: String,
    /// How often it was drawn, relative to the others.
    pub weight: u32,
    /// Requests due.
    pub scheduled: u64,
    /// Of them, answered correctly.
    pub requests: u64,
    /// The others, by class.
    pub errors: BTreeMap<&'static str, u64>,
    /// Intended start to done, microseconds.
    pub response_us: Spread,
}

/// The connections held idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdleOutcome {
    /// Connections asked for.
    pub asked: u64,
    /// Of them, opened, and their one request answered correctly.
    pub opened: u64,
    /// Of those, still open when the run was over.
    pub open_at_end: u64,
    /// The rest of those.
    pub closed_by_server: u64,
}

/// The slow clients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowOutcome {
    /// Those that sent slowly.
    pub senders: SlowSideOutcome,
    /// Those that read slowly.
    pub readers: SlowSideOutcome,
}

/// The slow clients of one sort.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowSideOutcome {
    /// Clients asked for at any time.
    pub asked: u64,
    /// Connections they have opened.
    pub opened: u64,
    /// Of those, ended by the server.
    pub closed_by_server: u64,
    /// Requests that got their whole reply.
    pub finished: u64,
    /// Connections open when the run was over.
    pub open_at_end: u64,
    /// How long the connections that the server ended had lasted, microseconds. An orderly end is
    /// seen only behind the bytes before it, which a slow reader has yet to read.
    pub life_us: Spread,
}

/// The poisoned requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoisonOutcome {
    /// Requests sent, or tried.
    pub sent: u64,
    /// Of them, answered with whatever status.
    pub answered: u64,
    /// The rest: without a reply after the time-out or when the run was over.
    pub lost: u64,
    /// Intended start to done, microseconds; lost ones rank as infinite.
    pub response_us: Spread,
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND_NS as f64
}

fn errors(failed: &Failures) -> BTreeMap<&'static str, u64> {
    failed.occurred().collect()
}

/// The slices that lie within the window, which an interrupt may have ended early.
fn reached(record: &Record) -> impl Iterator<Item = (&Slice, u64)> {
    let length_ns = record.books.length_ns;
    let slices = record.books.slices.iter();
    slices
        .filter(move |slice| slice.start_ns < length_ns || slice.scheduled > 0)
        .map(move |slice| {
            let end_ns = slice.end_ns.min(length_ns).max(slice.start_ns);
            (slice, end_ns)
        })
}

/// Requests a second over the window; `None` in a closed loop.
pub(super) fn rate_offered(record: &Record) -> Option<f64> {
    match &record.offers[..] {
        [] => None,
        [offer] if offer.from() == offer.to() => Some(offer.from()),
        offers => {
            let shape = &record.shape;
            let steps = offers.iter().zip(&shape.steps_ns);
            let expected: f64 = steps
                .map(|(offer, &ns)| (offer.from() + offer.to()) / 2.0 * seconds(ns))
                .sum();
            Some(super::ratio(expected, seconds(shape.duration_ns)))
        }
    }
}

pub(super) fn phases(record: &Record) -> Vec<PhaseOutcome> {
    let mut phases = Vec::new();
    if record.shape.steps_ns.is_empty() {
        return phases;
    }
    let objective = record.shape.objective_ns;
    for (index, (phase, offer)) in record.books.phases.iter().zip(&record.offers).enumerate() {
        let slices: Vec<_> = reached(record).filter(|(s, _)| s.phase == index).collect();
        let (Some(first), Some(last)) = (slices.first(), slices.last()) else {
            break;
        };
        let sum = |of: fn(&Slice) -> u64| slices.iter().map(|(slice, _)| of(slice)).sum::<u64>();
        let response = record.books.response(|slice| slice.phase == index);
        phases.push(PhaseOutcome {
            rate_from: offer.from(),
            rate_to: offer.to(),
            start_s: seconds(first.0.start_ns),
            duration_s: seconds(last.1 - first.0.start_ns),
            scheduled: sum(|slice| slice.scheduled),
            requests: sum(|slice| slice.answered),
            within_objective: objective.map(|_| sum(|slice| slice.within)),
            errors: errors(&phase.failed),
            response_us: response.spread(phase.failed.total()),
            service_us: phase.service.spread(0),
            slip_us: phase.slip.spread(0),
        });
    }
    phases
}

pub(super) fn timeline(record: &Record) -> Vec<SliceOutcome> {
    let outcome = |(slice, end_ns): (&Slice, u64)| {
        let spread = slice.response.spread(slice.failed);
        SliceOutcome {
            start_s: seconds(slice.start_ns),
            duration_s: seconds(end_ns - slice.start_ns),
            scheduled: slice.scheduled,
            requests: slice.answered,
            within_objective: record.shape.objective_ns.map(|_| slice.within),
            errors_total: slice.failed,
            p50_us: spread.p50,
            p99_us: spread.p99,
            max_us: spread.max,
        }
    };
    reached(record).map(outcome).collect()
}

pub(super) fn kinds(record: &Record) -> Vec<KindOutcome> {
    let kinds = record.shape.kinds.iter().zip(&record.books.kinds);
    kinds
        .map(|(shape, books)| KindOutcome {
            method: shape.method.clone(),
            path: shape.path.clone(),
            weight: shape.weight,
            scheduled: books.scheduled,
            requests: books.answered,
            errors: errors(&books.failed),
            response_us: books.response.spread(books.failed.total()),
        })
        .collect()
}

impl IdleOutcome {
    pub(super) fn new(idle: &Idle) -> Self {
        Self {
            asked: idle.asked,
            opened: idle.opened,
            open_at_end: idle.open_at_end,
            closed_by_server: idle.closed_by_server,
        }
    }
}

impl SlowOutcome {
    pub(super) fn new(slow: &Slow) -> Self {
        let side = |side: &SlowSide| SlowSideOutcome {
            asked: side.asked,
            opened: side.opened,
            closed_by_server: side.closed_by_server,
            finished: side.finished,
            open_at_end: side.open_at_end,
            life_us: Durations::spread(&side.life, 0),
        };
        Self {
            senders: side(&slow.senders),
            readers: side(&slow.readers),
        }
    }
}

impl PoisonOutcome {
    pub(super) fn new(poison: &Poison) -> Self {
        Self {
            sent: poison.sent,
            answered: poison.answered,
            lost: poison.lost,
            response_us: poison.response.spread(poison.lost),
        }
    }
}
