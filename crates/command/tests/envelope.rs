//! `turnstile bench --envelope` on two real models: what it measures, what it leaves, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use schema::envelope::Line;

const TURNSTILE: &str = env!("CARGO_BIN_EXE_turnstile");

/// A folder that is removed when the value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("envelope-{name}-{}", std::process::id()));
        let _left_by_another = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn turnstile(folder: &Folder, args: &[&str]) -> Output {
    let mut command = Command::new(TURNSTILE);
    command.args(args).current_dir(&folder.0);
    command.output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(folder: &Path) -> Vec<Line> {
    let text = fs::read_to_string(folder.join("envelope.ndjson")).expect("the file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

const BENCH: [&str; 6] = [
    "bench",
    "--envelope",
    "--size",
    "smoke",
    "--models",
    "prefork,single-reactor",
];

#[test]
fn two_models_leave_every_line_and_nothing_else() {
    let folder = Folder::new("run");
    let output = turnstile(&folder, &[&BENCH[..], &["--out", "run"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("2 models, about "),
        "{}",
        said(&output)
    );
    let run = folder.0.join("run");
    let lines = lines(&run);
    let Some(Line::Run(head)) = lines.first() else {
        panic!("the first line says what was measured");
    };
    assert_eq!(head.models, ["prefork", "single-reactor"]);
    assert!(matches!(lines.last(), Some(Line::End(_))));
    let of = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
    assert_eq!(
        of(|line| matches!(line, Line::Unmeasured(_))),
        0,
        "{}",
        said(&output)
    );
    let windows = of(|line| matches!(line, Line::Overload(_)));
    assert_eq!(
        windows,
        2 * 2 * head.factors.len(),
        "models, with and without, rates"
    );
    assert_eq!(
        of(|line| matches!(line, Line::Log(_))) % (2 * head.setups.len()),
        0
    );
    overloads_add_up(&lines);
    restarts_add_up(&lines);
    for line in &lines {
        if let Line::LogEnd(end) = line {
            assert!(end.requests > 0 && end.lines > 0, "{end:?}");
        }
    }
    the_report_shows_it(&folder, &run);
}

fn overloads_add_up(lines: &[Line]) {
    for line in lines {
        let Line::Overload(window) = line else {
            continue;
        };
        let failed: u64 = window.errors.values().sum();
        assert_eq!(window.served + failed, window.scheduled, "{window:?}");
        assert!(
            window.scheduled > 0 && window.in_time <= window.served,
            "{window:?}"
        );
        let highest = (window.factor - 10.0).abs() < 1e-9;
        assert_eq!(window.after.is_some(), highest, "{window:?}");
        let after = window.after.unwrap_or_default();
        assert!(after.in_time <= after.scheduled, "{window:?}");
        let bare = window.server_command.contains("--queue-delay-ms 0");
        assert_eq!(bare, !window.sheds, "{}", window.server_command);
        assert!(
            window.sheds || !window.errors.contains_key("shed"),
            "{window:?}"
        );
    }
}

fn restarts_add_up(lines: &[Line]) {
    let restarts = lines.iter().filter_map(|line| match line {
        Line::Restart(restart) => Some(restart),
        _ => None,
    });
    let mut seen = 0;
    for restart in restarts {
        seen += 1;
        assert_eq!(restart.restarts.len(), 1, "{restart:?}");
        let moments = restart.restarts[0];
        assert!(moments.replaced_s >= moments.asked_s, "{moments:?}");
        assert_eq!(restart.served + restart.counts.total(), restart.scheduled);
        let (mut scheduled, mut served) = (0, 0);
        for slice in &restart.slices {
            scheduled += slice.scheduled;
            served += slice.served;
        }
        assert_eq!((scheduled, served), (restart.scheduled, restart.served));
        assert_eq!(restart.counts.refused, 0, "{:?}", restart.errors);
    }
    assert_eq!(seen, 2);
}

fn the_report_shows_it(folder: &Folder, run: &Path) {
    let names = |of: &Path| {
        let entries = fs::read_dir(of).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    };
    let files = [
        "env.json",
        "envelope.ndjson",
        "figures.md",
        "index.html",
        "plots",
        "summary.md",
    ];
    assert_eq!(names(run), files, "nothing else is left");
    let page = fs::read_to_string(run.join("index.html")).expect("the page");
    assert!(page.contains("what the production envelope costs, smoke run"));
    assert!(page.contains("envelope-restart"));
    let summary = fs::read_to_string(run.join("summary.md")).expect("the summary");
    assert!(
        summary.contains("- Hot restart: In 2 restarts of 2 models"),
        "{summary}"
    );
    // It is rebuilt from the raw data, and gives the same bytes.
    fs::remove_file(run.join("index.html")).expect("it was there");
    let output = turnstile(folder, &["report", "run"]);
    assert!(output.status.success(), "{}", said(&output));
    let again = fs::read_to_string(run.join("index.html")).expect("the page");
    assert_eq!(again, page);
    let output = turnstile(folder, &[&BENCH[..], &["--out", "run"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("holds an envelope"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let folder = Folder::new("refused");
    fs::write(folder.0.join("file"), "x").expect("written");
    fs::create_dir(folder.0.join("full")).expect("a folder");
    fs::write(folder.0.join("full/notes"), "x").expect("written");
    for (args, says) in [
        (&["--size", "huge"][..], "unknown size 'huge'"),
        (&["--models", "preforked"], "unknown model 'preforked'"),
        (&["--server-cpus", "x"], "--server-cpus"),
        (&["--scenarios", "churn"], "cannot be used with"),
        (&["--minutes", "3"], "cannot be used with"),
        (&["--resume", "run"], "cannot be used with"),
        (&["--out", "file"], "cannot write to file"),
        (&["--out", "full"], "neither empty nor the folder of a run"),
        (&["--server", "/bin/false"], "--server"),
    ] {
        let output = turnstile(&folder, &[&["bench", "--envelope"], args].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{args:?}: {said}");
    }
    assert_eq!(
        fs::read_dir(folder.0.join("full"))
            .expect("a folder")
            .count(),
        1
    );
}
