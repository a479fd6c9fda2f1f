//! Every routine against published or hand-computed values.

use std::collections::BTreeMap;

use super::*;

/// Hamilton depression scale, differences of nine patients: Hollander and Wolfe, table 3.1.
const DEPRESSION: [f64; 9] = [
    -0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010,
];

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn median_of_odd_even_and_infinite() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[1.0, 5.0, 9.0]), Some(5.0));
    assert_eq!(median(&[1.0, 5.0, 6.0, 9.0]), Some(5.5));
    assert_eq!(
        median(&[1.0, f64::INFINITY, f64::INFINITY]),
        Some(f64::INFINITY)
    );
    assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
}

#[test]
fn median_ranks_agree_with_the_sign_test_table() {
    // n and the rank of the lower limit at 95 %: Hahn and Meeker, table A.15 (two-sided).
    let table = [
        (5, None),
        (6, Some(1)),
        (8, Some(1)),
        (9, Some(2)),
        (10, Some(2)),
        (12, Some(3)),
        (15, Some(4)),
        (20, Some(6)),
        (25, Some(8)),
        (30, Some(10)),
        (50, Some(18)),
    ];
    for (n, rank) in table {
        assert_eq!(median_rank(n, 0.95), rank, "n = {n}");
    }
}

#[test]
fn median_interval_takes_the_order_statistics() {
    let values: Vec<f64> = (1..=10).map(f64::from).collect();
    assert_eq!(median_interval(&values, 0.95), Some((2.0, 9.0)));
}

#[test]
fn hodges_lehmann_agrees_with_the_textbook() {
    assert!(near(
        hodges_lehmann(&DEPRESSION).expect("nine values"),
        -0.46
    ));
    // By hand: 1, 2, 6 have the Walsh averages 1, 1.5, 2, 3.5, 4, 6.
    assert_eq!(hodges_lehmann(&[6.0, 1.0, 2.0]), Some(2.75));
}

#[test]
fn wilcoxon_critical_values_agree_with_the_table() {
    // Two-sided 5 %: Conover, table A12; Hollander and Wolfe, table A.4.
    let table = [
        (5, None),
        (6, Some(0)),
        (7, Some(2)),
        (8, Some(3)),
        (9, Some(5)),
        (10, Some(8)),
        (11, Some(10)),
        (12, Some(13)),
        (13, Some(17)),
        (14, Some(21)),
        (15, Some(25)),
        (20, Some(52)),
        (25, Some(89)),
        (30, Some(137)),
    ];
    for (n, critical) in table {
        assert_eq!(wilcoxon_critical(n, 0.95), critical, "n = {n}");
    }
}

#[test]
fn wilcoxon_interval_agrees_with_the_textbook() {
    // Hollander and Wolfe, example 3.4: 96.1 % interval (-0.786, -0.010).
    let (low, high) = wilcoxon_interval(&DEPRESSION, 0.95).expect("nine values are enough");
    assert!(near(low, -0.786) && near(high, -0.010), "{low} {high}");
    assert_eq!(wilcoxon_interval(&DEPRESSION[..5], 0.95), None);
}

#[test]
fn percentile_95_is_a_nearest_rank() {
    assert_eq!(percentile_95(&[]), None);
    assert_eq!(percentile_95(&[3.0, 1.0, 2.0]), Some(3.0));
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!(percentile_95(&hundred), Some(95.0));
}

#[test]
fn rarer_wilcoxon_critical_values_agree_with_the_table() {
    // Two-sided 1 %: Wilcoxon and Wilcox (1964), table 2.
    let table = [
        (7, None),
        (8, Some(0)),
        (9, Some(1)),
        (10, Some(3)),
        (12, Some(7)),
        (15, Some(15)),
        (20, Some(37)),
        (25, Some(68)),
    ];
    for (n, critical) in table {
        assert_eq!(wilcoxon_critical(n, 0.99), critical, "n = {n}");
    }
}

