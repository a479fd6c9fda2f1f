//! The files of records, and their sums.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use common::{GOOD, Server, Then, send};
use serde_json::Value;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::start(|stream, n| match n % 50 {
            7 => send(stream, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
            31 => Then::Reset,
            _ => send(stream, GOOD),
        })
    })
}

/// A file with a name of its own, removed at the end of the test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("load-{name}-{}", std::process::id())))
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(args)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the generator, and returns its own JSON.
fn record(file: &TemporaryFile, more: &[&str]) -> Value {
    json(&start(file, more).wait_with_output().unwrap())
}

/// Starts the generator.
fn start(file: &TemporaryFile, more: &[&str]) -> Child {
    let url = server().url();
    let args = [
        &[
            url.as_str(),
            "--warmup",
            "10ms",
            "--drain",
            "200ms",
            "--connections",
            "3",
        ][..],
        &["--json", "-", "--quiet", "--emit-hdr", file.text()],
        more,
    ];
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(args.concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs the generators at the same time.
fn together<const N: usize>(runs: [(&TemporaryFile, Vec<&str>); N]) -> [Value; N] {
    runs.map(|(file, more)| start(file, &more))
        .map(|child| json(&child.wait_with_output().unwrap()))
}

fn merge(files: &[&TemporaryFile]) -> Output {
    let files: Vec<&str> = files.iter().map(|file| file.text()).collect();
    load(&[&["merge"][..], &files, &["--json", "-", "--quiet"]].concat())
}

const SHAPES: [&[&str]; 3] = [
    &["--duration", "600ms"],
    &["--profile", "200:150ms,200-1200.5:250ms", "--threads", "2"],
    &[
        "--duration",
        "600ms",
        "--rate",
        "700.25",
        "--idle",
        "3",
        "--slow-senders",
        "2",
        "--slow-readers",
        "1",
        "--poison",
        "/x:100ms",
        "--request",
        "2:GET:/a",
        "--request",
        "1:GET:/b{n:9}",
    ],
];

#[test]
fn the_merge_of_one_record_is_its_run() {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let file = TemporaryFile::new(&format!("one-{index}"));
        let own = record(&file, shape);
        assert!(own["errors"].as_object().unwrap().len() > 1, "{own}");
        assert_eq!(json(&merge(&[&file])), own);
    }
}

#[test]
fn sums_do_not_depend_on_the_order_of_adding() {
    let files = ["a", "b", "c"].map(|name| TemporaryFile::new(&format!("sum-{name}")));
    let [a, b, c] = &files;
    let with = |seed| [SHAPES[2], &["--seed", seed][..]].concat();
    let runs = together([(a, with("1")), (b, with("2")), (c, with("3"))]);
    let sum = json(&merge(&[a, b, c]));
    let total = |field: &str| {
        runs.iter()
            .map(|run| run[field].as_f64().unwrap())
            .sum::<f64>()
    };
    for field in [
        "requests",
        "scheduled",
        "sent",
        "connections",
        "threads",
        "bytes_received",
    ] {
        assert_eq!(sum[field].as_f64().unwrap(), total(field), "{field}");
    }
    for field in ["rate_achieved", "rate_offered"] {
        let (found, expected) = (sum[field].as_f64().unwrap(), total(field));
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{field}: {found} {expected}"
        );
    }
    assert_eq!(sum["runs"], 3);
    assert_eq!(sum["idle"]["asked"], 9);
    let counts = |value: &Value| value["response_us"]["count"].as_u64().unwrap();
    assert_eq!(counts(&sum), runs.iter().map(counts).sum::<u64>());
    let bounds: Vec<f64> = runs
        .iter()
        .filter_map(|r| r["service_us"]["p99"].as_f64())
        .collect();
    let p99 = sum["service_us"]["p99"].as_f64().unwrap();
    // A percentile of the whole lies between those of its parts.
    assert!(bounds.iter().any(|&b| b <= p99) && bounds.iter().any(|&b| b >= p99));

    let mut other = json(&merge(&[c, b, a]));
    // Except for the seed of the first record, and the order of the reasons.
    other["seed"] = sum["seed"].clone();
    let sorted = |value: &Value| {
        let reasons: schema::Reasons = serde_json::from_value(value.clone()).unwrap();
        let mut reasons: Vec<_> = reasons.0.into_iter().map(|r| (r.code, r.text)).collect();
        reasons.sort();
        reasons
    };
    assert_eq!(sorted(&other), sorted(&sum));
    for field in ["reasons", "findings"] {
        other[field] = sum[field].clone();
    }
    assert_eq!(other, sum);
}

