//! The sizes that go with a choice.

use schema::profile::Profile;
use simulate::{Costs, Server, Topology, capacity};
use workload::{Distribution, Workload};

use crate::answer::{Sizing, WorkersLine};
use crate::bounds;
use crate::facts::Holds;
use crate::question::{Found, Question, parallel};

/// Requests of each simulation.
const MANY: usize = 8_000;
/// The server's own bound of how long a request may wait in overload (`serve --queue-delay-ms`), ms.
const QUEUE_DELAY_MS: u64 = 5;
/// Threads of a server whose requests hold none.
const THREADS_MANY: usize = 256;
/// Descriptors beside connections: standard ones, listeners, wakers, a store.
const OTHERS: u64 = 64;

/// What a server of so many threads could carry at most if a request cost it nothing but the handler's own
/// time: requests per second at the objective. With `None` for the threads a request that blocks holds none.
/// One that really costs something carries less, so that a setting may be left out by this and none falsely.
pub fn upper_bound(
    workload: &Workload,
    profile: &Profile,
    threads: Option<usize>,
    seed: u64,
) -> f64 {
    let mut workload = workload.clone();
    if threads.is_none() {
        for class in &mut workload.classes {
            class.blocked_us = Distribution::Constant(0.0);
        }
    }
    let question = Question::new(&workload, profile, &[], seed);
    let server = Server {
        cores: question.cores,
        topology: Topology::Shared {
            threads: threads.unwrap_or(THREADS_MANY).max(1),
        },
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler: question.priced.scheduler(),
        stalls: simulate::Stalls::default(),
        client_stalls: simulate::Stalls::default(),
        connections: workload.connections as usize,
    };
    let bound = bounds::rate_max(&server, &workload);
    let trace = question.trace(MANY);
    let found = capacity(
        &server,
        &question.load,
        &trace,
        &question.goal,
        bound,
        None,
        0.03,
    );
    found.rate * 1.03
}

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
                    question.capacity(&other, &trace, found.around(), 0.03).rate
                } else {
                    0.0
                };
                WorkersLine {
                    workers,
                    capacity_rps,
                }
            };
            parallel(sizes, line)
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
        queue_delay_ms: match question.workload.objective.response_ms.floor() as u64 {
            ms if ms > QUEUE_DELAY_MS => ms,
            _ => 0,
        },
        descriptors: per_process + OTHERS,
    }
}
