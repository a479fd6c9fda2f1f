//! Servers that the bench starts by a command, and what they can do wrong.

use std::fs;
use std::time::{Duration, Instant};

use report::data::{Pass, Role};
use schema::Code;

use crate::checks::rotations_are_whole;
use crate::harness::{Folder, run, trials};

/// This binary as a server, on the port of the template.
fn server() -> String {
    let own = std::env::current_exe().expect("itself");
    format!(
        "{} serve --model x --listen {{addr}}:{{port}}",
        own.display()
    )
}

/// A file with one contender, in the folder of the test.
fn file(folder: &Folder, name: &str, command: &str, more: &str) -> String {
    let text = format!("[[contender]]\nname = \"{name}\"\ncommand = '''{command}'''\n{more}\n");
    let file = format!("{name}.toml");
    fs::write(folder.0.join(&file), text).expect("a file");
    file
}

/// Processes that were started in the folder of the test.
fn left(folder: &Folder) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let inside = processes.filter(|process| {
        let number = process
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok());
        let here = fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder.0);
        here && number.is_some_and(|pid| pid != std::process::id())
    });
    let name = |process: fs::DirEntry| fs::read_to_string(process.path().join("comm")).ok();
    inside.filter_map(name).collect()
}

/// A killed process may take a moment to be gone.
fn nothing_is_left(folder: &Folder) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !left(folder).is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(left(folder), Vec::<String>::new());
}

/// What is no usable command is said before anything is started.
pub fn what_cannot_be_started_is_one_line(folder: &Folder) {
    fs::write(folder.0.join("plain"), "no program").expect("a file");
    for (name, command, says, code) in [
        ("absent", "no-such-server {port}", "there is no command", 2),
        ("typo", "sh {port} {cores}", "'{cores}' is no field", 2),
        ("open", "sh {port} {workers", "'{workers' is not closed", 2),
        ("plain-file", "./plain {port}", "it cannot be run", 1),
    ] {
        let file = file(folder, name, command, "");
        let output = run(
            folder,
            &format!("--size smoke --scenarios latency --contenders {file} --out bad"),
        );
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(last.contains(says), "{error}");
        assert!(!folder.0.join("bad").exists());
        nothing_is_left(folder);
    }
}

pub fn what_does_not_serve_is_one_line(folder: &Folder) {
    let elsewhere = server().replace("{addr}:{port}", "127.0.0.1:0");
    for (name, command, more, says) in [
        (
            "exits",
            "sh -c 'echo no luck >&2; exit 3' {port}".to_owned(),
            "",
            "exit status 3 before it was ready; it said: no luck",
        ),
        (
            "leaves",
            "sh -c 'exit 0' {port}".to_owned(),
            "",
            "it ended with exit status 0 before it was ready",
        ),
        (
            "sleeps",
            "sh -c 'sleep 60; :' {port}".to_owned(),
            "ready_within_s = 0.3",
            "it does not listen within 0.3 s",
        ),
        (
            "elsewhere",
            format!("sh -c '{elsewhere}; :' {{port}}"),
            "ready_within_s = 0.5",
            "it listens on 127.0.0.1:",
        ),
        (
            "mute",
            server(),
            "ready_within_s = 0.5\nready = { line = 'hello there' }",
            "does not print 'hello there'",
        ),
        (
            "chatty",
            "sh -c 'yes; :' {port}".to_owned(),
            "ready_within_s = 0.5",
            "it does not listen within 0.5 s; it said: y",
        ),
    ] {
        let file = file(folder, name, &command, more);
        let output = run(
            folder,
            &format!("--size smoke --scenarios latency --contenders {file} --out bad"),
        );
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(
            last.contains(&format!("--contenders {name}: ")) && last.contains(says),
            "{error}"
        );
        assert!(!folder.0.join("bad").exists());
        nothing_is_left(folder);
    }
    too_many_rows_are_refused_with_the_time_they_would_take(folder);
    what_answers_wrongly_everywhere_is_one_line(folder);
}