#[test]
fn parts_of_a_load_add_up_and_a_missing_one_spoils_the_sum() {
    let [a, b] = ["a", "b"].map(|name| TemporaryFile::new(&format!("part-{name}")));
    let part = |share| {
        let whole = [
            "--duration",
            "600ms",
            "--rate",
            "400",
            "--arrivals",
            "constant",
        ];
        [&whole[..], &["--share", share]].concat()
    };
    together([(&a, part("1/2")), (&b, part("2/2"))]);
    let sum = json(&merge(&[&a, &b]));
    assert_eq!(
        (&sum["connections"], &sum["rate_offered"]),
        (&3.into(), &400.0.into())
    );
    let lost = "machine c: it is lost";
    let args = [
        "merge",
        a.text(),
        "--json",
        "-",
        "--quiet",
        "--invalid",
        lost,
    ];
    let less = json(&load(&args));
    assert_eq!(less["valid"], false);
    assert!(less["reasons"].as_array().unwrap().contains(&lost.into()));
    let two_lines = load(&["merge", a.text(), "--invalid", "a\nb"]);
    assert_eq!(two_lines.status.code(), Some(2));
}

#[test]
fn a_record_that_is_not_valid_by_itself_spoils_the_sum() {
    let [a, b] = ["a", "b"].map(|name| TemporaryFile::new(&format!("own-{name}")));
    let at = |rate, seed| {
        let shape = ["--duration", "600ms", "--rate", rate, "--seed", seed];
        shape.to_vec()
    };
    // One of the two was asked for so little that nothing was due.
    let [_, own] = together([(&a, at("300", "1")), (&b, at("0.001", "2"))]);
    let because = Value::from("no request was due in the window");
    assert_eq!(
        (&own["valid"], own["scheduled"].as_u64()),
        (&false.into(), Some(0))
    );
    let sum = json(&merge(&[&a, &b]));
    assert_eq!((&sum["valid"], &sum["runs"]), (&false.into(), &2.into()));
    assert!(sum["scheduled"].as_u64() > Some(0), "{sum}");
    assert!(
        sum["reasons"].as_array().unwrap().contains(&because),
        "{sum}"
    );
    let files = ["merge", a.text(), b.text(), "--quiet"];
    let output = load(&[&files[..], &["--fail-on", "invalid"]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.starts_with("error: invalid: ")
            && text.contains("no request was due in the window")
            && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn the_same_arrivals_twice_are_refused() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| TemporaryFile::new(&format!("seed-{name}")));
    together([(&a, SHAPES[2].to_vec()), (&b, SHAPES[2].to_vec())]);
    let text = String::from_utf8(merge(&[&a, &b]).stderr).unwrap();
    assert!(text.contains("the seed 1 of another file"), "{text}");
    // Closed loops draw no arrivals.
    together([(&c, SHAPES[0].to_vec()), (&d, SHAPES[0].to_vec())]);
    assert!(merge(&[&c, &d]).status.success());
}

#[test]
fn runs_one_after_the_other_are_refused() {
    let [a, b] = ["a", "b"].map(|name| TemporaryFile::new(&format!("then-{name}")));
    record(&a, SHAPES[0]);
    record(&b, SHAPES[0]);
    let text = String::from_utf8(merge(&[&a, &b]).stderr).unwrap();
    assert!(
        text.contains("not measured at the same time: 0 %"),
        "{text}"
    );
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let [closed, pipelined, other] =
        ["closed", "pipelined", "other"].map(|name| TemporaryFile::new(&format!("refuse-{name}")));
    record(&closed, SHAPES[0]);
    record(&pipelined, &[SHAPES[0], &["--pipeline", "2"]].concat());
    fs::write(
        &other.0,
        "{\"format\":\"turnstile load record\",\"version\":9}\n{}\n",
    )
    .unwrap();
    let absent = TemporaryFile::new("refuse-absent");
    for (files, expected) in [
        (vec![&closed, &pipelined], "pipeline is 2, not 1"),
        (vec![&closed, &closed], "another file contains"),
        (vec![&closed, &other], "version 9"),
        (vec![&absent], "cannot read"),
    ] {
        let output = merge(&files);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(expected) && text.lines().count() == 1,
            "{text}"
        );
        assert!(output.stdout.is_empty());
    }
    damage(&closed.0);
    let text = String::from_utf8(merge(&[&closed]).stderr).unwrap();
    assert!(
        text.contains("do not add up") && text.lines().count() == 1,
        "{text}"
    );
}

/// Makes one count of a record wrong.
fn damage(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let (title, body) = text.split_once('\n').unwrap();
    let mut value: Value = serde_json::from_str(body).unwrap();
    value["books"]["slices"][0]["answered"] = 1.into();
    fs::write(path, format!("{title}\n{value}\n")).unwrap();
}
