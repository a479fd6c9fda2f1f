//! Stopping early does not make the rule wrong more often: sessions that look again and again, simulated
//! from the noise of recorded runs and from noise in which each rotation resembles the one before.

use std::path::Path;

use report::stats::Verdict;
use report::stats::sequential::{self, Bounds, Schedule};
use schema::random::SplitMix64;

#[allow(dead_code)] // The other tests of the rule use the rest.
mod simulated;

use simulated::{Noise, Tally};

/// The promise of a session of slices: two minutes and more of rotations.
const PAIRS_MAX: usize = 150;
const SLICE_S: f64 = 0.3;
const ALPHA: f64 = 0.05;
/// As the bench judges: a difference within 3 % changes nobody's choice.
const BOUNDS: Bounds = Bounds {
    least: 0.01,
    zone: 0.03,
    within: 0.03,
};

/// What a session says of `logs`, and how many pairs it looked at.
fn session(logs: &[f64], bounds: Bounds) -> (Verdict, usize) {
    let schedule = Schedule::new(logs.len(), ALPHA);
    for (pairs, alpha) in schedule.looks() {
        let told = sequential::judge(&logs[..pairs], alpha, bounds);
        let verdict = told.map_or(Verdict::TooClose, |each| each.verdict);
        if verdict != Verdict::TooClose {
            return (verdict, pairs);
        }
    }
    (Verdict::TooClose, logs.len())
}

fn is_difference(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

fn recorded() -> Vec<Noise> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["tests/recorded", "tests/noise"]
        .iter()
        .flat_map(|run| simulated::noise(&here.join(run)).expect("a recorded run"))
        .collect()
}

fn count(
    columns: &[&Noise],
    (sessions, factor, carried): (u32, f64, f64),
    wanted: impl Fn(Verdict) -> bool,
) -> Tally {
    let mut tally = Tally::default();
    for (seed, noise) in (0_u64..).zip(columns) {
        let mut random = SplitMix64::new(seed);
        for _ in 0..sessions {
            let logs = noise.pairs((PAIRS_MAX, SLICE_S), factor, carried, &mut random);
            tally.asked += 1;
            tally.declared += u32::from(wanted(session(&logs, BOUNDS).0));
        }
    }
    tally
}

#[test]
fn equal_servers_are_told_apart_in_less_than_one_column_in_twenty() {
    let all = recorded();
    let columns: Vec<&Noise> = all.iter().collect();
    assert!(columns.len() > 40, "{} columns", columns.len());
    for carried in [0.0, 0.5] {
        let tally = count(&columns, (20, 1.0, carried), is_difference);
        println!("A/A, {carried} carried over: {tally:?}");
        assert!(
            tally.asked > 800 && tally.share() <= 0.05,
            "{carried}: {tally:?}"
        );
    }
}

/// Without a least difference to hide behind, so that nothing but the spending of alpha holds the rate.
#[test]
fn looking_again_and_again_does_not_add_to_the_error() {
    let strict = Bounds {
        least: 0.0,
        zone: 0.0,
        within: 0.0,
    };
    let mut random = SplitMix64::new(3);
    let mut wrong = [0_u32; 3];
    const SESSIONS: u32 = 400;
    for _ in 0..SESSIONS {
        for (place, carried) in [0.0, 0.2, 0.4].into_iter().enumerate() {
            let mut last = 0.0;
            let logs: Vec<f64> = (0..PAIRS_MAX)
                .map(|_| {
                    // Six uniform numbers make a fair bell.
                    let fresh: f64 = (0..6).map(|_| random.uniform() - 0.5).sum();
                    last = carried * last + fresh * 0.05;
                    last
                })
                .collect();
            wrong[place] += u32::from(is_difference(session(&logs, strict).0));
        }
    }
    println!("of {SESSIONS} sessions of equal servers: {wrong:?} wrong");
    // One look at 95 % after the other would be wrong in about a quarter of them.
    for wrong in wrong {
        assert!(f64::from(wrong) / f64::from(SESSIONS) <= 0.05, "{wrong}");
    }
}

#[test]
fn a_server_five_percent_slower_is_found_where_a_rotation_varies_by_less_than_a_tenth() {
    let all = recorded();
    let scale = |noise: &Noise| {
        noise.deviation() * std::f64::consts::SQRT_2 * (noise.window_s / SLICE_S).sqrt()
    };
    let calm: Vec<&Noise> = all.iter().filter(|noise| scale(noise) < 0.1).collect();
    assert!(calm.len() >= 10, "{} calm columns", calm.len());
    for noise in &calm {
        let tally = count(&[noise], (30, 1.05, 0.0), |verdict| {
            verdict == Verdict::Slower
        });
        println!(
            "{} {}, a pair varies by {:.1} %: {tally:?}",
            noise.scenario,
            noise.figure,
            scale(noise) * 100.0
        );
        assert!(tally.share() >= 0.9, "{} {}", noise.scenario, noise.figure);
    }
    let opposite = count(&calm, (10, 1.05, 0.0), |verdict| verdict == Verdict::Faster);
    assert_eq!(opposite.declared, 0);
}

#[test]
fn three_percent_are_told_from_nothing_by_compare_live() {
    // A pair varies by 5 %, as CPU per request did in slices of 0.3 s beside other work.
    let bounds = Bounds {
        least: 0.005,
        zone: 0.01,
        within: f64::ln(1.03),
    };
    let mut random = SplitMix64::new(11);
    let mut drawn = |factor: f64| -> Vec<f64> {
        let mut next = || {
            let bell: f64 = (0..6).map(|_| random.uniform() - 0.5).sum();
            f64::ln(factor) + bell * 0.05 * std::f64::consts::SQRT_2
        };
        (0..PAIRS_MAX).map(|_| next()).collect()
    };
    let (mut found, mut equal, mut pairs) = (0, 0, 0);
    for _ in 0..100 {
        let (verdict, after) = session(&drawn(1.03), bounds);
        found += u32::from(verdict == Verdict::Slower);
        pairs += after;
        equal += u32::from(!is_difference(session(&drawn(1.0), bounds).0));
    }
    println!("3 %: {found} of 100 found after {pairs} pairs in all; equal: {equal} of 100");
    assert!(found >= 90 && equal >= 95, "{found} {equal}");
}
