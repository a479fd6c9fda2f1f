//! `turnstile compare`: what it says of two runs, and how it ends.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fixture::written::{folder, packed};
use report::compare::{self, Args, Gate};
use report::data::{Env, Figures, Trial, Validity};
use schema::Code;

fn saved(name: &str, env: &Env, trials: &[Trial]) -> PathBuf {
    let dir = folder(name);
    let env = serde_json::to_string(env).expect("env is JSON");
    fs::write(dir.join("env.json"), env).expect("written");
    fs::write(dir.join("trials.ndjson"), fixture::ndjson(trials)).expect("written");
    dir
}

/// How comparing ends, and the JSON it leaves.
fn compared(before: &Path, after: &Path) -> (String, serde_json::Value) {
    compared_as(before, after, false)
}

fn compared_as(before: &Path, after: &Path, partial: bool) -> (String, serde_json::Value) {
    judged(before, after, partial, Gate::All)
}

fn judged(before: &Path, after: &Path, partial: bool, gate: Gate) -> (String, serde_json::Value) {
    let json = folder("json").join("compare.json");
    let args = Args {
        before: before.to_owned(),
        after: after.to_owned(),
        all: false,
        partial,
        see: compare::SEE_PERCENT,
        gate,
        json: Some(json.clone()),
    };
    let code = format!("{:?}", compare::main(&args));
    let text = fs::read_to_string(json).unwrap_or_else(|_| "null".into());
    (code, serde_json::from_str(&text).expect("JSON"))
}

fn ended_with(number: u8) -> String {
    format!("{:?}", ExitCode::from(number))
}

fn worse(report: &serde_json::Value) -> Vec<(String, String, String)> {
    found(report, "worse")
}

/// Model, scenario and figure of every line with that finding.
fn found(report: &serde_json::Value, finding: &str) -> Vec<(String, String, String)> {
    let lines = report["lines"].as_array().expect("lines").iter();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    lines
        .filter(|line| line["finding"] == finding)
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
    assert_eq!((ended, worse(&report)), (ended_with(0), Vec::new()));
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
        assert_eq!(ended, ended_with(1), "{size}");
        let found = worse(&report);
        assert!(!found.is_empty());
        let theirs = |(model, _, figure): &(String, String, String)| {
            model == "prefork" && figure == "server CPU per request"
        };
        assert!(found.iter().all(theirs), "{size}: {found:?}");
        let named = &report["differences"][0];
        assert_eq!(
            (&named["name"], &named["after"]),
            (&"kernel".into(), &"6.99".into())
        );
        // The other way round it is an improvement. In the full one a row that decides has too few trials
        // for an interval, which is no all-clear.
        let status = if size == "full" { 3 } else { 0 };
        let (ended, report) = compared(&after, &before);
        assert_eq!(
            (ended, report["better"].as_u64() > Some(0)),
            (ended_with(status), true),
            "{size}"
        );
    }
}

/// Two runs of one build, and the second with the trials of prefork changed; `None` takes them out.
fn with_prefork(edit: impl Fn(&mut Trial) -> Option<()>) -> (PathBuf, PathBuf) {
    let (env, first) = fixture::run("full", 10, 1);
    let (_, mut second) = fixture::run("full", 10, 2);
    second.retain_mut(|trial| trial.label != "prefork" || edit(trial).is_some());
    (saved("a", &env, &first), saved("b", &env, &second))
}

fn invalid(trial: &mut Trial, code: Code, text: &str) -> Option<()> {
    trial.validity = Validity::Invalid;
    trial.reasons = fixture::invalid(code, text);
    Some(())
}

#[test]
fn a_server_that_lost_its_validity_by_its_own_fault_is_a_regression() {
    // In every trial of one scenario; and in a tenth of its trials, which leaves it VALID.
    for (blocks, code, reason) in [
        (10, Code::WrongBodies, "12 replies had a wrong body"),
        (1, Code::ConnectionsLost, "3 connections were lost"),
    ] {
        let (before, after) = with_prefork(|trial| match trial.scenario.as_str() {
            "cpu" if trial.block < blocks => invalid(trial, code, reason),
            _ => Some(()),
        });
        let (ended, report) = compared(&before, &after);
        assert_eq!(ended, ended_with(1), "{reason}");
        let lost = found(&report, "lost");
        let theirs = |(model, scenario, figure): &(String, String, String)| {
            (model.as_str(), scenario.as_str(), figure.as_str()) == ("prefork", "cpu", "validity")
        };
        assert!(!lost.is_empty() && lost.iter().all(theirs), "{lost:?}");
        let text = serde_json::to_string(&report).expect("JSON");
        assert!(text.contains(reason), "the reason is named");
        // Healed is no regression. Where fewer trials are left, not every slowdown would have been seen.
        let (ended, report) = compared(&after, &before);
        assert_eq!(
            (ended, report["worse"].as_u64()),
            (ended_with(3), Some(0)),
            "{reason}"
        );
    }
}