#[test]
fn mann_whitney_critical_values_agree_with_the_table() {
    // Two-sided 5 %: Siegel, Nonparametric Statistics, table K; Conover, table A7.
    let table = [
        (3, 3, None),
        (3, 5, Some(0)),
        (4, 4, Some(0)),
        (5, 5, Some(2)),
        (5, 10, Some(8)),
        (6, 6, Some(5)),
        (7, 7, Some(8)),
        (8, 8, Some(13)),
        (9, 9, Some(17)),
        (9, 10, Some(20)),
        (10, 10, Some(23)),
        (12, 15, Some(49)),
        (15, 15, Some(64)),
        (20, 20, Some(127)),
    ];
    for (m, n, critical) in table {
        assert_eq!(mann_whitney_critical(m, n, 0.95), critical, "{m}, {n}");
        assert_eq!(mann_whitney_critical(n, m, 0.95), critical, "{n}, {m}");
    }
}

/// Permeability of human chorioamnion at term and at 12 to 26 weeks: Hollander and Wolfe, table 4.1.
const AT_TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
const EARLIER: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

#[test]
fn the_shift_and_its_interval_agree_with_the_textbook() {
    // Hollander and Wolfe, examples 4.3 and 4.4 (there with the opposite sign): 0.305 and, at 96 %,
    // (-0.15, 0.76).
    let estimate = shift(&AT_TERM, &EARLIER).expect("both hold values");
    assert!(near(estimate, 0.305), "{estimate}");
    let (low, high) = shift_interval(&AT_TERM, &EARLIER, 0.95).expect("enough values");
    assert!(near(low, -0.15) && near(high, 0.76), "{low} {high}");
    assert_eq!(shift_interval(&AT_TERM[..3], &EARLIER[..3], 0.95), None);
}

#[test]
fn the_zone_is_three_percent_or_the_noise() {
    for evidence in [Evidence::Ranges, Evidence::Intervals] {
        assert!(near(zone(&[], evidence), 1.03_f64.ln()));
        assert!(near(zone(&[0.01, -0.02], evidence), 1.03_f64.ln()));
    }
    assert!(near(zone(&[0.01, -0.2], Evidence::Ranges), 0.2));
}

#[test]
fn with_intervals_the_noise_is_that_of_an_estimate_and_not_of_a_block() {
    // By hand: ±0.3 in each of three blocks. The estimates of the four exchanges (mirrored ones
    // left out) are 0.3 once and 0.15 three times (Walsh averages 0.3 0.3 0.3 0 0 -0.3).
    let estimates = [0.3, 0.15, 0.15, 0.15];
    let noise = |logs: &[f64], evidence| Noise::of(logs, evidence).of_estimates;
    let noise_3 = noise(&[0.3, -0.3, 0.3], Evidence::Intervals);
    assert!(near(noise_3, percentile_95(&estimates).expect("four")));
    // Whether names were exchanged in some blocks makes no difference.
    let logs = [
        0.02, -0.05, 0.04, 0.01, -0.03, 0.06, -0.01, 0.02, 0.03, -0.04,
    ];
    let exchanged = logs.map(f64::abs);
    let of = |logs: &[f64]| noise(logs, Evidence::Intervals);
    assert!(near(of(&logs), of(&exchanged)));
    assert!(of(&logs) < noise(&logs, Evidence::Ranges) / 1.5);
    // Beyond the exact range a sample stands in; ten blocks and eleven hardly differ.
    let eleven: Vec<f64> = logs.iter().chain(&logs[..1]).copied().collect();
    let ratio = of(&logs) / of(&eleven);
    assert!((ratio - 1.0).abs() < 0.3, "{ratio}");
}

#[test]
fn the_zone_between_sessions_is_that_of_either_at_least() {
    let logs = [
        0.08, -0.2, 0.16, 0.04, -0.12, 0.24, -0.04, 0.08, 0.12, -0.16,
    ];
    let noise = Noise::of(&logs, Evidence::Intervals);
    assert!(noise.zone() > floor());
    // It grows with both and with a control.
    let both = zone_of_sessions(&[noise; 2], 0.0);
    assert!(near(both, noise.zone() * 2f64.sqrt()));
    assert!(zone_of_sessions(&[noise; 2], 0.3) > 0.3);
    assert!(near(zone_of_sessions(&[], 0.0), floor()));
}

