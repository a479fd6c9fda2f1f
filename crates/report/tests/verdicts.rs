//! What a report may say and what it must never say.

mod fixture;

use std::collections::BTreeMap;

use fixture::written::{full, reported};
use report::data::{Figures, Trial, Validity};

/// The cells of the verdict matrix in figures.md, by model and scenario.
fn matrix(summary: &str) -> BTreeMap<(String, String), String> {
    let verdict = summary
        .split("## Verdict")
        .nth(1)
        .expect("a verdict")
        .split("\n## ")
        .next()
        .expect("text");
    let mut lines = verdict.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let header = cells(lines.next().expect("a header"));
    let mut matrix = BTreeMap::new();
    for line in lines.skip(1) {
        let line = cells(line);
        for (scenario, cell) in header.iter().zip(&line).skip(1) {
            matrix.insert((line[0].clone(), scenario.clone()), cell.clone());
        }
    }
    matrix
}

fn cell(files: &BTreeMap<String, String>, model: &str, scenario: &str) -> String {
    matrix(&files["figures.md"])[&(model.to_owned(), scenario.to_owned())].clone()
}

#[test]
fn limited_is_shown_and_never_ranked() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    for trial in &mut trials {
        if trial.label == "single-reactor" && trial.validity == Validity::Valid {
            trial.validity = Validity::Limited;
            trial.reasons = fixture::limited_by_the_generator("generator CPU 91 % > 85 %");
        }
    }
    let files = reported("limited", &env, &fixture::ndjson(&trials)).expect("a report");
    for scenario in [
        "tiny-keepalive",
        "churn",
        "latency",
        "blocking",
        "cooperative",
    ] {
        let cell = cell(&files, "single-reactor", scenario);
        assert!(
            cell.starts_with("LIMITED") && !cell.contains('#'),
            "{scenario}: {cell}"
        );
    }
    assert!(files["overview.svg"].contains("class=\"hatch\""));
    assert!(files["index.html"].contains("class=\"limited\">"));
}

#[test]
fn a_limited_leader_moves_the_verdict_to_cpu() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    let (before, after) = (
        "cpu (throughput, closed loop)",
        "cpu (server CPU per request, at 5,000/s)",
    );
    let summary =
        &reported("led", &env, &fixture::ndjson(&trials)).expect("a report")["figures.md"];
    assert!(summary.contains(before) && !summary.contains(after));
    let closed = |trial: &&mut Trial| trial.scenario == "cpu" && trial.shape.rate.is_none();
    for trial in trials
        .iter_mut()
        .filter(closed)
        .filter(|trial| trial.label == "single-reactor")
    {
        trial.validity = Validity::Limited;
    }
    let summary =
        &reported("led", &env, &fixture::ndjson(&trials)).expect("a report")["figures.md"];
    assert!(summary.contains(after) && !summary.contains(before));
}

#[test]
fn invalid_is_named_and_never_drawn() {
    let files = full();
    let marker = ["987,654", "987654", "988k"];
    for (name, text) in files {
        assert!(
            !marker.iter().any(|each| text.contains(each)),
            "{name} shows an excluded figure"
        );
    }
    for name in ["figures.md", "index.html"] {
        assert!(
            files[name].contains("steal 3.1 %"),
            "{name} names the reason"
        );
    }
    assert_eq!(cell(files, "leader-follower", "churn"), "excluded");
}

#[test]
fn blocking_by_design_is_grey_with_its_reason() {
    let files = full();
    assert_eq!(
        cell(files, "iterative", "tiny-keepalive"),
        "blocks by design"
    );
    assert!(files["overview.svg"].contains("class=\"blocks\""));
    assert!(files["index.html"].contains("class=\"blocks\"><a href"));
    assert!(files["index.html"].contains("63 of 64 would wait for ever"));
}

#[test]
fn the_overloaded_come_last_however_cheap() {
    let files = full();
    assert!(cell(files, "single-reactor", "blocking").starts_with("overloaded"));
    assert!(cell(files, "prefork", "blocking").contains("#1"));
}

#[test]
fn one_block_ranks_nothing_and_three_know_no_equivalence() {
    let (env, trials) = fixture::run("smoke", 1, 3);
    let smoke = reported("one", &env, &fixture::ndjson(&trials)).expect("a report");
    assert!(
        matrix(&smoke["figures.md"])
            .values()
            .all(|cell| !cell.contains('#'))
    );
    assert!(!smoke["index.html"].contains("class=\"tier1"));
    let (env, trials) = fixture::run("quick", 3, 3);
    let quick = reported("three", &env, &fixture::ndjson(&trials)).expect("a report");
    let cells = matrix(&quick["figures.md"]);
    assert!(cells.values().any(|cell| cell.contains("#2")));
    assert!(cells.values().all(|cell| !cell.ends_with('=')));
}

#[test]
fn a_difference_in_a_a_is_said_at_the_top() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    assert!(!full()["figures.md"].contains("A/A shows a difference"));
    let cpu = |figures: &mut Figures| {
        if let Some(cpu) = &mut figures.server_cpu_us_per_request {
            *cpu *= 1.2;
        }
    };
    let copies = trials
        .iter_mut()
        .filter(|trial| trial.label.ends_with("(A/A)"));
    copies
        .filter_map(|trial| trial.figures.as_mut())
        .for_each(cpu);
    let files = reported("placebo", &env, &fixture::ndjson(&trials)).expect("a report");
    let top = files["figures.md"]
        .split("## Verdict")
        .next()
        .expect("a top");
    assert!(
        top.contains("A/A shows a difference in tiny-keepalive"),
        "{top}"
    );
}

#[test]
fn where_a_bound_leads_nothing_is_called_the_best() {
    let page = &full()["index.html"];
    let after = page
        .split("<summary>Closed-loop throughput")
        .nth(1)
        .expect("a throughput matrix");
    let matrix = after.split("</details>").next().expect("the end of it");
    let class = |cell: &str| {
        let found = matrix.split("<td ").find(|each| each.contains(cell));
        let found = found.unwrap_or_else(|| panic!("{cell}"));
        found.split("><a ").next().expect("a class").to_owned()
    };
    // The others of this column are LIMITED at more than this one's VALID figure.
    assert_eq!(
        class("title=\"leader-follower, blocking: "),
        "class=\"plain\""
    );
    assert_eq!(
        class("title=\"multi-reactor, churn: "),
        "class=\"tier1 best\""
    );
}
