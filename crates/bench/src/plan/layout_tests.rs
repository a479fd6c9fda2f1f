use std::collections::BTreeSet;

use report::data::Role;

use super::*;
use crate::plan::catalogue::tests::catalogue;
use crate::plan::passes::{Passes, scenarios};
use crate::plan::request::digest_of;
use crate::plan::scenarios::SCENARIOS;
use crate::plan::target::Target;

fn spec<'a>(
    size: Size,
    seed: u64,
    contenders: &'a [Contender],
    scenarios: &'a [&'static Scenario],
    passes: &'a Passes,
) -> Spec<'a> {
    Spec {
        size,
        contenders,
        scenarios,
        passes,
        seed,
        server_cpus: 1,
        idle: 10_000,
        rates: const { &BTreeMap::new() },
        rounds: None,
    }
}

fn lay(size: Size, seed: u64, models: &str, passes: &str) -> Vec<Visit> {
    let contenders = catalogue().choose(models).expect("known");
    let passes = Passes::parse(passes).expect("known");
    let scenarios = scenarios("all").expect("known");
    lay_out(&spec(size, seed, &contenders, &scenarios, &passes))
}

fn plan(size: Size, seed: u64) -> Vec<Visit> {
    lay(size, seed, "all", "all")
}

fn labels(visits: &[Visit], block: u32, scenario: &str) -> Vec<String> {
    let of =
        |v: &&Visit| v.block == block && v.scenario.name == scenario && v.pass == Pass::Measure;
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
                .filter(|v| v.pass == Pass::Measure)
                .map(|v| v.seed)
                .collect();
            assert_eq!(seeds.len(), 1);
        }
    }
}

#[test]
fn the_placebo_is_a_model_that_can_do_the_scenario() {
    let visits = lay(Size::Smoke, 1, "iterative,prefork:flock", "measure");
    assert!(labels(&visits, 0, "cpu").contains(&"prefork:flock (A/A)".to_owned()));
    assert!(labels(&visits, 0, "churn").contains(&"iterative (A/A)".to_owned()));
    assert!(
        visits
            .iter()
            .all(|v| v.contender.role == Role::Model || v.blocked.is_none())
    );
}

fn of_pass(visits: &[Visit], pass: Pass) -> Vec<&Visit> {
    visits.iter().filter(|v| v.pass == pass).collect()
}

#[test]
fn passes_without_speed_follow_what_they_belong_to() {
    let visits = plan(Size::Quick, 1);
    let capacity = of_pass(&visits, Pass::Capacity);
    let names: BTreeSet<&str> = capacity.iter().map(|v| v.scenario.name).collect();
    assert_eq!(names, BTreeSet::from(["bimodal", "tiny-keepalive"]));
    assert!(
        capacity
            .iter()
            .all(|v| v.block == 0 && v.windows.len() == 1)
    );
    assert_eq!(of_pass(&visits, Pass::Memory).len(), 4);
    assert_eq!(of_pass(&visits, Pass::SystemCalls).len(), 4);
    // The search begins where the closed loop ended, and is bounded by the null server.
    let bimodal = |v: &&Visit| v.block == 0 && v.scenario.name == "bimodal";
    let order: Vec<Pass> = visits.iter().filter(bimodal).map(|v| v.pass).collect();
    assert_eq!(
        order,
        [[Pass::Measure; 6].as_slice(), &[Pass::Capacity; 4]].concat()
    );
    assert!(of_pass(&plan(Size::Smoke, 1), Pass::Capacity).is_empty());
    assert!(of_pass(&lay(Size::Quick, 1, "all", "measure"), Pass::Memory).is_empty());
}

#[test]
fn full_searches_the_capacity_of_every_key_scenario_in_three_blocks() {
    let visits = plan(Size::Full, 1);
    let capacity = of_pass(&visits, Pass::Capacity);
    for s in SCENARIOS.iter().filter(|s| s.key) {
        let here = capacity.iter().filter(|v| v.scenario.name == s.name);
        let blocks: BTreeSet<u32> = here.clone().map(|v| v.block).collect();
        assert_eq!(blocks, BTreeSet::from([0, 1, 2]), "{}", s.name);
        // The idle connections are there in the search, too.
        assert!(here.clone().all(|v| (v.idle > 0) == s.idle), "{}", s.name);
    }
    // Quick has no time to fill ten thousand connections at every step.
    let quick = plan(Size::Quick, 1);
    let quick = of_pass(&quick, Pass::Capacity);
    assert!(quick.iter().all(|v| !v.scenario.idle));
}

#[test]
fn overload_is_three_steps_and_the_same_for_all() {
    let visits = plan(Size::Quick, 1);
    let overload = visits.iter().filter(|v| v.scenario.name == "overload");
    for visit in overload {
        let steps: Vec<(&str, f64)> = visit.windows[0]
            .steps
            .iter()
            .map(|s| (s.name, s.rate))
            .collect();
        let expected = [("half", 2_250.0), ("twice", 9_000.0), ("recovery", 2_250.0)];
        assert_eq!(steps, expected);
        assert_eq!(visit.windows[0].rate, Some(9_000.0));
    }
}

#[test]
fn full_has_a_row_for_the_default_size_of_a_pool_that_was_resized() {
    let of = |size| {
        let visits = plan(size, 1);
        let own = visits.iter().filter(|v| v.contender.default_pool);
        own.map(|v| (v.contender.label.clone(), v.scenario.name, v.workers))
            .collect::<BTreeSet<_>>()
    };
    assert!(of(Size::Quick).is_empty());
    let full = of(Size::Full);
    let row = ("prefork (default pool)".to_owned(), "blocking", None);
    assert!(full.contains(&row), "{full:?}");
    assert!(
        full.iter()
            .all(|(label, _, _)| !label.starts_with("single-reactor"))
    );
}

#[test]
fn idle_connections_are_beside_one_scenario_only() {
    for visit in plan(Size::Quick, 1) {
        assert_eq!(visit.idle > 0, visit.scenario.name == "idle-many");
        let process_each = visit.contender.model == "prefork" && visit.pass == Pass::Measure;
        if process_each && visit.idle > 0 {
            assert!(visit.blocked.is_some(), "{visit:?}");
        }
    }
}

#[test]
fn a_target_is_in_every_block_and_where_counters_are_needed_with_its_process_only() {
    let url = "http://127.0.0.1:9";
    let known = format!("known={url},pid={}", std::process::id());
    let targets = Target::parse_all(&[format!("unknown={url}"), known]).expect("good");
    let contenders: Vec<Contender> = targets.iter().map(Contender::target).collect();
    let (passes, chosen) = (
        Passes::parse("all").expect("known"),
        scenarios("tiny-keepalive").expect("known"),
    );
    let visits = lay_out(&spec(Size::Quick, 1, &contenders, &chosen, &passes));
    let mut here = labels(&visits, 2, "tiny-keepalive");
    here.sort();
    assert_eq!(here, ["known", "null", "unknown", "unknown (A/A)"]);
    let rows = |pass| {
        let visits = of_pass(&visits, pass);
        visits
            .iter()
            .map(|v| v.contender.label.clone())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(rows(Pass::Memory), BTreeSet::from(["known".to_owned()]));
    assert_eq!(
        rows(Pass::SystemCalls),
        BTreeSet::from(["known".to_owned()])
    );
    assert_eq!(rows(Pass::Capacity).len(), 2);
}
