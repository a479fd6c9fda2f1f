//! `turnstile compare`: what it says of two runs, and how it ends.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fixture::written::folder;
use report::compare::{self, Args};
use report::data::{Env, Trial};

fn saved(name: &str, env: &Env, trials: &[Trial]) -> PathBuf {
    let dir = folder(name);
    let env = serde_json::to_string(env).expect("env is JSON");
    fs::write(dir.join("env.json"), env).expect("written");
    fs::write(dir.join("trials.ndjson"), fixture::ndjson(trials)).expect("written");
    dir
}

/// How comparing ends, and the JSON it leaves.
fn compared(before: &Path, after: &Path) -> (String, serde_json::Value) {
    let json = folder("json").join("compare.json");
    let args = Args {
        before: before.to_owned(),
        after: after.to_owned(),
        all: false,
        json: Some(json.clone()),
    };
    let code = format!("{:?}", compare::main(&args));
    let text = fs::read_to_string(json).unwrap_or_else(|_| "null".into());
    (code, serde_json::from_str(&text).expect("JSON"))
}

fn code(number: u8) -> String {
    format!("{:?}", ExitCode::from(number))
}

fn worse(report: &serde_json::Value) -> Vec<(String, String, String)> {
    let lines = report["lines"].as_array().expect("lines").iter();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    lines
        .filter(|line| line["finding"] == "worse")
        .map(|line| {
            (
                text(&line["model"]),
                text(&line["scenario"]),
                text(&line["figure"]),
            )
        })
        .collect()
}

#[test]
fn two_runs_of_one_build_end_with_zero() {
    let (env, first) = fixture::run("full", 10, 1);
    let (_, second) = fixture::run("full", 10, 2);
    let (before, after) = (saved("a", &env, &first), saved("b", &env, &second));
    let (ended, report) = compared(&before, &after);
    assert_eq!((ended, worse(&report)), (code(0), Vec::new()));
    let lines = report["lines"].as_array().expect("lines");
    assert!(lines.len() > 100, "{}", lines.len());
    assert!(lines.iter().any(|line| line["finding"] == "equivalent"));
    assert_eq!(report["differences"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_costlier_server_is_a_regression_of_that_server_only() {
    for (size, blocks, factor) in [("full", 10, 1.15), ("quick", 3, 1.4)] {
        let (env, first) = fixture::run(size, blocks, 1);
        let (mut env_after, mut second) = fixture::run(size, blocks, 2);
        env_after.kernel = "6.99".into();
        for trial in second.iter_mut().filter(|trial| trial.label == "prefork") {
            for figures in trial.figures.iter_mut() {
                figures.server_cpu_us_per_request =
                    figures.server_cpu_us_per_request.map(|cpu| cpu * factor);
            }
        }
        let (before, after) = (saved("a", &env, &first), saved("b", &env_after, &second));
        let (ended, report) = compared(&before, &after);
        assert_eq!(ended, code(1), "{size}");
        let found = worse(&report);
        assert!(!found.is_empty());
        let theirs = |(model, _, figure): &(String, String, String)| {
            model == "prefork" && figure == "server CPU a request"
        };
        assert!(found.iter().all(theirs), "{size}: {found:?}");
        let named = &report["differences"][0];
        assert_eq!(
            (&named["name"], &named["after"]),
            (&"kernel".into(), &"6.99".into())
        );
        // The other way round it is an improvement, and ends with 0.
        let (ended, report) = compared(&after, &before);
        assert_eq!(
            (ended, report["better"].as_u64() > Some(0)),
            (code(0), true)
        );
    }
}

#[test]
fn what_cannot_be_decided_is_no_regression() {
    let (env, first) = fixture::run("smoke", 1, 1);
    let (_, mut second) = fixture::run("smoke", 1, 2);
    for figures in second.iter_mut().filter_map(|trial| trial.figures.as_mut()) {
        figures.server_cpu_us_per_request = Some(1e4);
    }
    let (ended, report) = compared(&saved("a", &env, &first), &saved("b", &env, &second));
    assert_eq!((ended, worse(&report)), (code(0), Vec::new()));
}

#[test]
fn unusable_folders_end_with_two() {
    let (env, trials) = fixture::run("smoke", 1, 1);
    let good = saved("good", &env, &trials);
    let broken = saved("broken", &env, &trials);
    fs::write(broken.join("trials.ndjson"), "nonsense\n").expect("written");
    let mut other = trials.clone();
    other
        .iter_mut()
        .for_each(|trial| trial.scenario = "another".into());
    let other = saved("other", &env, &other);
    for bad in [
        folder("nothing").join("missing"),
        folder("empty"),
        broken,
        other,
    ] {
        assert_eq!(compared(&good, &bad).0, code(2), "{}", bad.display());
        assert_eq!(compared(&bad, &good).0, code(2), "{}", bad.display());
    }
}
