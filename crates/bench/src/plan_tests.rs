use std::collections::BTreeSet;

use super::*;
use crate::catalogue::tests::catalogue;

fn plan(size: Size, seed: u64) -> Vec<Visit> {
    let contenders = catalogue().choose("all").expect("known");
    lay_out(
        size,
        &contenders,
        &scenarios("all").expect("known"),
        seed,
        1,
    )
}

fn labels(visits: &[Visit], block: u32, scenario: &str) -> Vec<String> {
    let of = |v: &&Visit| v.block == block && v.scenario.name == scenario;
    visits
        .iter()
        .filter(of)
        .map(|v| v.contender.label.clone())
        .collect()
}

#[test]
fn a_seed_gives_one_plan_and_another_seed_another() {
    assert_eq!(
        digest_of(&plan(Size::Quick, 7)),
        digest_of(&plan(Size::Quick, 7))
    );
    assert_ne!(
        digest_of(&plan(Size::Quick, 7)),
        digest_of(&plan(Size::Quick, 8))
    );
    assert_ne!(
        digest_of(&plan(Size::Quick, 7)),
        digest_of(&plan(Size::Smoke, 7))
    );
}

#[test]
fn every_block_and_scenario_holds_every_model_the_placebo_and_the_null_server() {
    let visits = plan(Size::Quick, 1);
    for block in 0..3 {
        for s in SCENARIOS {
            let mut here = labels(&visits, block, s.name);
            assert_eq!(here[0], "null");
            here.sort();
            assert_eq!(
                here,
                [
                    "iterative",
                    "null",
                    "prefork",
                    "single-reactor",
                    "single-reactor (A/A)",
                    "thread-pool"
                ]
            );
        }
    }
    let ids: BTreeSet<&str> = visits
        .iter()
        .flat_map(|v| &v.windows)
        .map(|w| w.id.as_str())
        .collect();
    assert_eq!(
        ids.len(),
        visits.iter().map(|v| v.windows.len()).sum::<usize>()
    );
}

#[test]
fn the_order_differs_across_blocks_and_the_arrivals_are_shared_within_one() {
    let visits = plan(Size::Full, 3);
    let orders: BTreeSet<Vec<String>> =
        (0..10).map(|block| labels(&visits, block, "cpu")).collect();
    assert!(orders.len() > 5, "{orders:?}");
    for block in 0..10 {
        for s in SCENARIOS {
            let seeds: BTreeSet<u64> = visits
                .iter()
                .filter(|v| v.block == block && v.scenario.name == s.name)
                .map(|v| v.seed)
                .collect();
            assert_eq!(seeds.len(), 1);
        }
    }
}

#[test]
fn the_placebo_is_a_model_that_can_do_the_scenario() {
    let only = catalogue()
        .choose("iterative,prefork:flock")
        .expect("known");
    let visits = lay_out(Size::Smoke, &only, &scenarios("all").expect("known"), 1, 1);
    assert!(labels(&visits, 0, "cpu").contains(&"prefork:flock (A/A)".to_owned()));
    assert!(labels(&visits, 0, "churn").contains(&"iterative (A/A)".to_owned()));
    assert!(
        visits
            .iter()
            .all(|v| v.contender.role == Role::Model || v.blocked.is_none())
    );
}

#[test]
fn unknown_scenarios_are_named() {
    let error = scenarios("cpu,tiny").expect_err("unknown");
    assert!(
        error
            .to_string()
            .starts_with("unknown scenario 'tiny': tiny-keepalive,")
    );
    assert_eq!(scenarios("latency,cpu").expect("known").len(), 2);
}
