//! Where results go: files, links, pipes that are named, and readers that leave.
#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;

use common::{GOOD, Server, always};
use rustix::process::{Pid, Signal, kill_process};

/// The flags that name a file, and what its text begins with.
const OUTPUTS: [(&str, &str); 3] = [
    ("--json", "{"),
    ("--csv", ""),
    ("--emit-hdr", "{\"format\""),
];

/// A folder of a test, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("load-outputs-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn load(server: &Server, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command
        .arg(server.url())
        .args(["--duration", "100ms", "--warmup", "0s", "--quiet"])
        .args(["--connections", "2"])
        .args(flags);
    command
}

fn is_result(flag: &str, text: &str) {
    let (_, begins) = OUTPUTS.iter().find(|(known, _)| *known == flag).unwrap();
    assert!(
        text.starts_with(begins) && text.ends_with('\n'),
        "{flag}: {text}"
    );
    assert!(text.lines().count() > 1, "{flag}: {text}");
}

#[test]
fn a_named_pipe_is_written_to_and_stays_one() {
    let server = Server::start(always(GOOD));
    let folder = Folder::new("pipe");
    for (flag, _) in OUTPUTS {
        let pipe = folder.0.join(flag);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let read = {
            let pipe = pipe.clone();
            thread::spawn(move || fs::read_to_string(pipe).unwrap())
        };
        let status = load(&server, &[flag, pipe.to_str().unwrap()]).status();
        assert!(status.unwrap().success());
        is_result(flag, &read.join().unwrap());
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), OUTPUTS.len());
}

#[test]
fn a_link_stays_a_link_and_what_it_names_is_written() {
    let server = Server::start(always(GOOD));
    let folder = Folder::new("link");
    for (flag, _) in OUTPUTS {
        let (file, link) = (folder.0.join(format!("{flag}.file")), folder.0.join(flag));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        let status = load(&server, &[flag, link.to_str().unwrap()]).status();
        assert!(status.unwrap().success());
        is_result(flag, &fs::read_to_string(&file).unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}

#[test]
fn a_folder_is_no_file_and_said_before_the_run() {
    let server = Server::start(always(GOOD));
    let folder = Folder::new("folder");
    for (flag, _) in OUTPUTS {
        let output = load(&server, &[flag, folder.0.to_str().unwrap()]).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{flag}: {text}");
        assert!(
            text.lines().count() == 1 && text.contains("cannot write"),
            "{text}"
        );
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

/// Runs a command whose reader leaves before it prints anything.
fn without_reader(mut command: Command) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {text}");
    assert!(text.is_empty(), "{command:?}: {text}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let server = Server::start(always(GOOD));
    let folder = Folder::new("reader");
    let record = folder.0.join("record");
    for (flag, _) in OUTPUTS {
        without_reader(load(&server, &[flag, "-"]));
    }
    // The table, too.
    let mut table = Command::new(env!("CARGO_BIN_EXE_load"));
    table.arg(server.url());
    table.args(["--duration", "100ms", "--warmup", "0s", "--emit-hdr"]);
    table.arg(&record);
    without_reader(table);
    for flags in [
        &["--json", "-", "--quiet"][..],
        &["--csv", "-", "--quiet"],
        &[],
    ] {
        without_reader(merge(&record, flags));
    }
}

fn merge(record: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.arg("merge").arg(record).args(flags);
    command
}

/// The window has no length then, and no share of it means anything.
#[test]
fn an_interrupt_in_the_warm_up_tells_no_share_of_nothing() {
    let server = Server::start(always(GOOD));
    let mut child = Command::new(env!("CARGO_BIN_EXE_load"))
        .arg(server.url())
        .args(["--warmup", "60s", "--duration", "1s", "--connections", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while server.requests.load(Ordering::SeqCst) < 200 {
        thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(text.contains("interrupted"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let shares = words.windows(2).filter(|pair| pair[1].starts_with('%'));
    for pair in shares {
        let share: f64 = pair[0].trim_start_matches('(').parse().unwrap();
        assert!(share <= 100.0, "{text}");
    }
    assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
}

#[test]
fn a_rate_below_one_is_told_as_it_is() {
    let server = Server::start(always(GOOD));
    for (rate, told) in [("0.5", "of 0.50 offered"), ("0.004", "of 0.0040 offered")] {
        let output = Command::new(env!("CARGO_BIN_EXE_load"))
            .arg(server.url())
            .args(["--rate", rate, "--arrivals", "constant"])
            .args(["--duration", "200ms", "--warmup", "0s"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(told), "{text}");
    }
}
