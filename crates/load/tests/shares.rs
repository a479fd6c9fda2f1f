//! Several machines that send parts of one load: what they do together is what one does alone.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::Server;
use serde_json::Value;

/// A folder of a test, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("load-shares-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Forty requests over four seconds: bursts and gaps, other methods, and one line that is broken.
fn log(fractions: bool) -> String {
    let mut text = "no request at all\n".to_owned();
    for n in 0..40_u32 {
        let ms = (n * n * 13) % 4000;
        let ms = if n == 0 { 0 } else { ms };
        let time = match fractions {
            true => format!("{:02}.{:03}", ms / 1000, ms % 1000),
            false => format!("{:02}", ms / 1000),
        };
        let (method, path, status) = match n % 5 {
            0 => ("POST", "/b", 200),
            1 => ("GET", "/missing", 404),
            _ => ("GET", "/a", 200),
        };
        text += &format!(
            "h - - [10/Oct/2000:13:55:{time} +0000] \"{method} {path}?n={n} HTTP/1.1\" {status} 5\n"
        );
    }
    text
}

fn start(server: &Server, record: &str, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .arg(server.url())
        .args(["--emit-hdr", record, "--json", "-", "--quiet"])
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn merge(records: &[String]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command
        .args(["merge", "--json", "-", "--quiet"])
        .args(records);
    json(&command.output().unwrap())
}

/// Runs a load alone, and in three parts at the same time; gives both results, and the requests that the
/// server has seen of each.
fn alone_and_together(name: &str, flags: &[&str]) -> [(Value, Vec<String>); 2] {
    let folder = Folder::new(name);
    [1, 3].map(|parts| {
        let (server, seen) = Server::with_missing();
        let records: Vec<String> = (1..=parts)
            .map(|part| folder.file(&format!("{parts}.{part}")))
            .collect();
        let started: Vec<Child> = (1..=parts)
            .map(|part| {
                let share = format!("{part}/{parts}");
                let mut all = vec!["--connections", "6"];
                if parts > 1 {
                    all.extend(["--share", share.as_str()]);
                }
                start(&server, &records[part - 1], &[&all, flags].concat())
            })
            .collect();
        let results: Vec<Value> = started
            .into_iter()
            .map(|child| json(&child.wait_with_output().unwrap()))
            .collect();
        let whole = match parts {
            1 => results[0].clone(),
            _ => merge(&records),
        };
        let mut seen = seen.lock().unwrap().clone();
        seen.sort();
        (whole, seen)
    })
}

/// What was asked for and what came, as far as no clock decides it.
fn counts(result: &Value) -> Value {
    let of = |list: &Value, fields: &[&str]| -> Vec<Vec<Value>> {
        let list = list.as_array().unwrap().iter();
        list.map(|item| fields.iter().map(|field| item[field].clone()).collect())
            .collect()
    };
    let fields = [
        "requests",
        "scheduled",
        "sent",
        "duration_s",
        "connections",
        "statuses",
        "errors",
        "requests_file",
    ];
    let mut counts: Value = fields
        .iter()
        .map(|&field| (field.to_owned(), result[field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let kinds = ["method", "path", "weight", "scheduled", "requests"];
    counts["kinds"] = serde_json::json!(of(&result["kinds"], &kinds));
    counts["timeline"] = serde_json::json!(of(&result["timeline"], &["start_s", "scheduled"]));
    counts
}

#[test]
fn the_shares_of_a_replay_are_the_whole_replay() {
    for fractions in [true, false] {
        let folder = Folder::new("log");
        let file = folder.file("access.log");
        fs::write(&file, log(fractions)).unwrap();
        // Requests of whole seconds are spread at random, which every machine must do alike.
        let flags = [
            "--replay",
            file.as_str(),
            "--speed",
            "4",
            "--drain",
            "300ms",
        ];
        let name = format!("replay-{fractions}");
        let [(alone, seen_alone), (together, seen_together)] = alone_and_together(&name, &flags);
        assert_eq!(alone["scheduled"], 40);
        assert_eq!(alone["requests_file"]["broken"], 1);
        assert_eq!(counts(&together), counts(&alone));
        assert_eq!(seen_together, seen_alone);
        assert_eq!(seen_alone.len(), 40);
        let rate = |result: &Value| result["rate_offered"].as_f64().unwrap();
        assert!((rate(&together) / rate(&alone) - 1.0).abs() < 1e-6);
        assert_eq!(together["runs"], 3);
    }
}

#[test]
fn the_shares_of_constant_arrivals_take_turns() {
    let flags = [
        "--rate",
        "300",
        "--arrivals",
        "constant",
        "--duration",
        "500ms",
        "--warmup",
        "0s",
        "--drain",
        "300ms",
    ];
    let [(alone, _), (together, _)] = alone_and_together("constant", &flags);
    assert_eq!(alone["scheduled"], 150);
    assert_eq!(counts(&together), counts(&alone));
}

fn refused(log: &Path, share: &str) -> String {
    let (server, seen) = Server::with_missing();
    let folder = Folder::new("refused");
    let flags = ["--replay", log.to_str().unwrap(), "--share", share];
    let child = start(&server, &folder.file("record"), &flags);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), seen.lock().unwrap().len()),
        (Some(2), 0)
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.lines().count() == 1, "{text}");
    text
}

#[test]
fn a_replay_of_fewer_requests_than_machines_is_refused() {
    let folder = Folder::new("few");
    let file = folder.0.join("access.log");
    fs::write(&file, log(true)).unwrap();
    let text = refused(&file, "1/41");
    assert!(
        text.contains("40 requests cannot be divided among 41 machines"),
        "{text}"
    );
}