#[test]
fn what_the_machine_spoilt_is_not_comparable_and_no_regression() {
    let late = "the generator itself was late: p99 310 µs, 100 µs allowed";
    let (before, after) = with_prefork(|trial| invalid(trial, Code::GeneratorLate, late));
    let judge = || {
        let (ended, report) = compared(&before, &after);
        // Nothing is known of it, so the comparison does not end as one that found nothing.
        assert_eq!(ended, ended_with(3));
        let spoilt = found(&report, "not_comparable");
        assert!(spoilt.iter().any(|(model, ..)| model == "prefork"));
        assert!(found(&report, "lost").is_empty() && worse(&report).is_empty());
        report
    };
    let told_by_codes = judge();
    without_codes(&after);
    assert_eq!(judge(), told_by_codes);
}

/// Makes the run in `dir` one from before reasons had codes.
fn without_codes(dir: &Path) {
    let file = dir.join("trials.ndjson");
    let text = fs::read_to_string(&file).expect("trials");
    let aged = text.lines().map(|line| {
        let mut trial: serde_json::Value = serde_json::from_str(line).expect("a trial");
        trial.as_object_mut().expect("an object").remove("findings");
        trial.to_string() + "\n"
    });
    fs::write(&file, aged.collect::<String>()).expect("written");
}

#[test]
fn a_row_that_is_not_there_any_more_is_a_regression_unless_it_was_left_out() {
    let (before, after) = with_prefork(|_| None);
    let (ended, report) = compared(&before, &after);
    assert_eq!(ended, ended_with(1));
    let lost = found(&report, "lost");
    assert!(!lost.is_empty() && lost.iter().all(|(model, ..)| model == "prefork"));
    assert_eq!(compared_as(&before, &after, true).0, ended_with(0));
    // Of a run that was interrupted nothing is known.
    let (mut env, _) = fixture::run("full", 10, 2);
    env.complete = false;
    fs::write(
        after.join("env.json"),
        serde_json::to_string(&env).expect("env is JSON"),
    )
    .expect("written");
    let (ended, report) = compared(&before, &after);
    assert_eq!(ended, ended_with(3));
    assert!(!found(&report, "not_comparable").is_empty());
    assert!(found(&report, "lost").is_empty());
}

