//! A few servers at a workload in paired slices: how much each of them carries, with an interval, and how much
//! more or less than the first of them.
//!
//! First each is searched, roughly. Then rotations follow. In a rotation every server gets one slice, in an
//! order that is shuffled, with the same arrivals, and at the same distance from what it is known to carry: a
//! slow moment of the machine meets all of them. Intervals are those of a bootstrap over rotations, which are
//! drawn as a whole, so that a difference of two servers has the interval of their pairs.

use std::time::{Duration, Instant};

use report::data::Objective;
use schema::random::SplitMix64;
use workload::Workload;

use crate::failure::Unmeasured;
use crate::judge::capacity::{self, Outcome};
use crate::run::capacities::{Asked, CEILING, Load, Runner, Session, said};
use crate::run::capacity_search::{Crossing, Kept, Trial, crossing};
use crate::run::population::served_rps;

/// How long all of it may take, the start of the servers and the search among it.
const WHOLE: Duration = Duration::from_secs(105);
/// Rotations at most, and those below which nothing is said.
const ROTATIONS: usize = 24;
const ROTATIONS_MIN: usize = 5;
/// The rate of a rotation, as a multiple of what each server is known to carry.
const AROUND: [f64; 6] = [1.0, 0.93, 1.07, 0.97, 1.03, 0.88];
/// Rates from this share of the highest on are as high.
const NEAR_MOST: f64 = 0.95;
/// How often the rotations are drawn again, and the part of the draws below and above a 90 % interval.
const DRAWS: usize = 400;
const TAIL: f64 = 0.05;

/// An estimate and its 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Lower end.
    pub low: f64,
    /// Estimate.
    pub expected: f64,
    /// Upper end.
    pub high: f64,
}

/// What slices showed of a server.
#[derive(Debug, Clone, Default)]
pub struct Paired {
    /// Requests per second within the objective; `None` where that is not known.
    pub rps: Option<Estimate>,
    /// The same as a share of the first server's.
    pub of_first: Option<Estimate>,
    /// Rotations that it rests on.
    pub rotations: usize,
    /// Why there is no figure; empty where there is one.
    pub why: String,
}

/// A slice of a server.
#[derive(Debug, Clone, Copy)]
struct Slice {
    trial: Trial,
    /// Right answers per second in it.
    answered_rps: f64,
}

/// The slices of a server, one for each rotation; `None` where the machine or the generator spoilt it.
type Slices = Vec<Option<Slice>>;
/// Clients, and how many requests per second they sent; empty in an open loop.
type Served = Vec<(f64, f64)>;

/// Measures `asked` side by side, within two minutes.
///
/// # Errors
/// The workload cannot be sent, its objective is not one that is measured here, or Ctrl-C.
pub fn paired(workload: &Workload, asked: &[Asked]) -> anyhow::Result<Vec<Paired>> {
    let begun = Instant::now();
    let session = Session::new(workload)?;
    let mut runners = session.searched(session.visits(asked)?)?;
    let mut slices: Vec<Slices> = vec![Vec::new(); runners.len()];
    let mut random = SplitMix64::new(1);
    let mut order: Vec<usize> = (0..runners.len()).collect();
    for rotation in 0..ROTATIONS {
        if rotation >= ROTATIONS_MIN && begun.elapsed() > WHOLE {
            break;
        }
        random.shuffle(&mut order);
        for &at in &order {
            let Ok(runner) = &mut runners[at] else {
                continue;
            };
            match measure(&session, runner, &slices[at], rotation) {
                Ok(slice) => slices[at].push(slice),
                Err(Unmeasured::Interrupted) => anyhow::bail!("interrupted"),
                Err(why) => runners[at] = Err(said(&why)),
            }
        }
    }
    let kept = session.kept();
    let served: Vec<Served> = runners
        .iter()
        .map(|r| r.as_ref().map_or_else(|_| Vec::new(), |r| r.served.clone()))
        .collect();
    let why = |runner| session.end(runner).why;
    let whys: Vec<String> = runners.into_iter().map(why).collect();
    Ok(judged(&slices, &served, whys, kept))
}

