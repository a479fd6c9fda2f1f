//! The sizes that go with a choice.

use crate::answer::{Sizing, WorkersLine};
use crate::choose::{Found, Question};
use crate::facts::Holds;

/// Requests of each simulation.
const MANY: usize = 8_000;
/// Descriptors beside connections: standard ones, listeners, wakers, a store.
const OTHERS: u64 = 64;

/// Workers with half and twice as many, the queue, the descriptors.
pub(crate) fn sizing(question: &Question<'_>, found: &Found) -> Sizing {
    let chosen = &found.candidate;
    let trace = question.trace(MANY);
    let lines = match chosen.workers {
        None => Vec::new(),
        Some(workers) => {
            let mut sizes = vec![(workers / 2).max(1), workers, workers.saturating_mul(2)];
            sizes.dedup();
            let line = |workers: u32| {
                let mut other = chosen.clone();
                other.sized(workers, &question.priced, question.workload);
                let fits = chosen.facts.holds != Holds::Workers
                    || question.workload.churn >= 1.0
                    || workers >= question.workload.connections;
                // A pool smaller than the connections that stay open never serves the others.
                let capacity_rps = if fits {
                    question.capacity(&other, &trace, None, 0.03)
                } else {
                    0.0
                };
                WorkersLine {
                    workers,
                    capacity_rps,
                }
            };
            sizes.into_iter().map(line).collect()
        }
    };
    let in_time = found.expected * question.workload.objective.response_ms / 1_000.0;
    let connections = u64::from(question.workload.connections);
    let per_process = match (chosen.facts.processes, chosen.facts.holds) {
        (true, Holds::Workers | Holds::One) => 1,
        _ => connections,
    };
    Sizing {
        workers: lines,
        queue_max: in_time.ceil() as u64,
        descriptors: per_process + OTHERS,
    }
}
