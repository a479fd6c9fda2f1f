//! System calls of a server per request, counted by strace(1) in a window of their own.
//!
//! The tracer stops the server at every call, so nothing is timed in this window. It is attached when
//! the server has been warmed up and the connections are open, so that it counts the work of the
//! window alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use schema::Code;

use crate::failure::{Because, Unmeasured};
use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::observe::process::Process;
use crate::observe::tree;

/// How long the tracer may take to attach, and to finish.
const TRACER_WITHIN: Duration = Duration::from_secs(10);
/// How often /proc is read to see whether the tracer has attached: there is no event for it.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Calls that are rarer than this per request are left out.
const RARE: f64 = 0.001;

/// System calls as they were counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemCalls {
    /// Their number, by name.
    pub calls: BTreeMap<String, u64>,
}

/// Whether there is a tracer on this machine; if not, the remark that says so.
pub fn available() -> Result<(), String> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("strace").is_file())
    });
    found.then_some(()).ok_or_else(|| {
        "System calls are not counted: there is no strace on this machine.".to_owned()
    })
}

/// A tracer that is attached.
#[derive(Debug)]
pub struct Tracer<'a> {
    process: Process,
    file: &'a Path,
}

impl<'a> Tracer<'a> {
    /// Attaches to every task of the tree of `root`; what is counted goes to `file`.
    pub fn attach(
        root: u32,
        file: &'a Path,
        cpus: &CpuList,
        interrupt: &Interrupt,
    ) -> Result<Self, Unmeasured> {
        let pids = tree::members(root);
        let list: Vec<String> = pids.iter().map(u32::to_string).collect();
        let mut args: Vec<std::ffi::OsString> = ["-q", "-c", "-f", "-p"].map(Into::into).into();
        args.extend([list.join(",").into(), "-o".into(), file.into()]);
        let mut process = Process::spawn(Path::new("strace"), &args, cpus)
            .context("strace cannot be run")
            .because(Code::NotCounted)?;
        let deadline = Instant::now() + TRACER_WITHIN;
        while !pids.iter().all(|&pid| tree::traced(pid)) {
            let ended = process.wait(LOOK_EVERY, interrupt);
            if ended.because(Code::NotCounted)? || Instant::now() > deadline {
                process.kill();
                let line = process.error_line().unwrap_or_default();
                let why = line.trim_start_matches("strace: ");
                let text = format!("strace cannot attach: {why}");
                return Err(Unmeasured::new(Code::NotCounted, text));
            }
        }
        Ok(Self { process, file })
    }

    /// Detaches and reads what was counted.
    pub fn finish(mut self, interrupt: &Interrupt) -> Result<SystemCalls, Unmeasured> {
        self.process.interrupt().because(Code::NotCounted)?;
        let ended = self.process.wait(TRACER_WITHIN, interrupt);
        if !ended.because(Code::NotCounted)? {
            return Err(Unmeasured::new(Code::NotCounted, "strace did not end"));
        }
        let text = fs::read_to_string(self.file)
            .context("strace left no count")
            .because(Code::NotCounted)?;
        let _kept_if_not = fs::remove_file(self.file);
        parse(&text).because(Code::NotCounted)
    }
}

impl SystemCalls {
    /// Calls per request: all together, and by name.
    pub fn per_request(&self, requests: u64) -> (f64, BTreeMap<String, f64>) {
        let per_request = |calls: u64| calls as f64 / requests as f64;
        let by_name = self
            .calls
            .iter()
            .map(|(name, &calls)| (name.clone(), per_request(calls)));
        (
            per_request(self.calls.values().sum()),
            by_name.filter(|(_, calls)| *calls >= RARE).collect(),
        )
    }
}

/// The table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(text: &str) -> anyhow::Result<SystemCalls> {
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(count)) = (fields.last(), fields.get(3)) else {
            continue;
        };
        if let (Ok(count), false) = (count.parse::<u64>(), *name == "total") {
            *calls.entry((*name).to_owned()).or_default() += count;
        }
    }
    if calls.is_empty() {
        bail!("strace counted no call");
    }
    Ok(SystemCalls { calls })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    const TABLE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.10    0.012345           3      4000           sendto
 40.00    0.010000           2      4100       100 recvfrom
  7.90    0.002000           5       400           epoll_wait
  0.00    0.000000           0         2           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.024345           2      8502       100 total
";

    #[test]
    fn the_table_is_read_with_and_without_errors() {
        let counted = parse(TABLE).expect("a table");
        assert_eq!(counted.calls.len(), 4);
        assert_eq!(counted.calls["recvfrom"], 4_100);
        let (all, by_name) = counted.per_request(4_000);
        assert!((all - 8_502.0 / 4_000.0).abs() < 1e-12);
        assert_eq!(
            by_name.len(),
            3,
            "two calls in 4,000 requests are rare: {by_name:?}"
        );
        assert!((by_name["epoll_wait"] - 0.1).abs() < 1e-12);
        assert!(parse("").is_err());
    }

    #[test]
    fn the_calls_of_a_process_are_counted_where_it_is_allowed() {
        if available().is_err() {
            return;
        }
        let cpus = CpuList::allowed().expect("the kernel tells");
        let interrupt = Interrupt::watch().expect("handlers");
        let file = std::env::temp_dir().join(format!("calls-test-{}", std::process::id()));
        let script =
            "echo ready; read line; for i in 1 2 3; do kill -0 $$; done; echo done; read line";
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut stdin = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().expect("a line").expect("text");
        assert_eq!(line(), "ready");
        match Tracer::attach(child.id(), &file, &cpus, &interrupt) {
            Ok(tracer) => {
                std::io::Write::write_all(&mut stdin, b"go\n").expect("sent");
                assert_eq!(line(), "done");
                let counted = tracer.finish(&interrupt).expect("a count");
                assert_eq!(counted.calls.get("kill"), Some(&3), "{counted:?}");
            }
            // Where it is not permitted to trace another process, the reason is one line.
            Err(Unmeasured::Interrupted) => panic!("nobody interrupts"),
            Err(Unmeasured::Because(reason)) => {
                let line = reason.text;
                assert!(line.starts_with("strace cannot attach"), "{line}");
                assert_eq!(line.lines().count(), 1);
            }
        }
        drop(stdin);
        let _status = child.wait().expect("it ends");
    }
}
