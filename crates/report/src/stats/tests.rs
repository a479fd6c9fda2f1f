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
fn the_zone_is_three_percent_or_the_noise() {
    assert!(near(zone(&[]), 1.03_f64.ln()));
    assert!(near(zone(&[0.01, -0.02]), 1.03_f64.ln()));
    assert!(near(zone(&[0.01, -0.2]), 0.2));
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
    let zone = zone(&[]);
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
    let zone = zone(&[]);
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
