//! Workloads spread over the whole space, from a seed: what predictions are held to.

use schema::random::SplitMix64;
use workload::{Class, Distribution, Objective, Offered, Workload};

/// `many` workloads that one load can send, in turn of each kind.
pub fn generated(seed: u64, many: usize) -> Vec<Workload> {
    let random = SplitMix64::new(seed);
    (0..many)
        .map(|n| one(random.fork(n as u64 + 1), n))
        .collect()
}

/// Between two ends, evenly in the logarithm.
fn between(random: &mut SplitMix64, low: f64, high: f64) -> f64 {
    (low.ln() + (high / low).ln() * random.uniform()).exp()
}

fn time(random: &mut SplitMix64, mean: f64) -> Distribution {
    let mean = mean.round();
    match random.below(3) {
        0 => Distribution::Constant(mean),
        1 => Distribution::Exponential { mean },
        _ => Distribution::Lognormal { mean, cv: 1.5 },
    }
}

fn one(mut random: SplitMix64, n: usize) -> Workload {
    let many = 1 + random.below(3) as usize;
    let shares = [vec![1.0], vec![0.9, 0.1], vec![0.7, 0.25, 0.05]];
    let (blocks, awaits) = (n % 4 == 1 || n % 4 == 3, n % 4 == 2 || n % 4 == 3);
    let class = |at: usize, random: &mut SplitMix64| {
        // Rarer classes are longer.
        let scale = 4f64.powi(at as i32);
        let cpu = between(random, 10.0, 300.0) * scale;
        let blocked = between(random, 100.0, 3_000.0) * scale;
        let wait = between(random, 200.0, 10_000.0);
        Class {
            name: format!("class-{}", at + 1),
            share: shares[many - 1][at],
            cpu_us: time(random, cpu),
            blocked_us: if blocks {
                time(random, blocked)
            } else {
                Distribution::Constant(0.0)
            },
            wait_us: if awaits {
                time(random, wait)
            } else {
                Distribution::Constant(0.0)
            },
            reply_bytes: between(random, 13.0, 16_384.0) as u64,
            ..Class::default()
        }
    };
    let classes: Vec<Class> = (0..many).map(|at| class(at, &mut random)).collect();
    let churn = if random.below(4) == 0 { 1.0 } else { 0.0 };
    let active = between(&mut random, 8.0, 128.0) as u32;
    let idle = if random.below(3) == 0 && churn == 0.0 {
        between(&mut random, 50.0, 1_000.0) as u32
    } else {
        0
    };
    let mut workload = Workload {
        offered: Offered::Open { rate: 1.0 },
        connections: active + idle,
        active,
        churn,
        classes,
        objective: Objective::default(),
        machine: workload::Machine::default(),
        needs: workload::Needs::default(),
    };
    let [cpu, blocked, wait] = workload.means_us();
    // Tight and loose: from half above what the longest class takes alone to fifteen times that.
    let factor = between(&mut random, 1.5, 15.0);
    workload.objective.response_ms = response_ms(&workload, factor);
    // Half of a CPU, with some of it for what the server does beside.
    let rate = 0.5e6 / (cpu + 15.0);
    if n % CLOSED_OF == CLOSED_OF - 1 {
        // Drawn after all else, so that the other workloads stay what they were before there were these.
        let own_s = (cpu + blocked + wait) / 1e6;
        let think_s = match random.below(3) {
            0 => 0.0,
            _ => think_s(&mut random, rate),
        };
        let population = match think_s > 0.0 {
            true => active.max((rate * (think_s + own_s)).ceil() as u32),
            false => active,
        };
        workload.offered = Offered::Closed {
            population,
            think_ms: think_s * 1e3,
        };
        workload.active = population;
        workload.connections = population + idle;
    } else {
        workload.offered = Offered::Open {
            rate: rate.round().max(1.0),
        };
    }
    if n >= WIDE_FROM {
        widen(&mut workload, &mut random, factor);
    }
    workload
}

/// From this one on workloads have every share of connections of their own, and objectives of other
/// percentiles and of one class. The ones before stay what they were when there was only the rest.
const WIDE_FROM: usize = 40;
/// Their percentiles.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

fn widen(workload: &mut Workload, random: &mut SplitMix64, factor: f64) {
    if random.below(3) > 0 {
        workload.churn = (between(random, 0.05, 0.95) * 100.0).round() / 100.0;
    }
    let percentile = random.below(PERCENTILES.len() as u32) as usize;
    workload.objective.percentile = PERCENTILES[percentile];
    let class = random.below(2 * workload.classes.len() as u32) as usize;
    if let Some(class) = workload
        .classes
        .get(class)
        .filter(|_| workload.classes.len() > 1)
    {
        workload.objective.class.clone_from(&class.name);
    }
    workload.objective.response_ms = response_ms(workload, factor);
}

/// So many times what the longest class that the objective is about takes alone, at its percentile; 2 at least.
fn response_ms(workload: &Workload, factor: f64) -> f64 {
    let at = workload.objective.percentile / 100.0;
    let late =
        |c: &Class| c.cpu_us.quantile(at) + c.blocked_us.quantile(at) + c.wait_us.quantile(at);
    let longest = match workload.objective_class() {
        Some(class) => late(&workload.classes[class]),
        None => workload.classes.iter().map(late).fold(0.0, f64::max),
    };
    (longest * factor / 1_000.0).max(2.0).ceil()
}

/// One workload in so many has a closed population.
const CLOSED_OF: usize = 5;
/// How long clients think, s.
const THINK_S: (f64, f64) = (0.005, 0.2);
/// About so many clients at most: twice as many and more are tried, and each has a local port that rests for
/// a while.
const CLIENTS: f64 = 1_000.0;

/// A time of thinking in whole ms, with which so many requests per second do not take too many clients.
fn think_s(random: &mut SplitMix64, rate: f64) -> f64 {
    let (least, most) = THINK_S;
    let drawn = between(random, least, most.min(CLIENTS / rate).max(least * 1.01));
    (drawn * 1e3).round() / 1e3
}

/// What a choice lost against the best that was measured, as a share.
pub fn regret(chosen: f64, best: f64) -> f64 {
    if best > 0.0 {
        (1.0 - chosen / best).max(0.0)
    } else {
        0.0
    }
}
