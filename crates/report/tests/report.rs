//! The report of synthetic runs: what it must show, must never show, and must survive.

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use report::data::{Env, Figures, Trial, Validity};

/// A fresh folder below the system's temporary one.
fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("turnstile-report-{}-{number}-{name}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder in the temporary one");
    dir
}

/// Writes a run, reports it, and returns every file written by name.
fn reported(name: &str, env: &Env, ndjson: &str) -> Result<BTreeMap<String, String>, String> {
    let dir = folder(name);
    fs::write(
        dir.join("env.json"),
        serde_json::to_string(env).expect("env is JSON"),
    )
    .expect("written");
    fs::write(dir.join("trials.ndjson"), ndjson).expect("written");
    let outcome = report::write(&dir).map_err(|error| format!("{error:#}"));
    let files = outcome.map(|()| files(&dir));
    fs::remove_dir_all(&dir).expect("the folder is ours");
    files
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let read = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_file())
            .collect::<Vec<_>>()
    };
    let mut all = read(dir);
    all.extend(read(&dir.join("plots")));
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let ours = all
        .iter()
        .filter(|path| !matches!(name(path).as_str(), "env.json" | "trials.ndjson"));
    ours.map(|path| (name(path), fs::read_to_string(path).expect("text")))
        .collect()
}

/// The report of a full run, written once for all tests.
fn full() -> &'static BTreeMap<String, String> {
    static FULL: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    FULL.get_or_init(written_full)
}

fn written_full() -> BTreeMap<String, String> {
    let (env, trials) = fixture::run("full", 10, 42);
    reported("full", &env, &fixture::ndjson(&trials)).expect("a report")
}

/// The cells of the verdict matrix in summary.md, by model and scenario.
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
    matrix(&files["summary.md"])[&(model.to_owned(), scenario.to_owned())].clone()
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(full(), &written_full());
}

#[test]
fn every_file_is_there_and_none_holds_what_is_no_number() {
    for (size, blocks) in [("smoke", 1), ("quick", 3), ("full", 10)] {
        let (env, trials) = fixture::run(size, blocks, 7);
        let files = reported(size, &env, &fixture::ndjson(&trials)).expect("a report");
        for name in [
            "summary.md",
            "index.html",
            "overview.svg",
            "memory.svg",
            "p99-by-rate-churn.svg",
            "percentiles-cpu.svg",
        ] {
            assert!(files.contains_key(name), "{size}: {name}");
        }
        for (name, text) in &files {
            let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
            let bad = words
                .into_iter()
                .find(|word| matches!(*word, "NaN" | "inf" | "Infinity" | "nan"));
            assert_eq!(bad, None, "{size}: {name}");
        }
    }
}

#[test]
fn every_tag_is_closed() {
    for (name, text) in full() {
        if !name.ends_with(".md") {
            balanced(name, text);
        }
    }
}

/// Panics at the first tag that closes something else than what was opened last.
fn balanced(name: &str, text: &str) {
    const VOID: [&str; 4] = ["meta", "br", "link", "hr"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let word = tag
            .trim_start_matches('/')
            .split([' ', '\n', '/'])
            .next()
            .expect("a name");
        if tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&word) {
            continue;
        }
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{name} before {:.80}", rest);
        } else {
            open.push(word);
        }
        // Style and script hold no tags of their own.
        if matches!(word, "style" | "script") && !tag.starts_with('/') {
            rest = &rest[rest.find("</").expect("style and script are closed")..];
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} left open");
}

#[test]
fn links_lead_somewhere() {
    let page = &full()["index.html"];
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().expect("a quoted target");
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
    assert!(
        !page.contains("http://www") && !page.contains("https://"),
        "nothing is fetched"
    );
}

