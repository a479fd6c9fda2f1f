//! From a workload and a profile to the answer.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};

use schema::profile::Profile;
use simulate::{Goal, Load, Topology, Trace, capacity, run};
use workload::{Offered, Workload};

use crate::answer::{Answer, CandidateLine, Interval, Recommended, Response};
use crate::bounds;
use crate::candidate::Candidate;
use crate::change;
use crate::facts::{Facts, Holds};
use crate::profile::Priced;
use crate::rules;
use crate::sizing;

/// Requests of the first look at every candidate.
const COARSE: usize = 10_000;
/// Requests of the second look, at those that may win.
const FINE: usize = 40_000;
/// How near the best a candidate must be at the first look to be looked at again.
const NEAR_SHARE: f64 = 0.75;
/// How many of them.
const FINALISTS: usize = 12;
/// Variants whose capacities differ by less are equals, whatever the intervals.
const TIE_SHARE: f64 = 0.05;
/// More cores than this, as a multiple of those measured, are not answered for.
const EXTRAPOLATION_MAX: f64 = 2.0;
/// Seats of a server whose clients are searched.
const CLIENTS_MAX: usize = 1_000;
/// Residuals below this many say nothing of a nine in ten interval.
const RESIDUALS_MIN: usize = 9;

/// What is asked beside the workload.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only this model, or model:variant.
    pub model: Option<String>,
    /// The seed of the simulated requests.
    pub seed: u64,
    /// Without the search for what would change the answer.
    pub brief: bool,
    /// Model, variant and workers of those whose workers are given and not proposed.
    pub sized: Vec<(String, String, u32)>,
}

/// What all steps of one answer share.
pub(crate) struct Question<'a> {
    pub workload: &'a Workload,
    pub priced: Priced<'a>,
    pub cores: usize,
    pub goal: Goal,
    pub load: Load,
    pub seed: u64,
}

/// A candidate and what was found of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub candidate: Candidate,
    pub expected: f64,
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        workload: &'a Workload,
        profile: &'a Profile,
        facts: &[Facts],
        seed: u64,
    ) -> Self {
        let measured = profile.machine.server_cpus as usize;
        Self {
            workload,
            priced: Priced::new(profile, facts),
            cores: workload.machine.cpus.map_or(measured, |n| n as usize),
            goal: Goal {
                percentile: workload.objective.percentile,
                response_us: workload.objective.response_ms * 1_000.0,
                class: workload.objective_class(),
            },
            load: Load::of(workload),
            seed,
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

    pub(crate) fn capacity(
        &self,
        candidate: &Candidate,
        trace: &Trace,
        around: Option<f64>,
        within: f64,
    ) -> f64 {
        let bound = candidate.rate_max(self.workload);
        let mut server = candidate.server;
        // In a closed loop clients are searched, and each that is added brings a seat for itself.
        if let (Load::Closed { .. }, Topology::Seats { seats, spread }) =
            (&self.load, server.topology)
            && candidate.facts.holds == Holds::Workers
        {
            let seats = seats.max(CLIENTS_MAX);
            server.topology = Topology::Seats { seats, spread };
        }
        capacity(
            &server, &self.load, trace, &self.goal, bound, around, within,
        )
        .rate
    }

    /// The candidates that rules leave, and the lines of the others.
    fn candidates(
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
            let expected = self.capacity(&candidate, &trace, None, 0.04);
            Found {
                candidate,
                expected,
            }
        });
        sort(&mut found);
        found
    }
}

