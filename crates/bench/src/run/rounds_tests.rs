use std::collections::BTreeMap;

use report::data::Mode;
use report::settled::{Row, Said};

use super::*;
use crate::plan::catalogue::tests::catalogue;
use crate::plan::layout::{Spec, lay_out};
use crate::plan::passes::{Passes, scenarios};

const HOW: Sequential = Sequential {
    until_percent: 3.0,
    rotations_max: 120,
    minutes: None,
};

fn visits(models: &str, named: &str) -> Vec<Visit> {
    lay_out(&Spec {
        size: Size::Quick,
        contenders: &catalogue().choose(models).expect("known"),
        scenarios: &scenarios(named).expect("known"),
        passes: &Passes::parse("measure").expect("known"),
        seed: 1,
        server_cpus: 1,
        idle: 10_000,
        rates: const { &BTreeMap::new() },
        rounds: Some(Rounds::count(HOW)),
    })
}

fn labels(group: &[&Visit]) -> Vec<String> {
    let labels = group.iter().map(|visit| visit.contender.label.clone());
    labels.collect()
}

fn look(said: &[(&str, Said)], measures: &[&str]) -> Column {
    let row = |&(label, said): &(&str, Said)| Row {
        label: label.to_owned(),
        said,
        factor: String::new(),
    };
    Column {
        scenario: "cpu".to_owned(),
        figure: "throughput, closed loop".to_owned(),
        load: (Mode::Closed, None),
        rows: said.iter().map(row).collect(),
        measures: measures.iter().map(|&label| label.to_owned()).collect(),
    }
}

#[test]
fn every_round_has_the_scenarios_in_slices_and_the_rest_is_measured_once() {
    let visits = visits("prefork,single-reactor", "cpu,churn,overload");
    let (rounds, rest) = Rounds::of(HOW, &visits);
    assert!(!rounds.is_empty());
    let scenarios: Vec<Vec<&str>> = rounds
        .groups()
        .map(|(_, groups)| groups.iter().map(|group| group[0].scenario.name).collect())
        .collect();
    assert_eq!(scenarios.len(), 11, "120 rotations");
    assert!(
        scenarios.iter().all(|names| *names == ["churn", "cpu"]),
        "{scenarios:?}"
    );
    assert!(rest.iter().all(|visit| visit.scenario.name == "overload"));
    assert!(
        rest.iter().any(|visit| visit.block == 2),
        "as many blocks as the size has"
    );
    assert!(rounds.first_look(Size::Quick) > Duration::from_secs(10));
    // What a model cannot do has its line once.
    let visits = self::visits("iterative", "tiny-keepalive");
    let (_, rest) = Rounds::of(HOW, &visits);
    let blocked = rest.iter().filter(|visit| visit.blocked.is_some());
    assert_eq!(blocked.count(), 1);
}

#[test]
fn what_is_settled_is_left_out_and_what_it_is_judged_by_stays() {
    let visits = visits("prefork,single-reactor,iterative", "cpu");
    let (rounds, _) = Rounds::of(HOW, &visits);
    let (_, groups) = rounds.groups().next().expect("a round");
    let all = Rounds::wanted(&groups[0], None).expect("all");
    assert_eq!(all.len(), groups[0].len());
    let placebo = labels(&all).into_iter().find(|label| label.contains("A/A"));
    let placebo = placebo.expect("a placebo");
    let measures = ["single-reactor", placebo.as_str()];
    let open = look(
        &[("prefork", Said::Open), ("single-reactor", Said::Best)],
        &measures,
    );
    let mut wanted = labels(&Rounds::wanted(&groups[0], Some(&open)).expect("one is open"));
    wanted.sort();
    assert_eq!(wanted, ["null", "prefork", "single-reactor", &placebo]);
    let settled = look(
        &[("prefork", Said::Behind), ("single-reactor", Said::Best)],
        &measures,
    );
    assert!(Rounds::wanted(&groups[0], Some(&settled)).is_none());
    // After the first look the load that decides is measured, and no other.
    let group = Group(all);
    let windows = group.windows().len();
    assert!(windows > 1);
    assert_eq!(rounds.due(0, &group, None, &[]).len(), 6 * windows);
    let due = rounds.due(2, &group, Some(&open), &[]);
    assert_eq!(due.len(), 6);
    assert!(
        due.iter()
            .all(|number| (*number as usize).is_multiple_of(windows)),
        "{due:?}"
    );
}

#[test]
fn a_budget_leaves_time_for_the_rest() {
    let minutes = |minutes| Sequential { minutes, ..HOW };
    let s = Duration::from_secs;
    let endless = Budget::of(minutes(None), 1e6, s(1_000_000));
    assert!(endless.has(s(1_000_000)));
    let ten = Budget::of(minutes(Some(10.0)), 120.0, s(60));
    assert!(ten.has(s(400)) && !ten.has(s(421)));
    let over = Budget::of(minutes(Some(1.0)), 120.0, s(0));
    assert!(!over.has(s(1)));
}