/// Otherwise an hour could go into a report of cells that all say "route not offered".
fn what_answers_wrongly_everywhere_is_one_line(folder: &Folder) {
    // It answers everything at once, and so does not wait as the path says.
    let file = file(folder, "wrong", &server(), "");
    let output = run(
        folder,
        &format!("--size smoke --scenarios cooperative --contenders {file} --out bad"),
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let last = error.lines().last().unwrap_or_default();
    let says = "nothing can be measured: wrong in cooperative: route not offered: GET /wait/1000";
    assert!(last.contains(says), "{error}");
    assert!(!folder.0.join("bad").exists());
    nothing_is_left(folder);
}

fn too_many_rows_are_refused_with_the_time_they_would_take(folder: &Folder) {
    let many: Vec<String> = (1..=50).map(|n| n.to_string()).collect();
    let more = format!("workers = [{}]", many.join(","));
    let file = file(
        folder,
        "many",
        &format!("{} --workers {{workers}}", server()),
        &more,
    );
    let output = run(
        folder,
        &format!("--size smoke --scenarios latency --contenders {file} --out bad"),
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("50 rows, about") && error.trim_end().lines().count() == 1,
        "{error}"
    );
    // Two files that are small enough each, and not together, are not measured with --yes, either.
    let many: Vec<String> = (1..=600).map(|n| n.to_string()).collect();
    let more = format!("workers = [{}]", many.join(","));
    let files = ["some", "others"].map(|name| {
        let command = format!("{} --workers {{workers}}", server());
        format!("--contenders {}", self::file(folder, name, &command, &more))
    });
    let flags = "--size smoke --scenarios latency --yes --out bad";
    let output = run(folder, &format!("{flags} {}", files.join(" ")));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let time = error.split("would take about ").nth(1).unwrap_or_default();
    // Each row takes some seconds.
    assert!(
        error.contains("1200 rows") && time.contains(" min"),
        "{error}"
    );
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(!folder.0.join("bad").exists());
    nothing_is_left(folder);
}

/// One that forks away, prints for ever, ignores SIGTERM and leaves children is measured all the same, and
/// nothing of it is left.
pub fn whatever_it_does_nothing_of_it_is_left(folder: &Folder) {
    let daemon = format!("sh -c 'setsid {} & exit 0'", server());
    let chatty = format!("sh -c 'yes & setsid sleep 600 & exec {}'", server());
    let deaf = format!("sh -c 'trap \"\" TERM; {}; :'", server());
    let files = [("daemon", daemon), ("chatty", chatty), ("deaf", deaf)].map(|(name, command)| {
        let file = file(folder, name, &command, "ready = { path = \"/plaintext\" }");
        format!("--contenders {file}")
    });
    let args = format!(
        "--size smoke --passes measure --scenarios latency --out wild --seed 4 {} --rates 50",
        files.join(" ")
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    nothing_is_left(folder);
    let trials = trials(&folder.0.join("wild"));
    for name in ["daemon", "chatty", "deaf"] {
        let mut own = trials
            .iter()
            .filter(|t| t.label == name && t.pass == Pass::Measure);
        let measured = own.find_map(|trial| Some((trial, trial.figures.as_ref()?)));
        let (trial, figures) = measured.unwrap_or_else(|| panic!("{name}: {error}"));
        assert!(trial.role == Role::Target && trial.target.is_none());
        assert!(
            trial.server_command.contains("127.0.0.1:PORT"),
            "{}",
            trial.server_command
        );
        assert!(
            figures.requests > 0 && figures.private_kib > Some(10),
            "{figures:?}"
        );
        assert!(
            figures.server_cpu_us_per_request.is_some_and(|us| us > 0.0),
            "{figures:?}"
        );
    }
    let ended = |name: &str, code| {
        let mut ends = trials
            .iter()
            .filter(|t| t.label == name && t.pass == Pass::Drain);
        ends.any(|t| t.reasons.has(code))
    };
    assert!(ended("deaf", Code::NotDrained), "{error}");
    assert!(ended("chatty", Code::ProcessesLeft), "{error}");
    assert!(!ended("daemon", Code::NotDrained) && !ended("daemon", Code::ProcessesLeft));
}

/// A server that is started by a command stands in the rotations of a model, and is loaded as it is.
pub fn one_stands_beside_a_model_in_its_rotations(folder: &Folder) {
    let file = file(
        folder,
        "beside",
        &server(),
        "ready = { path = '/plaintext' }",
    );
    let args = format!(
        "--size smoke --passes measure --scenarios latency --out beside --seed 4 \
         --models single-reactor --contenders {file} --rates 50"
    );
    let output = run(folder, &args);
    let error = String::from_utf8_lossy(&output.stderr);
    // A busy machine leaves no slice VALID (1).
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    nothing_is_left(folder);
    let trials = trials(&folder.0.join("beside"));
    // The null server, both, and one of them as its own placebo.
    rotations_are_whole(&trials, 4, 4);
    let of = |label: &'static str| {
        let slices = trials.iter().filter_map(move |t| Some((t, t.slice?)));
        slices.filter(move |(t, _)| t.label == label)
    };
    let mut together = 0;
    for (model, slice) in of("single-reactor") {
        assert_eq!(model.role, Role::Model);
        let place = (model.block, slice.rotation);
        let mut others = of("beside").filter(|(t, s)| (t.block, s.rotation) == place);
        let Some((other, _)) = others.next() else {
            continue;
        };
        assert!(other.role == Role::Target && others.next().is_none());
        assert_eq!(
            (model.seed, model.shape.rate),
            (other.seed, other.shape.rate)
        );
        for trial in [model, other] {
            let figures = trial.figures.as_ref();
            together += usize::from(figures.is_some_and(|f| f.requests > 0));
        }
    }
    assert!(together >= 8, "{together}: {error}");
}
