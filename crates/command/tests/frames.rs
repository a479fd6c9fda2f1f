//! The frame that loops makes the system calls.
//!
//! On processors that guard return addresses, a `ret` is slow if its `call` was made before a system
//! call. So wait, receive and send of a loop are inlined into one function of the built program. This
//! is easily lost: one call that the compiler no longer inlines is enough. The test reads the
//! disassembly of the release build.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

const RECEIVE: u32 = 45; // recvfrom
const SEND: u32 = 44; // sendto
const WAIT: u32 = 441; // epoll_pwait2

/// The loop of every model that waits at a selector: its body is compiled once for each kind.
const EVERY_SELECTOR: &str = "reactor::reactor::Reactor<S>::run";
/// epoll by level and by edge, poll, select, signals.
const SELECTORS: usize = 4;
/// What signal-driven's body waits with: rt_sigtimedwait.
const TAKE_SIGNAL: u32 = 128;

/// A part of the name of a function, and the system calls that lie in it.
const LOOPS: &[(&str, &[u32])] = &[
    (EVERY_SELECTOR, &[WAIT, RECEIVE, SEND]),
    ("leader_follower::follow", &[WAIT, RECEIVE, SEND]),
    ("server::worker::Worker>::serve", &[RECEIVE, SEND]),
    ("state::Worker>::run", &[WAIT, RECEIVE, SEND]),
    ("bench::run::null::", &[WAIT, RECEIVE, SEND]),
];

/// Builds the program as it is shipped, and returns its path.
fn program() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", "turnstile"])
        .status()
        .unwrap();
    assert!(built.success(), "the release build fails");
    // The tests are in target/PROFILE/deps.
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(3).unwrap();
    target.join("release/turnstile")
}

/// The numbers of the system calls in each function, by its address and name: a generic function
/// has one body per type, all of the same name.
///
/// A number counts if it is loaded into a register at most so many instructions before the `syscall`;
/// a compiler that keeps it in another register hides it, which the test would report.
fn system_calls(disassembly: &str) -> BTreeMap<String, BTreeSet<u32>> {
    let mut functions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let (mut name, mut number) = (String::new(), None);
    for line in disassembly.lines() {
        if line.ends_with(">:") {
            (name, number) = (line.to_owned(), None);
        } else if let Some((_, loaded)) = line.split_once("mov    $0x")
            && let Some((value, "%eax")) = loaded.trim_end().split_once(',')
        {
            number = u32::from_str_radix(value, 16).ok();
        } else if line.trim_end().ends_with("syscall")
            && let Some(number) = number
        {
            functions.entry(name.clone()).or_default().insert(number);
        }
    }
    functions
}

#[test]
fn wait_receive_and_send_of_a_loop_are_in_one_function() {
    if !cfg!(target_arch = "x86_64") {
        println!("SKIPPED: the system calls of other processors are not known to this test");
        return;
    }
    let objdump = |file: &PathBuf| {
        Command::new("objdump")
            .args(["-d", "-C", "--no-show-raw-insn"])
            .arg(file)
            .output()
    };
    if Command::new("objdump").arg("--version").output().is_err() {
        println!("SKIPPED: objdump (package binutils) is not installed");
        return;
    }
    let disassembly = objdump(&program()).unwrap();
    let functions = system_calls(&String::from_utf8_lossy(&disassembly.stdout));
    let mut missing = Vec::new();
    for (part, calls) in LOOPS {
        let found = functions.iter().filter(|(name, _)| name.contains(part));
        let found: Vec<_> = found.collect();
        let whole = found
            .iter()
            .any(|(_, has)| calls.iter().all(|call| has.contains(call)));
        // Where every body is a loop of its own (over epoll, poll, select or signals), every one
        // receives and sends.
        let every = found
            .iter()
            .all(|(_, has)| has.contains(&RECEIVE) && has.contains(&SEND));
        let signals = found.iter().any(|(_, has)| has.contains(&TAKE_SIGNAL));
        if *part == EVERY_SELECTOR && !signals {
            missing.push(format!(
                "{part} should take signals in one frame: {found:?}"
            ));
        }
        if !whole || *part == EVERY_SELECTOR && !(every && found.len() >= SELECTORS) {
            missing.push(format!(
                "{part} should make {calls:?} in one frame: {found:?}"
            ));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_disassembly_is_read() {
    let text = "\
0000000000001000 <a::run>:
    1000:\tmov    $0x2d,%eax
    1005:\tsyscall
    1007:\tmov    $0x2c,%eax
    100c:\tsyscall
    100e:\tret

0000000000002000 <b>:
    2000:\tsyscall
";
    let functions = system_calls(text);
    let run = "0000000000001000 <a::run>:";
    assert_eq!(functions.len(), 1);
    assert_eq!(functions[run], BTreeSet::from([SEND, RECEIVE]));
}
