use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// A shell that runs a line of script for each line of input and says `done` after it.
struct Shell(Child, BufReader<std::process::ChildStdout>);

impl Shell {
    fn start() -> Self {
        let mut child = Command::new("bash")
            .args([
                "-c",
                "while read -r line; do eval \"$line\"; echo done; done",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut shell = Self(child, out);
        shell.run("true");
        shell
    }

    fn run(&mut self, line: &str) {
        let input = self.0.stdin.as_mut().expect("piped");
        writeln!(input, "{line}").expect("the shell reads");
        let mut answer = String::new();
        self.1.read_line(&mut answer).expect("the shell answers");
        assert_eq!(answer, "done\n");
    }

    fn usage_of(&mut self, line: &str) -> Usage {
        let before = Snapshot::take(self.0.id()).expect("alive");
        self.run(line);
        Snapshot::take(self.0.id()).expect("alive").since(&before)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("a child of this test");
    }
}

/// Burns CPU until the process' own clock (utime, in ticks) shows 200 ms.
const BURN: &str = "s=$(cut -d' ' -f14 /proc/$BASHPID/stat); e=$s; \
    while (( e - s < 20 )); do for i in {1..2000}; do :; done; \
    read -r -a f < /proc/$BASHPID/stat; e=${f[13]}; done";

#[test]
fn the_cpu_of_a_living_process_is_counted() {
    let used = Shell::start().usage_of(BURN);
    assert!(
        used.cpu_us
            .is_some_and(|us| (190_000.0..330_000.0).contains(&us)),
        "{used:?}"
    );
}

#[test]
fn the_cpu_of_children_that_have_ended_is_counted_once() {
    let mut shell = Shell::start();
    let used = shell.usage_of(&format!("( {BURN} ) & ( {BURN} ) & wait"));
    assert!(
        used.cpu_us
            .is_some_and(|us| (370_000.0..660_000.0).contains(&us)),
        "{used:?}"
    );
    assert_eq!(
        used.switches, None,
        "their switches are gone, and that is said"
    );
}

#[test]
fn rest_costs_nothing_and_its_switches_are_known() {
    let mut shell = Shell::start();
    let used = shell.usage_of(":");
    assert!(used.cpu_us < Some(10_000.0), "{used:?}");
    assert!(
        used.switches.is_some_and(|n| (1..50).contains(&n)),
        "{used:?}"
    );
}

#[test]
fn a_thread_that_has_ended_leaves_its_cpu_and_takes_its_switches() {
    let pid = std::process::id();
    let before = Snapshot::take(pid).expect("alive");
    let work = || {
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 30 {
            std::hint::spin_loop();
        }
    };
    std::thread::spawn(work).join().expect("it does not panic");
    let used = Snapshot::take(pid).expect("alive").since(&before);
    assert!(used.cpu_us > Some(1_000.0), "{used:?}");
    assert_eq!(used.switches, None);
}

#[test]
fn memory_and_tasks_are_seen_and_a_missing_root_is_an_error() {
    let pid = std::process::id();
    let own = Footprint::take(pid);
    assert!(own.pss_kib > 500 && own.tasks >= 1, "{own:?}");
    assert!(members(pid).contains(&pid));
    assert!(Snapshot::take(u32::MAX / 4).is_err());
}

#[test]
fn ignored_sigchld_is_seen_in_the_status() {
    let status = |mask| format!("Name:\tx\nSigBlk:\t0000000000010000\nSigIgn:\t{mask}\n");
    assert!(forgets_children(&status("0000000000011000")));
    assert!(!forgets_children(&status("0000000000001000")));
    assert!(!forgets_children("Name:\tx\n"));
    let mut snapshot = Snapshot::take(std::process::id()).expect("alive");
    snapshot.forgets_children = true;
    assert_eq!(snapshot.since(&snapshot).cpu_us, None);
}
