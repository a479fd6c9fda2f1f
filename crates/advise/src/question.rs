//! A workload and a profile as one question, which candidates are priced and simulated for.

use std::sync::atomic::{AtomicUsize, Ordering};

use schema::profile::Profile;
use simulate::{Goal, Load, Outcome, Server, Topology, Trace, capacity, rate_if_kept, run};
use workload::Workload;

use crate::answer::CandidateLine;
use crate::calibrated::Calibrated;
use crate::candidate::Candidate;
use crate::facts::{Facts, Holds};
use crate::priced::Priced;
use crate::rules;

/// Requests of the first look at every candidate.
pub(crate) const COARSE: usize = 10_000;
/// How many of them.
pub(crate) const FINALISTS: usize = 12;
/// Variants whose capacities differ by less are equals, whatever the intervals.
pub(crate) const TIE_SHARE: f64 = 0.05;
/// Seats of a server whose clients are searched.
const CLIENTS_MAX: usize = 1_000;

/// What all steps of one answer share.
pub(crate) struct Question<'a> {
    pub workload: &'a Workload,
    pub profile: &'a Profile,
    /// All variants: what one costs is told from others, too, whichever are asked for.
    pub known: &'a [Facts],
    pub priced: Priced<'a>,
    pub cores: usize,
    pub goal: Goal,
    pub load: Load,
    pub seed: u64,
    /// How far predictions of such workloads have been off.
    pub calibrated: Calibrated,
}

/// A candidate and what was found of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub candidate: Candidate,
    /// Its capacity, requests per second.
    pub expected: f64,
    /// The load at that capacity, as a multiple of the one that is offered.
    pub factor: f64,
}

impl Found {
    pub(crate) fn new(candidate: Candidate, found: &simulate::Found) -> Self {
        Self {
            candidate,
            expected: found.rate,
            factor: found.factor,
        }
    }

    /// Where a search for about the same is to begin; `None` where nothing was found.
    pub(crate) fn around(&self) -> Option<f64> {
        (self.factor > 0.0).then_some(self.factor)
    }
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        workload: &'a Workload,
        profile: &'a Profile,
        known: &'a [Facts],
        seed: u64,
    ) -> Self {
        let measured = profile.machine.server_cpus as usize;
        Self {
            workload,
            profile,
            known,
            priced: Priced::new(profile, known),
            cores: workload.machine.cpus.map_or(measured, |n| n as usize),
            goal: Goal {
                percentile: workload.objective.percentile,
                response_us: workload.objective.response_ms * 1_000.0,
                class: workload.objective_class(),
            },
            load: Load::of(workload),
            seed,
            calibrated: Calibrated::of(profile, workload),
        }
    }

    pub(crate) fn trace(&self, many: usize) -> Trace {
        // The rarest class must come a few hundred times.
        let rarest = self
            .workload
            .classes
            .iter()
            .map(|c| c.share)
            .fold(1.0, f64::min);
        let many = (many as f64).max((200.0 / rarest).min(many as f64 * 2.0));
        Trace::draw(self.workload, many as usize, self.seed)
    }

    /// The highest load that a candidate carries within the objective; its rate is corrected.
    pub(crate) fn capacity(
        &self,
        candidate: &Candidate,
        trace: &Trace,
        around: Option<f64>,
        within: f64,
    ) -> simulate::Found {
        let bound = candidate.rate_max(self.workload);
        let server = self.searched(candidate);
        let found = capacity(
            &server, &self.load, trace, &self.goal, bound, around, within,
        );
        simulate::Found {
            rate: self.calibrated.corrected(found.rate),
            ..found
        }
    }

    /// What comes of a candidate at the load that is offered. A server that carries less than is simulated is as
    /// full at a rate as a simulated one at a higher rate; clients that wait for replies find that out themselves.
    pub(crate) fn at_offered(&self, candidate: &Candidate, trace: &Trace) -> Outcome {
        match self.load {
            Load::Open { .. } => {
                let load = self.load.times((-self.calibrated.bias).exp());
                let outcome = run(&candidate.server, &load, trace);
                Outcome {
                    throughput_rps: self.calibrated.corrected(outcome.throughput_rps),
                    ..outcome
                }
            }
            Load::Closed { .. } => run(&candidate.server, &self.load, trace),
        }
    }

    /// Whether a candidate keeps the goal at so many times the load that is offered.
    pub(crate) fn keeps(&self, candidate: &Candidate, trace: &Trace, factor: f64) -> bool {
        let server = self.searched(candidate);
        rate_if_kept(&server, &self.load.times(factor), trace, &self.goal).is_some()
    }

    /// The server of a candidate whose load is searched.
    fn searched(&self, candidate: &Candidate) -> Server {
        let mut server = candidate.server;
        // In a closed loop clients are searched, and each that is added brings a seat for itself.
        if let (Load::Closed { .. }, Topology::Seats { seats, spread }) =
            (&self.load, server.topology)
            && candidate.facts.holds == Holds::Workers
        {
            let seats = seats.max(CLIENTS_MAX);
            server.topology = Topology::Seats { seats, spread };
        }
        server
    }

    /// The candidates that rules leave, and the lines of the others.
    pub(crate) fn candidates(
        &self,
        facts: &[Facts],
        sized: &[(String, String, u32)],
    ) -> (Vec<Candidate>, Vec<CandidateLine>) {
        let (mut able, mut out) = (Vec::new(), Vec::new());
        for facts in facts {
            let mut reason = rules::by_design(facts, self.workload);
            let mut memory_mib = None;
            if reason.is_none() {
                match Candidate::of(facts, &self.priced, self.workload, self.cores) {
                    None => {
                        reason = Some("it is not in the profile, or could not be measured".into());
                    }
                    Some(mut candidate) => {
                        let given = sized
                            .iter()
                            .find(|s| s.0 == facts.model && s.1 == facts.variant);
                        if let (Some(given), true) = (given, candidate.is_sized()) {
                            candidate.sized(given.2, &self.priced, self.workload);
                        }
                        memory_mib = Some(candidate.memory_mib);
                        reason = rules::by_memory(&candidate, self.workload);
                        if reason.is_none() {
                            able.push(candidate);
                        }
                    }
                }
            }
            if reason.is_some() {
                out.push(CandidateLine {
                    model: facts.model.clone(),
                    variant: facts.variant.clone(),
                    memory_mib,
                    disqualified: reason,
                    ..CandidateLine::default()
                });
            }
        }
        (able, out)
    }

    /// Capacities of all `candidates` with few requests, the best first.
    pub(crate) fn coarse(&self, candidates: Vec<Candidate>, many: usize) -> Vec<Found> {
        let trace = self.trace(many);
        let mut found = parallel(candidates, |candidate| {
            let capacity = self.capacity(&candidate, &trace, None, 0.04);
            Found::new(candidate, &capacity)
        });
        sort(&mut found);
        found
    }
}

pub(crate) fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| b.expected.total_cmp(&a.expected));
}

/// Does `of` for each of `items` on as many threads as there are CPUs, and keeps their order.
pub(crate) fn parallel<T: Sync + Clone, R: Send>(
    items: Vec<T>,
    of: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else {
                    return mine;
                };
                mine.push((at, of(item.clone())));
            }
        };
        let threads: Vec<_> = (0..threads.min(16)).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(mine) => mine,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