/// One slice of a server, at its rate of the rotation.
fn measure(
    session: &Session,
    runner: &mut Runner,
    before: &Slices,
    rotation: usize,
) -> Result<Option<Slice>, Unmeasured> {
    let Some(search) = &runner.search else {
        return Ok(None);
    };
    let since = before.iter().flatten().map(|slice| slice.trial);
    let known: Vec<Trial> = search.trials().iter().copied().chain(since).collect();
    let carries = match crossing(&known, session.kept()) {
        Crossing::At(rate) | Crossing::Above(rate) | Crossing::Below(rate) => rate,
        Crossing::Unknown => runner.closed_rps,
    };
    // More than in a closed loop it cannot do for long: beyond, a slice shows how long a queue becomes in it.
    let most = session.tried_max(runner.closed_rps) * 1.02;
    let mut rate = (carries * AROUND[rotation % AROUND.len()]).min(most);
    if session.population.is_some() {
        rate = rate.round().max(1.0);
    }
    let seconds = session.trial_s(runner.closed_rps, false);
    let round = 100 + rotation as u64;
    let load = Load::Tried(rate);
    let (shape, sample) = session.load(&runner.server, &runner.visit, load, seconds, round)?;
    let objective: Objective = session.objective;
    let (step, outcome) = capacity::step(&shape, &sample, objective, CEILING);
    match outcome {
        Outcome::Decided(_) => {
            if session.population.is_some() {
                runner.served.push((rate, sample.load.rate_achieved));
            }
            let trial = Trial {
                rate,
                p99_us: step.p99_us,
                errors_share: step.errors_share,
            };
            Ok(Some(Slice {
                trial,
                answered_rps: sample.load.rate_achieved,
            }))
        }
        Outcome::Generator(_) | Outcome::Noise(_) => Ok(None),
        Outcome::Broken(why) => Err(Unmeasured::new(schema::Code::NothingAnswered, why.text())),
    }
}

/// What the slices of all servers amount to; `whys` says why one has none. Of a closed population slices are of
/// clients, and `served` says how many requests per second those of each server sent.
fn judged(slices: &[Slices], served: &[Served], whys: Vec<String>, kept: Kept) -> Vec<Paired> {
    let rotations = slices.iter().map(Vec::len).max().unwrap_or(0);
    let all: Vec<usize> = (0..rotations).collect();
    let each = |rotations: &[usize]| -> Vec<Option<f64>> {
        let both = slices.iter().zip(served);
        both.map(|(slices, served)| {
            let found = carried(slices, rotations, kept, served.is_empty())?;
            Some(served_rps(served, found))
        })
        .collect()
    };
    let usual = each(&all);
    let mut random = SplitMix64::new(rotations as u64);
    let many = u32::try_from(rotations).unwrap_or(u32::MAX);
    let draw = |_| {
        let drawn = (0..rotations).map(|_| random.below(many) as usize);
        each(&drawn.collect::<Vec<_>>())
    };
    let draws: Vec<Vec<Option<f64>>> = (0..DRAWS).map(draw).collect();
    let one = |(at, mut why): (usize, String)| {
        let whole = slices[at].iter().flatten().count();
        if why.is_empty() && whole < ROTATIONS_MIN {
            why = match whole {
                0 => "the machine or the generator spoilt all of its slices".to_owned(),
                _ => format!("the machine or the generator spoilt all but {whole} of its slices"),
            };
        }
        let usable = why.is_empty();
        let rps =
            usual[at].and_then(|rps| interval(rps, draws.iter().filter_map(|d| d[at]).collect()));
        let share = |of: &[Option<f64>]| Some(of[at]? / of[0]?.max(1e-9));
        let of_first = share(&usual)
            .and_then(|usual| interval(usual, draws.iter().filter_map(|d| share(d)).collect()));
        Paired {
            rps: rps.filter(|_| usable),
            of_first: of_first.filter(|_| usable && at > 0 && has_enough(slices, 0)),
            rotations: whole,
            why,
        }
    };
    whys.into_iter().enumerate().map(one).collect()
}

/// Whether the server at `at` has slices enough.
fn has_enough(slices: &[Slices], at: usize) -> bool {
    slices[at].iter().flatten().count() >= ROTATIONS_MIN
}

/// What a server carries by its slices of these rotations. Where it kept the objective at whatever was tried,
/// no rate is too high for it, since as much was tried as it can do: then it is what it answered at the
/// highest.
fn carried(slices: &Slices, rotations: &[usize], kept: Kept, open: bool) -> Option<f64> {
    let of = rotations.iter().filter_map(|&at| *slices.get(at)?);
    let of: Vec<Slice> = of.collect();
    let trials: Vec<Trial> = of.iter().map(|slice| slice.trial).collect();
    match crossing(&trials, kept) {
        Crossing::Above(highest) if open => {
            let near = of.iter().filter(|s| s.trial.rate >= highest * NEAR_MOST);
            report::stats::middle(near.map(|s| s.answered_rps))
        }
        Crossing::At(rate) | Crossing::Above(rate) | Crossing::Below(rate) => Some(rate),
        Crossing::Unknown => None,
    }
}