fn sort(found: &mut [Found]) {
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
                let at = next.fetch_add(1, Atomic::Relaxed);
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

/// Answers.
///
/// # Errors
/// One line: the question cannot be answered with this profile, or names no model.
pub fn advise(
    workload: &Workload,
    profile: &Profile,
    facts: &[Facts],
    options: &Options,
) -> Result<Answer, String> {
    let facts = asked_for(facts, options.model.as_deref())?;
    let question = Question::new(workload, profile, &facts, options.seed);
    let measured = profile.machine.server_cpus as usize;
    if question.cores as f64 > measured as f64 * EXTRAPOLATION_MAX {
        return Err(format!(
            "machine.cpus is {}, and the profile was measured on {measured}: beyond twice as many nothing is predicted",
            question.cores
        ));
    }
    let mut answer = Answer {
        rests_on: rests_on(&question, profile),
        ..Answer::default()
    };
    let (able, out) = question.candidates(&facts, &options.sized);
    let factor = able.first().map_or(1.0, |c| c.server.costs.cpu_factor);
    let least = bounds::least_us(workload, factor);
    if least > question.goal.response_us {
        answer.refused = Some(format!(
            "no model can meet the objective: the work alone takes p{} {:.1} ms, and the objective is {} ms",
            question.goal.percentile,
            least / 1_000.0,
            workload.objective.response_ms
        ));
        answer.candidates = out;
        return Ok(answer);
    }
    if able.is_empty() {
        answer.refused = Some("every variant is disqualified: see why at each".into());
        answer.candidates = out;
        return Ok(answer);
    }
    let found = finalists(&question, able);
    let lines = lines(&question, profile, &found);
    let best = found.first().map_or(0.0, |f| f.expected);
    if best <= 0.0 {
        answer.refused = Some(format!(
            "no model can meet the objective at any rate: p{} within {} ms is less than what an idle server needs",
            question.goal.percentile, workload.objective.response_ms
        ));
    } else if let Some(chosen) = choice(&found, &lines) {
        recommend(&mut answer, &question, &found, chosen);
        answer.sizing = Some(sizing::sizing(&question, &found[chosen]));
        if !options.brief {
            answer.would_change = change::search(&question, profile, &facts, &found, chosen);
        }
    }
    answer.candidates = lines.into_iter().chain(out).collect();
    Ok(answer)
}

fn asked_for(facts: &[Facts], model: Option<&str>) -> Result<Vec<Facts>, String> {
    let Some(label) = model else {
        return Ok(facts.to_vec());
    };
    let wanted = |f: &&Facts| match label.split_once(':') {
        Some((model, variant)) => f.model == model && f.variant == variant,
        None => f.model == label && f.default,
    };
    let found: Vec<Facts> = facts.iter().filter(wanted).cloned().collect();
    if found.is_empty() {
        return Err(format!("there is no model {label:?}: see turnstile models"));
    }
    Ok(found)
}

/// Capacities of all, of those near the best with many requests; the best first.
fn finalists(question: &Question<'_>, able: Vec<Candidate>) -> Vec<Found> {
    let mut found = question.coarse(able, COARSE);
    let best = found.first().map_or(0.0, |f| f.expected);
    let near = found
        .iter()
        .take_while(|f| f.expected >= best * NEAR_SHARE && f.expected > 0.0);
    let many = near.count().min(FINALISTS);
    let rest = found.split_off(many);
    let trace = question.trace(FINE);
    let mut fine = parallel(found, |f| {
        let expected = question.capacity(&f.candidate, &trace, Some(f.expected), 0.02);
        Found { expected, ..f }
    });
    fine.extend(rest);
    sort(&mut fine);
    fine
}

/// The lines of ranked candidates: tiers with intervals, and the response at the asked load.
fn lines(question: &Question<'_>, profile: &Profile, found: &[Found]) -> Vec<CandidateLine> {
    let trace = question.trace(COARSE);
    let residual = residual(profile);
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
        let (less, more) = question.priced.bootstrap(facts, question.seed, cpu);
        let end = |factor: f64| {
            if at < FINALISTS && factor != 1.0 {
                let priced = f.candidate.costing(factor);
                question.capacity(&priced, &trace, Some(f.expected / factor), 0.04)
            } else {
                f.expected / factor
            }
        };
        let by_residual = |sign: f64| f.expected * (sign * residual.unwrap_or(0.0)).exp();
        let interval = Interval {
            low: end(more).min(by_residual(-1.0)).min(f.expected),
            expected: f.expected,
            high: end(less).max(by_residual(1.0)).max(f.expected),
        };
        let asked = run(&f.candidate.server, &question.load, &trace);
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
                asked.utilisation * cores * 1e6 / asked.throughput_rps.max(1e-9)
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

/// The 90 % quantile of the residuals of the calibration (split conformal: of n, the ceil(0.9 (n + 1))
/// smallest).
fn residual(profile: &Profile) -> Option<f64> {
    let mut sizes: Vec<f64> = profile.residuals.iter().map(|r| r.abs()).collect();
    if sizes.len() < RESIDUALS_MIN {
        return None;
    }
    sizes.sort_by(f64::total_cmp);
    let rank = (0.9 * (sizes.len() + 1) as f64).ceil() as usize;
    sizes.get(rank.min(sizes.len()) - 1).copied()
}

/// The choice of the first tier: the smallest memory, then isolation, then the simplest.
fn choice(found: &[Found], lines: &[CandidateLine]) -> Option<usize> {
    let tied: Vec<usize> = (0..found.len()).filter(|&at| lines[at].tier == 1).collect();
    let mibs = tied.iter().map(|&at| found[at].candidate.memory_mib);
    let least = mibs.fold(f64::INFINITY, f64::min);
    // Memories within a tenth and a third of a MiB are the same: pages that happen to be touched.
    let memory = |at: usize| {
        let mib = found[at].candidate.memory_mib;
        if mib <= least * 1.1 + 0.3 { least } else { mib }
    };
    let isolated = |at: usize| {
        let facts = &found[at].candidate.facts;
        facts.processes && facts.holds != Holds::Many
    };
    let by = |a: &usize, b: &usize| -> Ordering {
        memory(*a)
            .total_cmp(&memory(*b))
            .then(isolated(*b).cmp(&isolated(*a)))
            .then({
                let complexity = |at: usize| found[at].candidate.facts.complexity();
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

fn recommend(answer: &mut Answer, question: &Question<'_>, found: &[Found], chosen: usize) {
    let Found {
        candidate,
        expected,
    } = &found[chosen];
    let best = found[0].expected;
    let equals = found
        .iter()
        .filter(|f| f.expected >= best * (1.0 - TIE_SHARE))
        .count();
    let because = if equals == 1 {
        "it has the highest capacity".to_owned()
    } else {
        format!(
            "{equals} variants are within 5 % of the highest capacity; of these it has the least memory, or among those with about as little, isolates best or is the simplest"
        )
    };
    let asked = match question.workload.offered {
        Offered::Open { rate } => *expected >= rate,
        Offered::Closed { .. } => {
            let outcome = run(&candidate.server, &question.load, &question.trace(COARSE));
            question.goal.reached_us(&outcome) <= question.goal.response_us
        }
    };
    let other = found
        .iter()
        .find(|f| f.candidate.facts.model != candidate.facts.model);
    answer.recommended = Some(Recommended {
        model: candidate.facts.model.clone(),
        variant: candidate.facts.variant.clone(),
        workers: candidate.workers,
        threads: candidate.threads(),
        because,
        holds_load: asked,
        runner_up: other.map(|f| f.candidate.facts.label()),
    });
}

fn rests_on(question: &Question<'_>, profile: &Profile) -> Vec<String> {
    let machine = &profile.machine;
    let mut lines = vec![format!(
        "a profile of {} CPU(s) for the server, {}, Linux {}, turnstile {}, measured {}",
        machine.server_cpus, machine.cpu, machine.kernel, profile.turnstile, profile.measured
    )];
    lines.push(format!(
        "a time slice of {:.0} µs where threads compute, and {:.0} µs until a woken thread runs beside one that computes, both measured",
        profile.slice_us, profile.preempt_us
    ));
    if profile.provisional {
        lines.push("the profile is provisional: it was measured beside other work".into());
    }
    if question.cores > machine.server_cpus as usize {
        lines.push(format!(
            "EXTRAPOLATED: {} cores were asked for and {} measured; what several cores cost each other is not in it",
            question.cores, machine.server_cpus
        ));
    }
    match profile.residuals.len() {
        n if n >= RESIDUALS_MIN => {
            let of = profile.calibration.as_ref().map_or_else(String::new, |c| {
                format!(" at {} workloads of seed {}", c.workloads, c.seed)
            });
            lines.push(format!(
                "intervals that held nine of ten of {n} measured capacities{of} (split conformal)"
            ));
        }
        n => lines.push(format!(
            "intervals of the profile's own repetitions alone: {n} capacities were measured with it, too few to tell how far predictions are off"
        )),
    }
    lines
}
