//! The parts of a result: steps, slices, kinds of request, extra clients.

use std::collections::BTreeMap;

use schema::load::{
    KindFigures, PhaseFigures, PoisonFigures, SliceFigures, SlowClients, SlowFigures,
};

use crate::clock::SECOND_NS;
use crate::counts::{Counts, ErrorCounts, SliceCounts};
use crate::extra_clients::{PoisonCounts, SlowCounts, SlowSideCounts};
use crate::record::RunRecord;

/// A quotient that is 0 where there is nothing to divide by.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND_NS as f64
}

pub(super) fn errors(failed: &ErrorCounts) -> BTreeMap<String, u64> {
    let occurred = failed.occurred();
    occurred.map(|(class, n)| (class.to_owned(), n)).collect()
}

pub(super) fn statuses(counts: &Counts) -> BTreeMap<String, u64> {
    let statuses = counts.statuses.iter();
    statuses
        .map(|(status, &n)| (status.to_string(), n))
        .collect()
}

/// The slices of the window, which an interrupt may have ended early.
fn reached(record: &RunRecord) -> impl Iterator<Item = (&SliceCounts, u64)> {
    let length_ns = record.counts.length_ns;
    let slices = record.counts.slices.iter();
    slices
        .filter(move |slice| slice.start_ns < length_ns || slice.scheduled > 0)
        .map(move |slice| {
            let end_ns = slice.end_ns.min(length_ns).max(slice.start_ns);
            (slice, end_ns)
        })
}

/// Requests per second offered over the window; `None` in a closed loop.
pub(super) fn rate_offered(record: &RunRecord) -> Option<f64> {
    match &record.offers[..] {
        [] => None,
        [offer] if offer.from() == offer.to() => Some(offer.from()),
        offers => {
            let shape = &record.shape;
            let steps = offers.iter().zip(&shape.steps_ns);
            let expected: f64 = steps
                .map(|(offer, &ns)| (offer.from() + offer.to()) / 2.0 * seconds(ns))
                .sum();
            Some(ratio(expected, seconds(shape.duration_ns)))
        }
    }
}

pub(super) fn phases(record: &RunRecord) -> Vec<PhaseFigures> {
    let mut phases = Vec::new();
    if record.shape.steps_ns.is_empty() {
        return phases;
    }
    let objective = record.shape.objective_ns;
    for (index, (phase, offer)) in record.counts.phases.iter().zip(&record.offers).enumerate() {
        let slices: Vec<_> = reached(record).filter(|(s, _)| s.phase == index).collect();
        let (Some(first), Some(last)) = (slices.first(), slices.last()) else {
            break;
        };
        let sum =
            |of: fn(&SliceCounts) -> u64| slices.iter().map(|(slice, _)| of(slice)).sum::<u64>();
        let response = record.counts.response(|slice| slice.phase == index);
        phases.push(PhaseFigures {
            rate_from: offer.from(),
            rate_to: offer.to(),
            start_s: seconds(first.0.start_ns),
            duration_s: seconds(last.1 - first.0.start_ns),
            scheduled: sum(|slice| slice.scheduled),
            requests: sum(|slice| slice.answered),
            within_objective: objective.map(|_| sum(|slice| slice.within)),
            errors: errors(&phase.failed),
            response_us: response.latency(phase.failed.total()),
            served_us: response.latency(0),
            service_us: phase.service.latency(0),
            slip_us: phase.slip.latency(0),
        });
    }
    phases
}

pub(super) fn timeline(record: &RunRecord) -> Vec<SliceFigures> {
    let figures = |(slice, end_ns): (&SliceCounts, u64)| {
        let latency = slice.response.latency(slice.failed);
        SliceFigures {
            start_s: seconds(slice.start_ns),
            duration_s: seconds(end_ns - slice.start_ns),
            scheduled: slice.scheduled,
            requests: slice.answered,
            within_objective: record.shape.objective_ns.map(|_| slice.within),
            errors_total: slice.failed,
            p50_us: latency.p50,
            p99_us: latency.p99,
            max_us: latency.max,
        }
    };
    reached(record).map(figures).collect()
}

pub(super) fn kinds(record: &RunRecord) -> Vec<KindFigures> {
    let kinds = record.shape.kinds.iter().zip(&record.counts.kinds);
    kinds
        .map(|(shape, counts)| KindFigures {
            method: shape.method.clone(),
            path: shape.path.clone(),
            weight: shape.weight,
            scheduled: counts.scheduled,
            requests: counts.answered,
            errors: errors(&counts.failed),
            response_us: counts.response.latency(counts.failed.total()),
        })
        .collect()
}

pub(super) fn slow(slow: &SlowCounts) -> SlowFigures {
    let side = |side: &SlowSideCounts| SlowClients {
        asked: side.asked,
        opened: side.opened,
        closed_by_server: side.closed_by_server,
        finished: side.finished,
        open_at_end: side.open_at_end,
        life_us: side.life.latency(0),
    };
    SlowFigures {
        senders: side(&slow.senders),
        readers: side(&slow.readers),
    }
}

pub(super) fn poison(poison: &PoisonCounts) -> PoisonFigures {
    PoisonFigures {
        sent: poison.sent,
        answered: poison.answered,
        lost: poison.lost,
        response_us: poison.response.latency(poison.lost),
    }
}