/// The estimate with the ends of nine in ten of the draws.
fn interval(expected: f64, mut draws: Vec<f64>) -> Option<Estimate> {
    draws.sort_by(f64::total_cmp);
    let last = draws.len().checked_sub(1)?;
    let at = |share: f64| draws[((last as f64) * share).round() as usize];
    Some(Estimate {
        low: at(TAIL).min(expected),
        expected,
        high: at(1.0 - TAIL).max(expected),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Kept = Kept {
        p99_us: 10_000.0,
        errors_share: 0.001,
    };

    /// Slices of a server that carries `rps`, each spoilt by the moment of its rotation.
    fn slices(rps: f64, moments: &[f64]) -> Slices {
        let slice = |(n, moment): (usize, &f64)| {
            let rate = rps * AROUND[n % AROUND.len()];
            let trial = Trial {
                rate,
                p99_us: Some(10_000.0 * (rate / rps).powi(8) * moment),
                errors_share: 0.0,
            };
            Some(Slice {
                trial,
                answered_rps: rate,
            })
        };
        moments.iter().enumerate().map(slice).collect()
    }

    #[test]
    fn what_meets_both_servers_does_not_blur_their_difference() {
        let mut random = SplitMix64::new(9);
        let moments: Vec<f64> = (0..24).map(|_| 0.5 + random.uniform()).collect();
        let both = [slices(1_000.0, &moments), slices(900.0, &moments)];
        let found = judged(
            &both,
            &[Vec::new(), Vec::new()],
            vec![String::new(); 2],
            KEPT,
        );
        let first = found[0].rps.expect("measured");
        assert!((first.expected / 1_000.0 - 1.0).abs() < 0.06, "{first:?}");
        assert!(
            first.low < first.expected && first.expected < first.high,
            "{first:?}"
        );
        let share = found[1].of_first.expect("a pair");
        assert!((share.expected - 0.9).abs() < 1e-6, "{share:?}");
        assert!(share.high - share.low < 1e-6, "{share:?}");
        assert_eq!(found[0].of_first, None);
        // The same slices of clients, each of whom sends twice a second.
        let served = vec![(100.0, 200.0), (2_000.0, 4_000.0)];
        let served = [served.clone(), served];
        let of_clients = judged(&both, &served, vec![String::new(); 2], KEPT);
        let second = of_clients[0].rps.expect("measured");
        assert!((second.expected / first.expected - 2.0).abs() < 1e-6);
    }

    #[test]
    fn where_the_objective_is_never_missed_a_server_carries_what_it_answers() {
        let mut random = SplitMix64::new(3);
        let slice = |n: usize| {
            let rate = 1_020.0_f64.min(1_000.0 * AROUND[n % AROUND.len()]);
            Some(Slice {
                trial: Trial {
                    rate,
                    p99_us: Some(3_000.0),
                    errors_share: 0.0,
                },
                // A moment is as much as 5 % slower or faster.
                answered_rps: rate.min(950.0 + 100.0 * random.uniform()),
            })
        };
        let slices: Slices = (0..24).map(slice).collect();
        let found = judged(&[slices], &[Vec::new()], vec![String::new()], KEPT);
        let rps = found[0].rps.expect("measured");
        assert!((950.0..1_020.0).contains(&rps.expected), "{rps:?}");
        assert!(rps.high - rps.low > 5.0, "{rps:?}");
    }

    #[test]
    fn too_few_slices_and_a_server_that_failed_have_no_figure() {
        let few = [slices(1_000.0, &[1.0; 3]), slices(900.0, &[1.0; 12])];
        let whys = vec![String::new(), "it broke".into()];
        let found = judged(&few, &[Vec::new(), Vec::new()], whys, KEPT);
        assert!(
            found[0].rps.is_none() && found[0].why.contains("all but 3"),
            "{found:?}"
        );
        assert!(
            found[1].rps.is_none() && found[1].why == "it broke",
            "{found:?}"
        );
        assert_eq!(found[1].of_first, None);
    }
}
