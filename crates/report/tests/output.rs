//! The files of a report: complete, well formed, the same every time, and there whatever is read.

mod fixture;

use std::fs;

use fixture::written::{balanced, folder, full, linked, packed, reported, written_full};

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
            "figures.md",
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

#[test]
fn links_lead_somewhere() {
    let page = &full()["index.html"];
    linked(page);
    assert!(
        !page.contains("http://www") && !page.contains("https://"),
        "nothing is fetched"
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

#[test]
fn a_packed_run_gives_the_same_report() {
    let (env, trials) = fixture::run("quick", 3, 5);
    let text = fixture::ndjson(&trials);
    let plain = reported("plain", &env, &text).expect("a report");
    let dir = folder("packed");
    fs::write(
        dir.join("env.json"),
        serde_json::to_string(&env).expect("JSON"),
    )
    .expect("written");
    let gz = packed(&text);
    fs::write(dir.join("trials.ndjson.gz"), &gz).expect("written");
    report::write(&dir).expect("a report of the packed trials");
    let page = || fs::read_to_string(dir.join("index.html")).expect("written");
    assert_eq!(page(), plain["index.html"]);

    // Packed in two pieces, as gzip allows, it is still one file.
    let (head, tail) = text.split_at(text.len() / 2);
    let pieces = [packed(head), packed(tail)].concat();
    fs::write(dir.join("trials.ndjson.gz"), pieces).expect("written");
    report::write(&dir).expect("a report");
    assert_eq!(page(), plain["index.html"]);

    // What is cut off or no gzip at all is one line that names the file, and nothing is overwritten.
    for bad in [&gz[..gz.len() / 2], b"no gzip"] {
        fs::write(dir.join("trials.ndjson.gz"), bad).expect("written");
        let error = format!("{:#}", report::write(&dir).expect_err("not unpacked"));
        assert!(
            error.contains("trials.ndjson.gz: cannot be unpacked: ") && !error.contains('\n'),
            "{error}"
        );
        let ended = report::main(&report::Args { dir: dir.clone() });
        assert_eq!(
            format!("{ended:?}"),
            format!("{:?}", std::process::ExitCode::FAILURE)
        );
        assert_eq!(page(), plain["index.html"]);
    }

    // Of both, the file that is not packed is read.
    fs::write(dir.join("trials.ndjson"), &text).expect("written");
    report::write(&dir).expect("a report of the other file");
    fs::remove_dir_all(&dir).expect("the folder is ours");
}
