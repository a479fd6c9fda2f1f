//! Events of a process tree in user mode, counted by the CPU: user instructions above all.
//!
//! An event is counted per task, and what that task starts inherits it. So one is opened for every task of
//! the tree when it is at rest; threads and processes that begin later are counted with the task that
//! started them, also when they have ended (perf_event_open(2)).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use crate::observe::sys::{self, Event};
use crate::observe::tree;

/// How often the tree is searched for tasks that have begun meanwhile.
const SEARCHES_MAX: u32 = 10;

/// A counter that had to share its place in the CPU was not there for all of the time: less than this
/// share of it makes the count an estimate.
const COUNTED_SHARE_MIN: f64 = 0.999;

/// Counters of one event in every task of a tree.
#[derive(Debug)]
pub struct Counter(Vec<OwnedFd>);

/// What one counter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    events: u64,
    enabled_ns: u64,
    counted_ns: u64,
}

impl Counter {
    /// Counts user instructions in the tree of `root`.
    pub fn instructions(root: u32) -> Result<Self, String> {
        Self::attach(Event::INSTRUCTIONS, root, true).map_err(|error| refused(&error))
    }

    fn attach(event: Event, root: u32, inherit: bool) -> io::Result<Self> {
        let mut counters = Vec::new();
        let mut known = BTreeSet::new();
        for _ in 0..SEARCHES_MAX {
            let tasks: Vec<u32> = tree::tasks(root)
                .into_iter()
                .filter(|&tid| known.insert(tid))
                .collect();
            if tasks.is_empty() {
                return Ok(Self(counters));
            }
            for tid in tasks {
                match sys::perf_event_open(event, tid, inherit) {
                    Ok(counter) => counters.push(counter),
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(io::Error::other(
            "its tasks change faster than they can be found",
        ))
    }

    /// What was counted so far, in the whole tree.
    pub fn read(&self) -> Result<u64, String> {
        let counts: io::Result<Vec<Count>> = self.0.iter().map(read).collect();
        total(&counts.map_err(|error| format!("the counter cannot be read: {error}"))?)
    }
}

fn read(counter: &OwnedFd) -> io::Result<Count> {
    let mut bytes = [0; 24];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(counter, &mut bytes))?;
    if length != bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[at..at + 8]);
        u64::from_ne_bytes(eight)
    };
    Ok(Count {
        events: number(0),
        enabled_ns: number(8),
        counted_ns: number(16),
    })
}

/// The events of all tasks; none where a counter was not there all the time.
fn total(counts: &[Count]) -> Result<u64, String> {
    let sum = |of: fn(&Count) -> u64| counts.iter().map(of).sum::<u64>();
    let (enabled, counted) = (sum(|each| each.enabled_ns), sum(|each| each.counted_ns));
    if (counted as f64) < COUNTED_SHARE_MIN * enabled as f64 {
        return Err(format!(
            "others use the counters of the CPU, too: it counted for {:.0} % of the time",
            100.0 * counted as f64 / enabled as f64
        ));
    }
    Ok(sum(|each| each.events))
}

/// Why the kernel refuses, in one line.
fn refused(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP) => {
            "this machine has no hardware counters (a virtual machine often has none)".to_owned()
        }
        Some(libc::EACCES | libc::EPERM) => {
            let file = "/proc/sys/kernel/perf_event_paranoid";
            let level = std::fs::read_to_string(file).unwrap_or_default();
            format!(
                "the kernel does not permit it: {file} is {} (2 or less is needed), or the container forbids perf_event_open",
                level.trim()
            )
        }
        Some(libc::ENOSYS) => "this kernel has no perf_event_open".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    fn count(events: u64, enabled_ns: u64, counted_ns: u64) -> Count {
        Count {
            events,
            enabled_ns,
            counted_ns,
        }
    }

    #[test]
    fn the_tasks_of_a_tree_add_up_and_a_shared_counter_is_no_count() {
        assert_eq!(total(&[]), Ok(0));
        let both = [count(1_000, 50, 50), count(234, 7, 7), count(0, 0, 0)];
        assert_eq!(total(&both), Ok(1_234));
        let told = total(&[count(1_000, 100, 50), count(10, 0, 0)]).expect_err("half of it");
        assert!(told.ends_with("it counted for 50 % of the time"), "{told}");
        assert!(total(&[count(1_000, 100, 0)]).is_err(), "never counted");
    }

    #[test]
    fn a_refusal_is_one_line_that_says_whose_it_is() {
        let of = |code| refused(&io::Error::from_raw_os_error(code));
        assert!(of(libc::ENOENT).starts_with("this machine has no hardware counters"));
        assert!(of(libc::EACCES).contains("perf_event_paranoid"));
        assert!(of(libc::ENOSYS).contains("this kernel"));
        for code in [libc::ENOENT, libc::EPERM, libc::EMFILE] {
            assert_eq!(of(code).lines().count(), 1);
        }
    }

    /// What is not asserted of instructions, because few machines of a CI have them, is asserted of page
    /// faults, which the kernel itself counts in the same way.
    #[test]
    fn what_a_tree_starts_is_counted_with_it() {
        let script = "read line; for i in 1 2 3 4; do /bin/sh -c :; done; echo done; read line";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut stdin = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let attach = |inherit| Counter::attach(Event::PAGE_FAULTS, child.id(), inherit);
        match (attach(true), attach(false)) {
            (Ok(tree), Ok(alone)) => {
                stdin.write_all(b"go\n").expect("sent");
                let line = lines.next().expect("a line").expect("text");
                assert_eq!(line, "done");
                let (tree, alone) = (tree.read().expect("read"), alone.read().expect("read"));
                // No program starts without some page faults, and four shells were started.
                assert!(alone > 0 && tree > alone + 4 * 10, "{tree} {alone}");
            }
            (Err(error), _) | (_, Err(error)) => println!("skipped: {}", refused(&error)),
        }
        // Instructions are counted, or it is said why they cannot be.
        match Counter::instructions(child.id()) {
            Ok(counter) => {
                stdin.write_all(b"end\n").expect("sent");
                let _status = child.wait().expect("it ends");
                assert!(counter.read().is_ok_and(|count| count > 0));
            }
            Err(why) => {
                println!("no instructions: {why}");
                assert!(!why.is_empty() && why.lines().count() == 1);
                drop(stdin);
                let _status = child.wait().expect("it ends");
            }
        }
    }
}
