//! `turnstile pick` from outside: answers, and one line for everything that cannot be answered.

use std::path::PathBuf;
use std::process::{Command, Output};

fn pick(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .arg("pick")
        .args(args)
        .current_dir(std::env::temp_dir())
        .output()
        .expect("it runs")
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pick-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn a_fresh_checkout_answers_and_says_whose_profile_it_is() {
    let output = pick(&[
        "--rate",
        "500",
        "--cpu-us",
        "100",
        "--connections",
        "50",
        "--json",
    ]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text} {output:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for field in ["model", "variant", "workers", "threads"] {
        assert!(
            !answer["recommended"][field].is_null() || field == "workers",
            "{field}: {text}"
        );
    }
    let first = &answer["candidates"][0];
    for field in ["low", "expected", "high"] {
        assert!(
            first["capacity_rps"][field]
                .as_f64()
                .is_some_and(|n| n > 0.0),
            "{first}"
        );
    }
    assert!(
        first["response_us"]["p99"]
            .as_f64()
            .is_some_and(|n| n > 0.0),
        "{first}"
    );
    assert!(
        first["memory_mib"].is_f64() && first["tier"] == 1,
        "{first}"
    );
    assert!(answer["would_change"].is_array() && answer["rests_on"].is_array());
}

#[test]
fn a_page_and_drawings_are_written() {
    let page = std::env::temp_dir().join(format!("pick-{}.html", std::process::id()));
    let prefix = std::env::temp_dir().join(format!("pick-{}-", std::process::id()));
    let (page_arg, prefix_arg) = (page.display().to_string(), prefix.display().to_string());
    let output = pick(&[
        "--rate",
        "500",
        "--cpu-us",
        "100",
        "--html",
        &page_arg,
        "--plots",
        &prefix_arg,
    ]);
    assert!(output.status.success(), "{output:?}");
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("<svg") && html.contains("turnstile serve --model"));
    for name in ["capacity", "response", "memory"] {
        let svg = format!("{prefix_arg}{name}.svg");
        assert!(
            std::fs::read_to_string(&svg).is_ok_and(|text| text.contains("</svg>")),
            "{svg}"
        );
        std::fs::remove_file(svg).expect("it is there");
    }
    std::fs::remove_file(page).expect("it is there");
}

#[test]
fn each_bad_input_gets_one_line_and_status_2() {
    let shares = file("shares.toml", "rate = 1\n[[class]]\nshare = 0.5\n");
    let broken = file("profile.json", "{}");
    let own = include_str!("../reference/profile.json");
    let foreign = own.replace("\"kernel\": \"", "\"kernel\": \"another ");
    let foreign = file("foreign.json", &foreign);
    let path = |file: &PathBuf| file.display().to_string();
    let (shares_arg, broken_arg, foreign_arg) = (path(&shares), path(&broken), path(&foreign));
    let later = own.replace("\"version\": 1", "\"version\": 9");
    let older = own.replace("\"turnstile\": \"", "\"turnstile\": \"0.0.1-");
    let absurd = own.replace("\"slice_us\": ", "\"slice_us\": -");
    let unknown = "rate = 1\ncoffee = 2\n[[class]]\n";
    let later = [
        file("later.json", &later),
        file("older.json", &older),
        file("absurd.json", &absurd),
        file("unknown.toml", unknown),
        file("nonsense.log", "this is\nno log\n"),
        file("broken.har", "{\"log\": {}}"),
    ];
    let args = later.each_ref().map(&path);
    let [
        later_arg,
        older_arg,
        absurd_arg,
        unknown_arg,
        nonsense_arg,
        har_arg,
    ] = &args;
    for (args, says) in [
        (vec![], "which workload?"),
        (vec!["/nowhere.toml"], "No such file"),
        (vec![shares_arg.as_str()], "add up to 0.5"),
        (vec!["--rate", "-1"], "rate is -1"),
        (vec!["--rate", "nan"], "rate is NaN"),
        (vec!["--rate", "1", "--cpu-us", "1e12"], "it must be 0 to"),
        (
            vec!["--rate", "1", "--model", "preforked"],
            "there is no model",
        ),
        (vec!["--rate", "1", "--cpus", "64"], "beyond twice"),
        (vec!["--rate", "1", "--profile", &broken_arg], "no profile"),
        (
            vec!["--rate", "1", "--profile", &foreign_arg],
            "say --foreign",
        ),
        (vec!["--rate", "1", "--peak", "-5"], "unexpected argument"),
        (vec!["--rate", "1", "--learn", "ftp://x"], "must be http://"),
        (vec!["--validate", "1", "--subset", "5..2"], "FIRST..END"),
        (
            vec!["--validate", "1", "--against", "/nowhere.ndjson"],
            "no whole workload of seed 1",
        ),
        (
            vec!["--validate", "1", "--against", &broken_arg],
            "no whole workload of seed 1",
        ),
        (
            vec!["--rate", "1", "--contenders", "/nowhere.toml"],
            "No such file",
        ),
        (vec!["--rate", "1", "--contenders", &broken_arg], "line 1"),
        (vec!["--rate", "1", "--profile", later_arg], "version 9"),
        (
            vec!["--rate", "1", "--profile", older_arg],
            "it is of turnstile 0.0.1-",
        ),
        (vec!["--rate", "1", "--profile", absurd_arg], "negative"),
        (vec![unknown_arg.as_str()], "coffee"),
        (vec!["--from", nonsense_arg], "--from"),
        (vec!["--from", har_arg], "--from"),
        (vec!["--rate", "1", "--cpu-us", "-3"], "cpu_us"),
        (vec!["--rate", "1", "--blocked-us", "inf"], "blocked_us"),
        (vec!["--rate", "1", "--peak=-5"], "--peak is -5"),
        (
            vec!["--rate", "1", "--peak", "5", "--price=-1"],
            "--price must be a positive number",
        ),
        (vec!["--rate", "1", "--churn", "1.5"], "churn is 1.5"),
        (vec!["--rate", "1e12"], "rate is"),
        (vec!["--rate", "1", "--connections", "0"], "connections"),
        (vec!["--rate", "1", "--p99-ms", "0"], "response_ms is 0"),
        (
            vec!["--rate", "1", "--from", "/nowhere.log"],
            "No such file",
        ),
    ] {
        let output = pick(&args);
        let line = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {line}");
        assert!(line.contains(says), "{args:?}: {line:?}, not {says:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let output = pick(&["--rate", "1", "--profile", &foreign_arg, "--foreign"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("FOREIGN PROFILE"));
    for file in [shares, broken, foreign].into_iter().chain(later) {
        std::fs::remove_file(file).expect("it is there");
    }
}

#[test]
fn a_log_gives_the_rate_and_broken_lines_are_told() {
    let line = |second: u32| {
        format!(
            "127.0.0.1 - - [10/Oct/2000:13:55:{second:02} -0700] \"GET /a HTTP/1.1\" 200 2326\n"
        )
    };
    let lines: String = (0..60).map(line).collect();
    let log = file("access.log", &format!("{lines}nonsense\n"));
    let log_arg = log.display().to_string();
    let output = pick(&["--from", &log_arg, "--cpu-us", "100", "--connections", "20"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("60 requests in 59 s") && said.contains("1 broken lines were skipped"),
        "{said}"
    );
    assert!(said.contains("reply_bytes = 2326"), "{said}");
    let none = file("empty.log", "");
    let output = pick(&["--from", &none.display().to_string()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    for file in [log, none] {
        std::fs::remove_file(file).expect("it is there");
    }
}

#[test]
fn a_service_that_is_not_there_is_a_failure_of_one_line() {
    // Nothing listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", free.local_addr().expect("an address"));
    drop(free);
    let output = pick(&["--learn", &url, "--rate", "50"]);
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(
        line.contains(&url) && line.trim().lines().count() == 1,
        "{line}"
    );
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn what_lies_beyond_what_was_measured_is_marked() {
    let output = pick(&[
        "--rate",
        "5",
        "--reply-bytes",
        "20000000",
        "--p99-ms",
        "900",
    ]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("EXTRAPOLATED: messages of 19531 KiB"),
        "{text}"
    );
}

#[test]
fn an_objective_that_no_model_meets_has_no_answer_and_status_1() {
    let output = pick(&["--rate", "10", "--wait-us", "50000", "--p99-ms", "20"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("the work alone takes p99 50.0 ms"), "{text}");
}

#[test]
fn a_service_that_is_learned_becomes_a_class_and_one_that_errs_does_not() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_turnstile"))
        .args([
            "serve",
            "--model",
            "thread-per-client",
            "--listen",
            "127.0.0.1:0",
            // On a busy machine it would refuse requests that have waited.
            "--queue-delay-ms",
            "0",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    let stdout = server.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let address = line
        .trim()
        .strip_prefix("listening on ")
        .expect("an address")
        .to_owned();
    let pid = server.id().to_string();
    let learn = |path: &str| {
        let url = format!("http://{address}{path}");
        pick(&[
            "--learn",
            &url,
            "--learn-pid",
            &pid,
            "--rate",
            "50",
            "--connections",
            "20",
        ])
    };
    let (learned, erred) = (learn("/sleep/2000"), learn("/nothing"));
    server.kill().expect("it runs");
    server.wait().expect("it has ended");
    assert!(learned.status.success(), "{learned:?}");
    let said = String::from_utf8_lossy(&learned.stderr);
    let blocked = said.lines().find_map(|l| l.strip_prefix("blocked_us = "));
    let blocked: f64 = blocked.and_then(|n| n.parse().ok()).expect("it is told");
    assert!(blocked > 1_500.0, "{said}");
    assert_eq!(erred.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&erred.stderr).contains("status 404"),
        "{erred:?}"
    );
}

/// A cell as `--validate --out` keeps it.
fn cell(workload: usize, toml: &str, model: &str, variant: &str, measured: f64) -> String {
    let cell = serde_json::json!({
        "seed": 5, "workload": workload, "toml": toml, "cells": 2, "at_s": 1,
        "model": model, "variant": variant, "workers": null, "low": 1.0, "expected": 2.0,
        "high": 3.0, "measured": measured, "why": "", "closed_rps": 0.0, "trials": [],
    });
    format!("{cell}\n")
}

/// A profile's own repetitions tell nothing of what a simulation leaves out.
#[test]
fn a_profile_that_was_just_measured_is_lent_intervals() {
    let reference = include_str!("../reference/profile.json");
    let mut own: serde_json::Value = serde_json::from_str(reference).expect("JSON");
    let fields = own.as_object_mut().expect("an object");
    for name in ["residuals", "residuals_paused", "calibration"] {
        assert!(fields.remove(name).is_some());
    }
    let profile = file("fresh.json", &own.to_string());
    let asked = [
        "--rate",
        "500",
        "--cpu-us",
        "100",
        "--brief",
        "--json",
        "--foreign",
        "--profile",
    ];
    let answer = |profile: &str| {
        let output = pick(&[&asked, &[profile][..]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let fresh = answer(&profile.display().to_string());
    let lines = fresh["rests_on"].to_string();
    assert!(
        lines.contains("of seed 14 with the reference profile ("),
        "{lines}"
    );
    assert!(!lines.contains("corrected"), "{lines}");
    let capacity = &fresh["candidates"][0]["capacity_rps"];
    let figure = |name: &str| capacity[name].as_f64().expect("a figure");
    assert!(figure("low") < figure("expected") * 0.95, "{capacity}");
    assert!(figure("high") > figure("expected") * 1.05, "{capacity}");
    std::fs::remove_file(profile).expect("it is there");
}

#[test]
fn stored_measurements_are_predicted_again_and_make_intervals() {
    let toml = "rate = 500\nconnections = 50\n[[class]]\ncpu_us = 100\n";
    let lines: String = (0..2)
        .flat_map(|n| {
            [
                cell(n, toml, "single-reactor", "epoll", 8_000.0),
                cell(n, toml, "multi-reactor", "handoff", 4_000.0),
            ]
        })
        .collect();
    let cells = file("cells.ndjson", &lines);
    let profile = file("own.json", include_str!("../reference/profile.json"));
    let (cells_arg, profile_arg) = (cells.display().to_string(), profile.display().to_string());
    let against = |more: &[&str]| {
        let args = ["--validate", "5", "--foreign", "--profile", &profile_arg];
        pick(&[&args, &["--against", &cells_arg][..], more].concat())
    };
    let output = against(&[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    // Half of the best was lost by one way of choosing, in both.
    assert!(
        text.contains("always multi-reactor: regret at most 10 % in 0 of 2, 50 % at worst"),
        "{text}"
    );
    assert!(text.contains("of 4 cells"), "{text}");
    assert!(against(&["--calibrate"]).status.success());
    let written = std::fs::read_to_string(&profile).expect("the profile");
    let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["calibration"]["seed"], 5);
    assert_eq!(written["residuals"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        written["residuals_paused"].as_array().map(Vec::len),
        Some(4)
    );
    // What intervals were made from does not show that they hold.
    let output = against(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("take another"));
    for file in [cells, profile] {
        std::fs::remove_file(file).expect("it is there");
    }
}

/// What a profile is written to stays what it was, and nothing beside it is touched.
#[test]
fn a_profile_is_written_through_a_link_and_into_a_fifo() {
    let folder = std::env::temp_dir().join(format!("pick-{}-special", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let at = |name: &str| folder.join(name);
    let own = include_str!("../reference/profile.json");
    let toml = "rate = 500\nconnections = 50\n[[class]]\ncpu_us = 100\n";
    let cells = ["epoll", "poll"].map(|variant| cell(0, toml, "single-reactor", variant, 8_000.0));
    std::fs::write(at("cells"), cells.concat()).expect("written");
    std::fs::write(at("profile.json"), own).expect("written");
    std::fs::write(at("link.new"), "another's").expect("written");
    std::os::unix::fs::symlink(at("profile.json"), at("link")).expect("a link");
    let made = Command::new("mkfifo").arg(at("fifo")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let calibrate = |name: &str| {
        Command::new("timeout")
            .args(["60", env!("CARGO_BIN_EXE_turnstile"), "pick", "--foreign"])
            .args(["--validate", "5", "--calibrate", "--against"])
            .arg(at("cells"))
            .arg("--profile")
            .arg(at(name))
            .output()
            .expect("it runs")
    };
    let calibrated = |text: &str| {
        let profile: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(profile["calibration"]["seed"], 5);
    };
    let output = calibrate("link");
    assert!(output.status.success(), "{output:?}");
    let is_link = |name: &str| std::fs::symlink_metadata(at(name)).is_ok_and(|m| m.is_symlink());
    assert!(is_link("link"), "the link was replaced");
    calibrated(&std::fs::read_to_string(at("profile.json")).expect("written"));
    let beside = std::fs::read_to_string(at("link.new"));
    assert_eq!(beside.expect("it is there"), "another's");
    // The reader of the FIFO gives the profile first, and gets it back.
    let (fifo, (sender, receiver)) = (at("fifo"), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let given = std::fs::write(&fifo, own);
        let _ = sender.send(given.and_then(|()| std::fs::read_to_string(&fifo)));
    });
    let output = calibrate("fifo");
    assert!(output.status.success(), "{output:?}");
    let read = receiver.recv_timeout(std::time::Duration::from_secs(60));
    calibrated(&read.expect("in time").expect("read"));
    let kind = std::fs::symlink_metadata(at("fifo")).expect("there");
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&kind.file_type()));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 5);
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn settings_of_a_server_of_ones_own_are_measured() {
    let turnstile = env!("CARGO_BIN_EXE_turnstile");
    let grid = file(
        "grid.toml",
        &format!(
            "[[contender]]\nname = \"own\"\ncommand = \"{turnstile} serve --model thread-pool --queue-delay-ms 0 --workers {{workers}} --listen {{addr}}:{{port}}\"\nworkers = [8, 16]\nready = {{ path = \"/plaintext\" }}\n"
        ),
    );
    let output = pick(&[
        "--contenders",
        &grid.display().to_string(),
        "--rate",
        "100",
        "--cpu-us",
        "200",
        "--connections",
        "8",
        "--p99-ms",
        "400",
        "--json",
    ]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let settings = said["settings"].as_array().expect("a list");
    let mut labels: Vec<&str> = settings
        .iter()
        .filter_map(|s| s["label"].as_str())
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, ["own w16", "own w8"], "{said}");
    // A capacity, or why there is none: the machine may be busy.
    for setting in settings {
        let measured = setting["capacity_rps"]
            .as_f64()
            .is_some_and(|rps| rps > 0.0);
        let why = setting["why"].as_str().is_some_and(|why| !why.is_empty());
        assert!(measured != why, "{setting}");
        assert!(
            setting["at_most_rps"]
                .as_f64()
                .is_some_and(|rps| rps > 1_000.0),
            "{setting}"
        );
    }
    std::fs::remove_file(grid).expect("it is there");
}
