//! Readers that leave, runs that are empty, and servers compared side by side: the commands as they are run.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TURNSTILE: &str = env!("CARGO_BIN_EXE_turnstile");

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/recorded")
}

/// Runs a command whose reader takes one byte and leaves.
fn read_one_byte(args: &[&str]) -> Output {
    let mut child = Command::new(TURNSTILE)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut byte = [0];
    stdout.read_exact(&mut byte).expect("a byte");
    drop(stdout);
    child.wait_with_output().expect("it ends")
}

/// Stored cells, by which predictions are held to account without measuring.
fn cells(folder: &Path) -> PathBuf {
    let cell = |model: &str, variant: &str| {
        serde_json::json!({
            "seed": 5, "workload": 0, "cells": 2, "at_s": 1, "model": model, "variant": variant,
            "toml": "rate = 500\nconnections = 50\n[[class]]\ncpu_us = 100\n", "measured": 4_000.0,
        })
    };
    let file = folder.join("cells.ndjson");
    let two = [
        cell("single-reactor", "epoll"),
        cell("multi-reactor", "handoff"),
    ];
    let text = two.map(|cell| format!("{cell}\n")).concat();
    std::fs::write(&file, text).expect("written");
    file
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let dir = scratch("readers");
    let cells = cells(&dir);
    let cells = cells.to_str().expect("UTF-8");
    let run = recorded();
    let run = run.to_str().expect("UTF-8");
    let asked = [
        "--rate",
        "100",
        "--cpu-us",
        "100",
        "--connections",
        "10",
        "--p99-ms",
        "50",
    ];
    for args in [
        &["compare", "--all", run, run][..],
        &["bench", "--list-scenarios"],
        &["models"],
        &["models", "--json"],
        &[&["pick"], &asked[..]].concat(),
        &[&["pick", "--json"], &asked[..]].concat(),
        &["pick", "--validate", "5", "--against", cells],
        &["--help"],
        &["bench", "--help"],
        &["load", "--help"],
    ] {
        let output = read_one_byte(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_ne!(output.status.code(), Some(101), "{args:?}");
        assert_ne!(output.status.code(), Some(2), "{args:?}: {stderr}");
    }
    std::fs::remove_dir_all(dir).expect("removed");
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("turnstile-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

#[test]
fn a_report_of_a_run_without_trials_says_so() {
    let dir = scratch("empty-run");
    std::fs::copy(recorded().join("env.json"), dir.join("env.json")).expect("copied");
    for (trials, said) in [
        ("", "holds no trial"),
        ("{\"id\":", "in the middle of line 1"),
    ] {
        std::fs::write(dir.join("trials.ndjson"), trials).expect("written");
        let output = Command::new(TURNSTILE).arg("report").arg(&dir).output();
        let output = output.expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(output.status.code(), Some(0));
    }
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn what_cannot_be_compared_live_is_refused_with_two() {
    for (args, about) in [
        (&["no-such-model", "prefork"][..], "A, 'no-such-model'"),
        (&["prefork", "'open"], "a quote is not closed"),
        (
            &["prefork", "--model prefork --bogus"],
            "B, '--model prefork --bogus'",
        ),
        (&["prefork", "true {addr}"], "ended at once"),
        (
            &["prefork", "prefork", "--path", "/bogus"],
            "answered with 404",
        ),
        (&["prefork", "prefork", "--within", "0"], "--within"),
    ] {
        let output = Command::new(TURNSTILE)
            .arg("compare-live")
            .args(args)
            .output();
        let output = output.expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(about), "{args:?}: {stderr}");
    }
}

/// No timing is asserted: only that a session runs, and that its table, file and status agree.
#[test]
fn a_session_leaves_a_table_a_file_and_a_status() {
    let dir = scratch("live");
    let json = dir.join("live.json");
    let output = Command::new(TURNSTILE)
        .args(["compare-live", "single-reactor", "prefork --listen {addr}"])
        .output();
    // A template names a program, and there is none of that name.
    assert_eq!(output.expect("it runs").status.code(), Some(2));
    let template = format!("{TURNSTILE} serve --model single-reactor --listen {{addr}}");
    let output = Command::new(TURNSTILE)
        .args([
            "compare-live",
            "single-reactor",
            &template,
            "--seconds",
            "10",
            "--rate",
            "500",
        ])
        .args(["--path", "/cpu/200", "--json"])
        .arg(&json)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let told = std::fs::read_to_string(&json).expect("a file");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        told["exit"].as_i64(),
        output.status.code().map(i64::from),
        "{text}"
    );
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{text}");
    assert_eq!(told["figures"].as_array().map(Vec::len), Some(4));
    assert!(
        text.contains("CPU per request") && text.contains("B compared with A"),
        "{text}"
    );
    std::fs::remove_dir_all(dir).expect("removed");
}

/// What can be counted here is counted; what cannot be says why, and the rest decides.
#[test]
fn the_exact_gate_counts_and_times_nothing() {
    let dir = scratch("exact");
    let json = dir.join("exact.json");
    let output = Command::new(TURNSTILE)
        .args([
            "compare-live",
            "single-reactor",
            "single-reactor",
            "--gate",
            "exact",
            "--json",
        ])
        .arg(&json)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let told = std::fs::read_to_string(&json).expect("a file");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["gate"], "exact");
    assert_eq!(told["rotations"], 0, "nothing was timed");
    let counted = told["counted"].as_array().expect("figures");
    let names = ["user_instructions", "system_calls", "wake_ups"];
    for (figure, name) in counted.iter().zip(names) {
        assert_eq!(figure["figure"], name);
        let why = figure["why"].as_str().expect("a text");
        assert_eq!(why.is_empty(), figure["said"] != "not_judged", "{figure}");
        assert!(why.is_empty() || text.contains(why), "{text}");
    }
    let said = |figure: &serde_json::Value| figure["said"].as_str().map(str::to_owned);
    let said: Vec<String> = counted.iter().filter_map(said).collect();
    let judged = said.iter().any(|said| said != "not_judged");
    let status = output.status.code();
    match (said.iter().any(|said| said == "slower"), judged) {
        (true, _) => assert_eq!(status, Some(1), "{text}"),
        (false, true) => assert!(matches!(status, Some(0 | 3)), "{text}"),
        (false, false) => assert_eq!(status, Some(3), "{text}"),
    }
    std::fs::remove_dir_all(dir).expect("removed");
}