#[test]
fn sessions_are_told_apart_only_beyond_the_zone() {
    let base: Vec<f64> = (0..10).map(|i| 0.01 * f64::from(i % 5)).collect();
    let moved = |by: f64| -> Vec<f64> { base.iter().map(|each| each + by).collect() };
    let verdict = |one: &[f64], other: &[f64], evidence| {
        compare_sessions(one, other, zone(&[], evidence), evidence).map(|each| each.verdict)
    };
    let ten = |by| verdict(&moved(by), &base, Evidence::Intervals);
    assert_eq!(ten(0.1), Some(Verdict::Slower));
    assert_eq!(ten(-0.1), Some(Verdict::Faster));
    assert_eq!(ten(0.0), Some(Verdict::Equivalent));
    assert_eq!(ten(0.03), Some(Verdict::TooClose));
    let three = |by| verdict(&moved(by)[..3], &base[..3], Evidence::Ranges);
    assert_eq!(three(0.1), Some(Verdict::Slower));
    assert_eq!(three(0.04), Some(Verdict::TooClose));
    assert_eq!(three(0.0), Some(Verdict::TooClose));
    assert_eq!(verdict(&base[..1], &base[..1], Evidence::Figures), None);
}

/// Costs by block: `centre` plus a wobble that differs by block and `phase`.
fn costs(centre: f64, wobble: f64, blocks: u32, phase: u32) -> BTreeMap<u32, f64> {
    (0..blocks)
        .map(|b| {
            (
                b,
                centre + wobble * (f64::from((b * 7 + phase * 3) % 5) - 2.0),
            )
        })
        .collect()
}

#[test]
fn one_block_ranks_nothing() {
    let ranked = rank(
        &[costs(0.0, 0.0, 1, 0), costs(9.0, 0.0, 1, 0)],
        0.03,
        Evidence::of(1),
    );
    assert_eq!(ranked, [None, None]);
}

#[test]
fn three_blocks_tell_only_disjoint_ranges() {
    let zone = zone(&[], Evidence::Ranges);
    let field = [
        costs(0.0, 0.05, 3, 0),
        costs(0.1, 0.05, 3, 1),
        costs(1.0, 0.05, 3, 2),
    ];
    let tiers: Vec<_> = rank(&field, zone, Evidence::of(3))
        .iter()
        .map(|r| r.expect("ranked").tier)
        .collect();
    assert_eq!(tiers, [1, 1, 2]);
    // Disjoint, but closer than anybody cares.
    let field = [costs(0.0, 0.0, 3, 0), costs(0.01, 0.0, 3, 0)];
    let second = rank(&field, zone, Evidence::of(3))[1].expect("ranked");
    assert_eq!(
        (second.tier, second.against_best.verdict),
        (1, Verdict::TooClose)
    );
}

#[test]
fn ten_blocks_give_all_four_verdicts() {
    let zone = zone(&[], Evidence::Intervals);
    let verdict = |one: &_, other: &_| {
        compare(one, other, zone, Evidence::of(10))
            .expect("ten pairs")
            .verdict
    };
    let base = costs(0.0, 0.0, 10, 0);
    assert_eq!(verdict(&costs(0.2, 0.01, 10, 0), &base), Verdict::Slower);
    assert_eq!(verdict(&costs(-0.2, 0.01, 10, 0), &base), Verdict::Faster);
    assert_eq!(
        verdict(&costs(0.0, 0.005, 10, 0), &base),
        Verdict::Equivalent
    );
    assert_eq!(verdict(&costs(0.02, 0.05, 10, 0), &base), Verdict::TooClose);
}

#[test]
fn infinite_costs_rank_last_and_stay_numbers() {
    let never = costs(INFINITE_LOG, 0.0, 10, 0);
    let field = [never.clone(), costs(0.0, 0.01, 10, 0), never];
    let ranked = rank(&field, 0.03, Evidence::Intervals);
    let tiers: Vec<_> = ranked.iter().map(|r| r.expect("ranked").tier).collect();
    assert_eq!(tiers, [2, 1, 2]);
    assert!(
        ranked
            .iter()
            .flatten()
            .all(|r| r.against_best.log.is_finite())
    );
}