#[test]
fn limited_is_shown_and_never_ranked() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    for trial in &mut trials {
        if trial.label == "single-reactor" && trial.validity == Validity::Valid {
            trial.validity = Validity::Limited;
            trial.reasons = vec!["generator CPU 91 % > 85 %".into()];
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
    assert!(files["index.html"].contains("class=\"limited\""));
}

#[test]
fn a_limited_leader_moves_the_verdict_to_cpu() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    let (before, after) = (
        "cpu (throughput, closed loop)",
        "cpu (server CPU a request, at 5,000/s)",
    );
    let summary =
        &reported("led", &env, &fixture::ndjson(&trials)).expect("a report")["summary.md"];
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
        &reported("led", &env, &fixture::ndjson(&trials)).expect("a report")["summary.md"];
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
    for name in ["summary.md", "index.html"] {
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
        matrix(&smoke["summary.md"])
            .values()
            .all(|cell| !cell.contains('#'))
    );
    assert!(!smoke["index.html"].contains("class=\"tier1\""));
    let (env, trials) = fixture::run("quick", 3, 3);
    let quick = reported("three", &env, &fixture::ndjson(&trials)).expect("a report");
    let cells = matrix(&quick["summary.md"]);
    assert!(cells.values().any(|cell| cell.contains("#2")));
    assert!(cells.values().all(|cell| !cell.ends_with('=')));
}

#[test]
fn a_difference_in_a_a_is_said_at_the_top() {
    let (env, mut trials) = fixture::run("full", 10, 42);
    assert!(!full()["summary.md"].contains("A/A shows a difference"));
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
    let top = files["summary.md"]
        .split("## Verdict")
        .next()
        .expect("a top");
    assert!(
        top.contains("A/A shows a difference in tiny-keepalive"),
        "{top}"
    );
}

#[test]
fn an_interrupted_run_loses_only_its_last_line() {
    let (env, trials) = fixture::run("quick", 3, 5);
    let text = fixture::ndjson(&trials);
    let cut = &text[..text.len() - 40];
    let files = reported("cut", &env, cut).expect("a report all the same");
    assert!(files["summary.md"].contains("the run was interrupted"));
    assert!(files["index.html"].contains("the run was interrupted"));
    // Whole but for its newline, the last line counts.
    let files = reported("whole", &env, text.trim_end()).expect("a report");
    assert!(!files["summary.md"].contains("the run was interrupted"));
}

#[test]
fn a_malformed_line_is_one_error_that_names_it() {
    let (env, trials) = fixture::run("smoke", 1, 5);
    let text = fixture::ndjson(&trials);
    let broken = text.replacen("\"block\":0", "\"block\":\"zero\"", 1);
    let error = reported("broken", &env, &broken).expect_err("a block is a number");
    assert!(
        error.contains("trials.ndjson:1: ") && !error.contains('\n'),
        "{error}"
    );
    let second = text.replacen('\n', "\nnonsense\n", 1);
    let error = reported("nonsense", &env, &second).expect_err("not JSON");
    assert!(error.contains("trials.ndjson:2: "), "{error}");
}

#[test]
fn an_empty_run_and_hostile_names_are_reported() {
    let (env, mut trials) = fixture::run("smoke", 1, 5);
    let files = reported("empty", &env, "").expect("a report of nothing");
    assert!(files["summary.md"].contains("no trial"));
    balanced("index.html", &files["index.html"]);
    trials.truncate(30);
    for trial in &mut trials {
        trial.label = format!("<b>|\"&{}", trial.label);
        trial.scenario = format!("</svg>{}", trial.scenario);
        let figures = trial.figures.get_or_insert_default();
        (figures.throughput_rps, figures.pss_kib) = (-1.0, Some(u64::MAX));
        figures.response_us.p99 = Some(1e300);
        figures.server_cpu_us_per_request = Some(0.0);
    }
    let files = reported("hostile", &env, &fixture::ndjson(&trials)).expect("a report");
    files
        .iter()
        .filter(|(name, _)| !name.ends_with(".md"))
        .for_each(|(name, text)| balanced(name, text));
}

#[test]
fn a_folder_without_a_run_exits_with_two() {
    let args = report::Args {
        dir: folder("nothing").join("missing"),
    };
    assert_eq!(
        format!("{:?}", report::main(&args)),
        format!("{:?}", std::process::ExitCode::from(2))
    );
}
