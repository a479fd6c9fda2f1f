//! Contenders that end, hang or are replaced in the middle of their measurement.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than a run takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of a test, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lost-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// The lines of the run so far; the last one may be half written.
    fn trials(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.0.join("run/trials.ndjson")).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The processes that work in it, with their command lines.
    fn processes(&self) -> Vec<(u32, String)> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let inside = |process: fs::DirEntry| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let cwd = fs::read_link(process.path().join("cwd")).ok()?;
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (cwd == self.0).then_some((pid, line))
        };
        all.filter_map(inside).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Whether a line is a slice of `label` that has figures.
fn is_slice(trial: &Value, label: &str) -> bool {
    trial["label"] == label && trial["pass"].is_null() && trial["slice"].is_object()
}

/// Starts a bench of two servers that a file names, `ill` and `well`.
fn bench(folder: &Folder, command: &str) -> Child {
    let own = env!("CARGO_BIN_EXE_turnstile");
    let serve = format!("{own} serve --model single-reactor --listen {{addr}}:{{port}}");
    // The first one is measured twice, as its own placebo, and the flag tells them apart in /proc.
    let ill = command.replace(
        "SERVE",
        &serve.replace("--listen", "--queue-delay-ms 0 --listen"),
    );
    let contender = |name, command: &str| {
        format!("[[contender]]\nname = '{name}'\ncommand = \"\"\"{command}\"\"\"\n")
    };
    let text = contender("well", &serve) + &contender("ill", &ill);
    fs::write(folder.0.join("file.toml"), text).unwrap();
    Command::new(own)
        .args([
            "bench",
            "--size",
            "smoke",
            "--passes",
            "measure",
            "--scenarios",
            "latency",
        ])
        .args(["--rates", "50", "--duration", "300ms", "--seed", "3"])
        .args(["--contenders", "file.toml", "--out", "run"])
        .current_dir(&folder.0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the first slice of `ill`, and gives its server: the process and its port.
fn server_of(folder: &Folder, child: &mut Child) -> (Pid, u16) {
    let deadline = Instant::now() + PATIENCE;
    while !folder.trials().iter().any(|trial| is_slice(trial, "ill")) {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(2));
    }
    let serves = |(_, line): &(u32, String)| {
        line.starts_with(env!("CARGO_BIN_EXE_turnstile"))
            && line.contains(" serve ")
            && !line.contains(" keep ")
    };
    let mut servers = folder.processes().into_iter().filter(serves);
    let (pid, line) = servers
        .find(|(_, line)| line.contains("--queue-delay-ms"))
        .unwrap();
    let port = line.split("127.0.0.1:").nth(1).unwrap().trim();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    (pid, port.parse().unwrap())
}

/// Answers every request, as long as this process lives.
fn serve_at(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    let listener = loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => break listener,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let answer = |mut stream: TcpStream| {
        while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
            let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
            if stream.write_all(reply).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
}

/// Checks what is left of a run in which `ill` was lost: one line that says why, its windows INVALID for that
/// reason, whole measurements of the other one, and no process.
fn check(folder: &Folder, output: &Output, code: &str, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    // A busy machine may leave no slice of the other one valid (1).
    assert!(matches!(output.status.code(), Some(0 | 1)), "{error}");
    let told: Vec<&str> = error
        .lines()
        .filter(|line| line.contains("INVALID ill"))
        .collect();
    assert!(told.len() == 1 && told[0].contains(says), "{says}: {error}");
    let trials = folder.trials();
    let is_lost = |trial: &&Value| {
        trial["label"] == "ill" && trial["slice"].is_null() && trial["pass"].is_null()
    };
    let lost: Vec<&Value> = trials.iter().filter(is_lost).collect();
    // The closed loop and the open one.
    assert_eq!(lost.len(), 2, "{lost:?}");
    for trial in lost {
        assert_eq!(trial["validity"], "INVALID");
        assert_eq!(trial["findings"][0]["code"], code, "{trial}");
        let text = trial["reasons"][0].as_str().unwrap();
        assert!(text.contains(says), "{text}");
    }
    let slices = |label| trials.iter().filter(|t| is_slice(t, label)).count();
    assert!(slices("well") >= 8, "{error}");
    assert!((1..8).contains(&slices("ill")), "{error}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !folder.processes().is_empty() && Instant::now() < deadline {
        thread::yield_now();
    }
    assert_eq!(folder.processes(), []);
}

/// Runs a bench whose server `ill` is lost by what `how` does to it.
fn lose(name: &str, command: &str, how: impl Fn(Pid, u16), code: &str, says: &str) {
    let folder = Folder::new(name);
    let mut child = bench(&folder, command);
    let (pid, port) = server_of(&folder, &mut child);
    how(pid, port);
    let output = child.wait_with_output().unwrap();
    check(&folder, &output, code, says);
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn one_that_dies_is_one_line_and_the_others_go_on() {
    let says = "it ended in the middle of the measurement with signal 9";
    lose("dies", "SERVE", |pid, _| kill(pid), "ended_early", says);
}

#[test]
fn one_that_leaves_children_behind_is_seen_to_have_died() {
    let says =
        "it stopped listening in the middle of the measurement; what was left of it was killed: s";
    let command = "sh -c 'sleep 600 & SERVE & wait'";
    lose("leaves", command, |pid, _| kill(pid), "ended_early", says);
}

#[test]
fn one_that_hangs_is_one_line_and_the_others_go_on() {
    let stop = |pid, _| kill_process(pid, Signal::STOP).unwrap();
    let says = "it runs and answers no more: GET /plaintext: no answer within 3 s";
    lose("hangs", "SERVE", stop, "hangs", says);
}

#[test]
fn one_that_is_replaced_is_not_measured_under_its_name() {
    let replace = |pid, port| {
        kill(pid);
        serve_at(port);
    };
    let says = "another process answers at its address";
    lose(
        "replaced",
        "sh -c 'sleep 600 & SERVE & wait'",
        replace,
        "ended_early",
        says,
    );
}

/// What a contender may start beside its server: a process of its own session, and one that stays.
const FAMILY: &str = "sh -c 'setsid sleep 600 & sleep 600 & SERVE & wait'";

/// Runs a bench that is itself ended by `signal` in the middle of a measurement; gives how it ended.
fn end_the_bench(name: &str, signal: Signal) -> Output {
    let folder = Folder::new(name);
    let mut child = bench(&folder, FAMILY);
    server_of(&folder, &mut child);
    let sleepers = |processes: &[(u32, String)]| {
        let sleeps = processes.iter().filter(|(_, line)| line == "sleep 600 ");
        sleeps.count()
    };
    assert!(sleepers(&folder.processes()) >= 2);
    kill_process(Pid::from_child(&child), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !folder.processes().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(folder.processes(), []);
    // What was measured is kept.
    assert!(folder.trials().iter().any(|trial| is_slice(trial, "ill")));
    output
}

#[test]
fn a_bench_that_is_interrupted_leaves_nothing_running() {
    let output = end_the_bench("interrupted", Signal::INT);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
}

#[test]
fn a_bench_that_is_killed_leaves_nothing_running() {
    let output = end_the_bench("killed", Signal::KILL);
    assert_eq!(output.status.code(), None, "{output:?}");
}
