//! Requests from life: what a log says is what is sent, and when.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use std::fs;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use common::{GOOD, Server, send};

const LOG: &str = "h - - [10/Oct/2000:13:55:36.000 +0000] \"GET /a?x=1 HTTP/1.1\" 200 5\n\
                   no request at all\n\
                   h - - [10/Oct/2000:13:55:36.500 +0000] \"POST /b HTTP/1.1\" 200 5\n\
                   h - - [10/Oct/2000:13:55:36.500 +0000] \"GET /missing HTTP/1.1\" 404 0\n\
                   h - - [10/Oct/2000:13:55:36.700 +0000] \"GET /a?x=1 HTTP/1.1\" 200 5\n";

/// Runs load on a server that answers 404 below `/missing`, with `log` as a file.
fn load(name: &str, log: &str, flags: &[&str]) -> (Output, Vec<String>) {
    let (server, seen) = Server::with_missing();
    let path = std::env::temp_dir().join(format!("load-{name}-{}.log", std::process::id()));
    fs::write(&path, log).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args([&server.url(), flags[0], path.to_str().unwrap()])
        .args(["--json", "-", "--connections", "4"])
        .args(&flags[1..])
        .output()
        .unwrap();
    fs::remove_file(&path).unwrap();
    let seen = seen.lock().unwrap().clone();
    (output, seen)
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_times_of_the_log_are_the_intended_times() {
    let (output, mut seen) = load("replay", LOG, &["--replay"]);
    let result = json(&output);
    assert_eq!(
        (&result["scheduled"], &result["requests"]),
        (&4.into(), &4.into())
    );
    assert_eq!(result["statuses"]["404"], 1);
    let due: Vec<(u64, u64)> = result["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slice| {
            let start_ms = (slice["start_s"].as_f64().unwrap() * 1e3).round();
            (start_ms as u64, slice["scheduled"].as_u64().unwrap())
        })
        .filter(|&(_, n)| n > 0)
        .collect();
    assert_eq!(due, [(0, 1), (500, 2), (700, 1)]);
    seen.sort();
    let expected = ["GET /a?x=1", "GET /a?x=1", "GET /missing", "POST /b"];
    assert_eq!(seen, expected.map(|line| format!("{line} HTTP/1.1")));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("1 broken lines, the first 2: "), "{told}");
    let file = &result["requests_file"];
    let counts = ["requests", "different", "broken", "broken_first"].map(|name| &file[name]);
    assert_eq!(
        counts.map(serde_json::Value::as_u64),
        [4, 3, 1, 2].map(Some),
        "{file}"
    );
    assert!(!file["broken_why"].as_str().unwrap().is_empty());
}

