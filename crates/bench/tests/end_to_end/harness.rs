//! What every test does: run the bench in a folder, and read what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use report::data::{Env, Trial};

/// A folder of this test, removed when the value is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

pub fn command(folder: &Folder, args: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("itself"));
    command
        .arg("bench")
        .args(args.split_whitespace())
        .current_dir(&folder.0);
    command
}

pub fn run(folder: &Folder, args: &str) -> Output {
    command(folder, args).output().expect("it runs")
}

pub fn trials(run: &Path) -> Vec<Trial> {
    let text = fs::read_to_string(run.join("trials.ndjson")).expect("trials");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// The lines with all their fields.
pub fn lines(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("trials.ndjson")).expect("trials");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

pub fn env(run: &Path) -> Env {
    serde_json::from_slice(&fs::read(run.join("env.json")).expect("env")).expect("an Env")
}
