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

    fn usage_of(&mut self, line: &str) -> Measured {
        let pid = self.0.id();
        let own_ns = || sys::process_cpu_ns(pid).expect("alive");
        let (own_before_ns, before) = (own_ns(), Snapshot::take(pid).expect("alive"));
        self.run(line);
        let after = Snapshot::take(pid).expect("alive");
        let of = |n: u64| n as f64 / 1e3;
        let children = |stat: Option<Stat>| stat.expect("alive").children_ticks * TICK_NS;
        Measured {
            usage: after.since(&before),
            own_us_max: of(own_ns() - own_before_ns),
            children_us: of(children(stat(pid))),
        }
    }
}

/// What a line of script used, as a snapshot says and as the kernel says.
#[derive(Debug)]
struct Measured {
    usage: Usage,
    /// The clock of the shell itself, read a little before and a little after.
    own_us_max: f64,
    /// What the shell has waited for.
    children_us: f64,
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("a child of this test");
    }
}

/// Burns CPU until the process' own clock (utime, in ticks of 10 ms) has gone on by twenty ticks, of
/// which nineteen lie wholly within.
const BURN: &str = "s=$(cut -d' ' -f14 /proc/$BASHPID/stat); e=$s; \
    while (( e - s < 20 )); do for i in {1..2000}; do :; done; \
    read -r -a f < /proc/$BASHPID/stat; e=${f[13]}; done";
const BURNT_US: f64 = 190_000.0;

#[test]
fn the_cpu_of_a_living_process_is_counted() {
    let measured = Shell::start().usage_of(BURN);
    let cpu_us = measured.usage.cpu_us.expect("known");
    assert!(cpu_us >= BURNT_US, "{measured:?}");
}

#[test]
fn the_cpu_of_children_that_have_ended_is_counted_once() {
    let mut shell = Shell::start();
    let measured = shell.usage_of(&format!("( {BURN} ) & ( {BURN} ) & wait"));
    let cpu_us = measured.usage.cpu_us.expect("known");
    // Each of the two sums that are printed in ticks is cut down.
    assert!(cpu_us >= 2.0 * BURNT_US - 20_000.0, "{measured:?}");
    let once_us = measured.children_us + measured.own_us_max;
    assert!(cpu_us <= once_us, "{measured:?}");
    assert_eq!(
        measured.usage.switches, None,
        "their switches are gone, and that is said"
    );
}

#[test]
fn what_a_tree_without_children_used_is_its_own() {
    let measured = Shell::start().usage_of(":");
    let cpu_us = measured.usage.cpu_us.expect("known");
    assert!(cpu_us <= measured.own_us_max, "{measured:?}");
    assert!(measured.usage.switches > Some(0), "{measured:?}");
}

#[test]
fn a_thread_that_has_ended_leaves_its_cpu_and_takes_its_switches() {
    let pid = std::process::id();
    let before = Snapshot::take(pid).expect("alive");
    let own_us = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
    };
    let work = move || {
        while own_us() < 5_000 {
            std::hint::spin_loop();
        }
    };
    std::thread::spawn(work).join().expect("it does not panic");
    let used = Snapshot::take(pid).expect("alive").since(&before);
    assert!(used.cpu_us >= Some(5_000.0), "{used:?}");
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
    assert!(ignores_sigchld(&status("0000000000011000")));
    assert!(!ignores_sigchld(&status("0000000000001000")));
    assert!(!ignores_sigchld("Name:\tx\n"));
    let mut snapshot = Snapshot::take(std::process::id()).expect("alive");
    snapshot.ignores_sigchld = true;
    assert_eq!(snapshot.since(&snapshot).cpu_us, None);
}