#[test]
fn a_replay_may_be_faster_shorter_and_smoothed() {
    let result = json(&load("fast", LOG, &["--replay", "--speed", "2"]).0);
    assert!((0.35..0.36).contains(&result["duration_s"].as_f64().unwrap()));
    let result = json(&load("short", LOG, &["--replay", "--duration", "600ms"]).0);
    assert_eq!(result["scheduled"], 3);
    // A log of whole seconds: its requests do not all come at the beginning of their second.
    let whole = LOG
        .replace(".000", "")
        .replace(".500", "")
        .replace(".700", "")
        .repeat(10);
    let flags = ["--replay", "--arrivals", "constant"];
    let result = json(&load("smooth", &whole, &flags).0);
    let counts: Vec<u64> = result["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slice| slice["scheduled"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [4; 10]);
}

#[test]
fn a_mix_is_drawn_from_a_log_as_often_as_it_says() {
    let log = LOG.repeat(20);
    let flags = ["--mix-from", "--duration", "300ms", "--warmup", "0s"];
    let (output, seen) = load("mix", &log, &flags);
    let result = json(&output);
    assert!(result["errors"].as_object().unwrap().is_empty(), "{result}");
    let share = |path: &str| {
        let found = seen.iter().filter(|line| line.contains(path)).count();
        found as f64 / seen.len() as f64
    };
    assert!(seen.len() > 400, "{}", seen.len());
    assert!((0.4..0.6).contains(&share("/a?x=1")) && (0.15..0.35).contains(&share("/b")));
}

/// A HAR of four requests to one host, one to another, and an entry that is none.
fn har() -> String {
    let entry = |at: &str, method: &str, url: &str, status: u16, more: serde_json::Value| {
        let mut request = serde_json::json!({
            "method": method, "url": url, "headers": [{"name": "X-Session", "value": "7"}],
        });
        if !more.is_null() {
            request["postData"] = more;
        }
        serde_json::json!({
            "startedDateTime": format!("2026-11-25T10:00:{at}Z"), "time": 5, "request": request,
            "response": {"status": status, "bodySize": 5, "content": {"size": 5}},
        })
    };
    let none = serde_json::Value::Null;
    let order = serde_json::json!({"mimeType": "text/plain", "text": "order"});
    let shop = |path: &str| format!("https://shop.test{path}");
    let entries = [
        entry("00.250", "GET", &shop("/a?x=1"), 200, none.clone()),
        entry("00.000", "GET", &shop("/a?x=1"), 200, none.clone()),
        entry("00.250", "POST", &shop("/b"), 200, order),
        entry("00.100", "GET", "https://ads.test/pixel", 200, none.clone()),
        entry("00.600", "GET", &shop("/missing"), 404, none),
        serde_json::json!(5),
    ];
    serde_json::json!({"log": {"version": "1.2", "entries": entries}}).to_string()
}

/// When requests were due, in slices of the timeline that hold some: milliseconds, and how many.
fn due(result: &serde_json::Value) -> Vec<(u64, u64)> {
    let slices = result["timeline"].as_array().unwrap().iter();
    let slices = slices.map(|slice| {
        let start_ms = (slice["start_s"].as_f64().unwrap() * 1e3).round();
        (start_ms as u64, slice["scheduled"].as_u64().unwrap())
    });
    slices.filter(|&(_, n)| n > 0).collect()
}

#[test]
fn a_har_is_replayed_at_its_own_times() {
    let (output, mut seen) = load("har", &har(), &["--replay"]);
    let result = json(&output);
    // In the order of time, whatever the order of the file.
    assert_eq!(due(&result), [(0, 1), (200, 2), (600, 1)]);
    assert_eq!(result["statuses"], serde_json::json!({"200": 3, "404": 1}));
    assert_eq!(result["errors"], serde_json::json!({}));
    seen.sort();
    let expected = ["GET /a?x=1", "GET /a?x=1", "GET /missing", "POST /b"];
    assert_eq!(seen, expected.map(|line| format!("{line} HTTP/1.1")));
    let file = &result["requests_file"];
    let counts = ["requests", "different", "broken", "elsewhere"];
    let counts = counts.map(|name| file[name].as_u64());
    assert_eq!(counts, [4, 3, 1, 1].map(Some), "{file}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("1 requests to other hosts left out"),
        "{told}"
    );
}

#[test]
fn a_mix_is_drawn_from_a_har_with_its_fields_and_bodies() {
    let (output, seen) = requests("har-mix", &[("--mix-from", &har())], &["--rate", "400"]);
    let result = json(&output);
    assert_eq!(result["requests_file"]["elsewhere"], 1);
    assert!(seen.len() > 60, "{}", seen.len());
    let with = |text: &str| seen.iter().filter(|head| head.contains(text)).count();
    let share = |text: &str| with(text) as f64 / seen.len() as f64;
    // Two of four ask for /a; a share of 60 draws or more is within 0.25 of its own.
    assert!((0.25..0.75).contains(&share("GET /a?x=1 HTTP/1.1")));
    assert!((0.05..0.5).contains(&share("GET /missing ")));
    let posts = with("POST /b HTTP/1.1");
    assert!(
        posts > 0 && posts == with("Content-Length: 5\r\n"),
        "{posts}"
    );
    assert_eq!(with("X-Session: 7\r\n"), seen.len());
    assert_eq!(with("ads.test") + with("/pixel"), 0);
    // This server answers 200 always, and 404 is what the file has.
    assert_eq!(
        result["errors"]["status"].as_u64(),
        Some(with("GET /missing ") as u64),
        "{result}"
    );
}

#[test]
fn smoothing_spreads_the_bursts_of_a_log_over_its_stretches() {
    // Ten at once in each half of a second, of two seconds.
    let line = |n: usize| {
        let ms = n / 10 * 500;
        let (s, ms) = (36 + ms / 1000, ms % 1000);
        format!("h - - [10/Oct/2000:13:55:{s}.{ms:03} +0000] \"GET /a HTTP/1.1\" 200 5\n")
    };
    let log: String = (0..40).map(line).collect();
    let counts = |flags: &[&str]| {
        let flags = [&["--replay"], flags, &["--slice", "100ms"]].concat();
        let result = json(&load("bursts", &log, &flags).0);
        assert_eq!(result["requests"], 40, "{result}");
        due(&result)
    };
    assert_eq!(counts(&[]), [(0, 10), (500, 10), (1000, 10), (1500, 10)]);
    let constant = counts(&["--smooth", "500ms", "--arrivals", "constant"]);
    let evenly: Vec<(u64, u64)> = (0..20).map(|n| (n * 100, 2)).collect();
    assert_eq!(constant, evenly);
    // At random, and as many in each stretch as there were.
    let random = counts(&["--smooth", "1s"]);
    let within = |from: u64| {
        let of = random
            .iter()
            .filter(|(ms, _)| (from..from + 1000).contains(ms));
        of.map(|(_, n)| n).sum::<u64>()
    };
    assert_eq!((within(0), within(1000)), (20, 20));
    assert!(random.len() > 8, "{random:?}");
}

#[test]
fn what_is_no_log_is_one_line() {
    let (output, seen) = load("none", "nothing\n", &["--replay"]);
    assert_eq!((output.status.code(), seen.len()), (Some(2), 0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("error: ") && told.lines().count() == 1,
        "{told}"
    );
}

/// The heads and the bodies of the requests that load sends with these flags.
fn requests(name: &str, files: &[(&str, &str)], flags: &[&str]) -> (Output, Vec<String>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let heads = Arc::clone(&seen);
    let server = Server::reading(move |stream, _, request| {
        heads.lock().unwrap().push(request.to_owned());
        send(stream, GOOD)
    });
    let folder = std::env::temp_dir().join(format!("load-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args([&server.url(), "--json", "-", "--connections", "2"]);
    command
        .args(["--duration", "300ms", "--warmup", "0s"])
        .args(flags);
    for (flag, text) in files {
        let path = folder.join(flag.trim_start_matches('-'));
        fs::write(&path, text).unwrap();
        command.arg(flag).arg(path);
    }
    let output = command.output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let seen = seen.lock().unwrap().clone();
    (output, seen)
}

#[test]
fn bodies_and_fields_are_drawn_from_lines() {
    let files = [
        ("--body-lines", "a\nbb\nccc\n"),
        ("--header-lines", "X-User: 1\nX-User: 2\nX-User: 3\n"),
    ];
    let (output, seen) = requests("lines", &files, &[]);
    let result = json(&output);
    assert_eq!(result["errors"], serde_json::json!({}), "{result}");
    assert_eq!(result["requests_file"]["different"], 3);
    // Lines of the same number belong together, and each is drawn about as often as the others.
    for n in 1..=3 {
        let own = seen.iter().filter(|head| {
            head.contains(&format!("X-User: {n}\r\n"))
                && head.contains(&format!("Content-Length: {n}\r\n"))
        });
        let share = own.count() as f64 / seen.len() as f64;
        assert!(seen.len() < 100 || (0.2..0.5).contains(&share), "{share}");
    }
    assert!(seen.iter().all(|head| head.contains("POST /")));
    let (output, seen) = requests("wrong", &[("--header-lines", "no field\n")], &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), seen.len()), (Some(2), 0));
    assert!(error.contains("is not NAME: VALUE") && error.lines().count() == 1);
}

#[test]
fn a_plain_file_of_requests_has_methods_fields_and_bodies() {
    let text = r#"{"method":"PUT","path":"/a","headers":{"X-User":"7"},"body":{"n":1}}"#;
    let (output, seen) = requests("requests", &[("--mix-from", text)], &[]);
    assert_eq!(json(&output)["errors"], serde_json::json!({}));
    let whole = |head: &String| {
        head.contains("PUT /a HTTP/1.1\r\n")
            && head.contains("X-User: 7\r\n")
            && head.contains("Content-Length: 7\r\n")
    };
    assert!(!seen.is_empty() && seen.iter().all(whole), "{seen:?}");
    // A replay cannot do without times.
    let (output, _) = requests("untimed", &[("--replay", text)], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_preview_is_lines_of_counts() {
    let (output, _) = requests("preview", &[], &["--preview", "--quiet", "--rate", "200"]);
    let result = json(&output);
    let lines = String::from_utf8(output.stderr).unwrap();
    let last = lines.lines().last().unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    let answered = last["answered"].as_u64().unwrap();
    assert!(answered <= result["requests"].as_u64().unwrap() && answered > 0);
}