#[test]
fn every_deciding_figure_and_the_capacity_are_compared() {
    let (env, first) = fixture::wide::run("quick", 3, 1);
    let before = saved("a", &env, &first);
    let scale = |value: &mut Option<f64>, by: f64| *value = value.map(|each| each * by);
    type Edit<'a> = &'a dyn Fn(&mut Trial);
    let figures = |edit: &dyn Fn(&mut Figures), trial: &mut Trial| {
        trial.figures.iter_mut().for_each(edit);
    };
    let edits: [(&str, &str, Edit<'_>); 4] = [
        ("latency", "p50 response", &|trial| {
            figures(&|each| scale(&mut each.response_us.p50, 1.4), trial);
        }),
        ("bimodal", "p90 response", &|trial| {
            figures(&|each| scale(&mut each.response_us.p90, 1.4), trial);
        }),
        ("overload", "goodput at twice the capacity", &|trial| {
            let halve = |each: &mut Figures| {
                let phases = each.phases.iter_mut();
                phases.for_each(|phase| phase.goodput_rps *= 0.5);
            };
            figures(&halve, trial);
        }),
        ("cpu", "capacity at the objective", &|trial| {
            if let Some(found) = &mut trial.capacity {
                scale(&mut found.highest_ok_rps, 0.4);
                scale(&mut found.lowest_failed_rps, 0.4);
            }
        }),
    ];
    for (scenario, figure, edit) in edits {
        let (_, mut second) = fixture::wide::run("quick", 3, 2);
        let theirs =
            |trial: &&mut Trial| trial.label == "thread-pool" && trial.scenario == scenario;
        second.iter_mut().filter(theirs).for_each(edit);
        let (ended, report) = compared(&before, &saved("b", &env, &second));
        assert_eq!(ended, ended_with(1), "{figure}");
        let wanted = ["thread-pool", scenario, figure].map(str::to_owned);
        let [model, scenario, figure] = wanted;
        let mut found = worse(&report);
        found.retain(|(label, name, _)| *label == model && *name == scenario);
        found.dedup();
        assert_eq!(found, [(model, scenario, figure)]);
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
    // No regression, and no all-clear either.
    assert_eq!((ended, worse(&report)), (ended_with(3), Vec::new()));
}

#[test]
fn each_line_says_the_smallest_slowdown_that_it_could_have_shown() {
    let (env, first) = fixture::run("full", 10, 1);
    let (_, second) = fixture::run("full", 10, 2);
    let (before, after) = (saved("a", &env, &first), saved("b", &env, &second));
    let (_, report) = compared(&before, &after);
    let number = |line: &serde_json::Value, name: &str| line[name].as_f64();
    let mut judged = 0;
    for line in report["lines"].as_array().expect("lines") {
        let (Some(smallest), Some(zone)) =
            (number(line, "smallest_slowdown"), number(line, "zone"))
        else {
            continue;
        };
        judged += 1;
        assert!(smallest >= zone - 1e-9, "{line}");
        // Shifted up by what it could have shown, the interval leaves the 3 % out.
        let (ratio, low) = (
            number(line, "ratio").expect("one"),
            number(line, "low").expect("one"),
        );
        assert!(smallest * low / ratio >= 1.03 - 1e-9, "{line}");
    }
    assert!(judged > 100, "{judged}");
}

#[test]
fn counted_figures_are_a_gate_of_their_own() {
    let (env, first) = fixture::wide::run("quick", 3, 1);
    let (_, second) = fixture::wide::run("quick", 3, 1);
    let before = saved("a", &env, &first);
    let after = |calls: f64, cpu: f64| {
        let mut trials = second.clone();
        for figures in trials.iter_mut().filter_map(|trial| trial.figures.as_mut()) {
            let scale = |value: &mut Option<f64>, by: f64| *value = value.map(|each| each * by);
            scale(&mut figures.system_calls_per_request, calls);
            scale(&mut figures.server_cpu_us_per_request, cpu);
        }
        saved("b", &env, &trials)
    };
    let exact = |after: &Path| judged(&before, after, false, Gate::Exact);
    assert_eq!(exact(&after(1.0, 1.0)).0, ended_with(0));
    // A noisy machine does not change what is counted.
    assert_eq!(exact(&after(1.0, 3.0)).0, ended_with(0));
    // The null server became slower with the others: it was the machine, and nothing can be said.
    assert_eq!(compared(&before, &after(1.0, 3.0)).0, ended_with(3));
    let (ended, report) = exact(&after(1.5, 1.0));
    assert_eq!(ended, ended_with(1));
    let found = worse(&report);
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|(_, _, figure)| figure == "system calls per request")
    );
    // Wake-ups are counted, too.
    let woken = |name: &str, wakeups: f64| {
        let mut trials = first.clone();
        for figures in trials.iter_mut().filter_map(|trial| trial.figures.as_mut()) {
            figures.wakeups_per_request = figures.system_calls_per_request.map(|_| wakeups);
        }
        saved(name, &env, &trials)
    };
    let (once, twice) = (woken("once", 1.0), woken("twice", 2.0));
    let (ended, report) = judged(&once, &twice, false, Gate::Exact);
    assert_eq!(ended, ended_with(1));
    let found = worse(&report);
    assert!(
        found
            .iter()
            .all(|(_, _, figure)| figure == "wake-ups per request")
    );
    assert_eq!(
        judged(&once, &woken("alike", 1.04), false, Gate::Exact).0,
        ended_with(0)
    );
    // Without a count there is nothing to rest on.
    let (env, plain) = fixture::run("full", 10, 1);
    let plain = saved("plain", &env, &plain);
    assert_eq!(judged(&plain, &plain, false, Gate::Exact).0, ended_with(3));
}

#[test]
fn a_pipe_is_written_to_and_stays_a_pipe() {
    use std::os::unix::fs::FileTypeExt;
    let (env, trials) = fixture::run("smoke", 1, 1);
    let run = saved("a", &env, &trials);
    let fifo = folder("fifo").join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo runs").success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).expect("a reader")
    });
    let args = Args {
        before: run.clone(),
        after: run,
        all: false,
        partial: false,
        see: compare::SEE_PERCENT,
        gate: Gate::All,
        json: Some(fifo.clone()),
    };
    let _ = compare::main(&args);
    let text = reader.join().expect("read");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    assert!(fs::metadata(&fifo).expect("there").file_type().is_fifo());
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
    let torn = packed_again(&good);
    fs::write(torn.join("trials.ndjson.gz"), "no gzip").expect("written");
    for bad in [
        folder("nothing").join("missing"),
        folder("empty"),
        broken,
        torn,
        other,
    ] {
        assert_eq!(compared(&good, &bad).0, ended_with(2), "{}", bad.display());
        assert_eq!(compared(&bad, &good).0, ended_with(2), "{}", bad.display());
    }
}

/// The run in `dir` as somebody keeps it who has packed its trials.
fn packed_again(dir: &Path) -> PathBuf {
    let other = folder("packed");
    fs::copy(dir.join("env.json"), other.join("env.json")).expect("copied");
    let text = fs::read_to_string(dir.join("trials.ndjson")).expect("trials");
    fs::write(other.join("trials.ndjson.gz"), packed(&text)).expect("written");
    other
}

#[test]
fn a_packed_run_is_compared_like_any_other() {
    let (env, trials) = fixture::run("full", 10, 1);
    let before = saved("before", &env, &trials);
    let (ended, report) = compared(&packed_again(&before), &before);
    assert_eq!((ended, worse(&report)), (ended_with(0), Vec::new()));
}
