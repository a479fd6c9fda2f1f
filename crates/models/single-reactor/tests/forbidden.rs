//! If the wait of epoll is forbidden, the server says so in one line before it listens: a loop whose every wait
//! fails at once would serve nothing, at full speed.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The same number on every architecture (`asm-generic/unistd.h`).
const EPOLL_PWAIT2: i64 = 441;

/// Runs the server under a filter that answers `epoll_pwait2` with `errno`, as old container runtimes and
/// kernels do. The filter is the thread's own, and its child's.
fn serve_without_epoll(errno: i32, flags: &[&'static str]) -> Output {
    let flags = flags.to_vec();
    let served = std::thread::spawn(move || {
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(
            BTreeMap::from([(EPOLL_PWAIT2, vec![])]),
            SeccompAction::Allow,
            SeccompAction::Errno(errno as u32),
            arch,
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        Command::new(env!("CARGO_BIN_EXE_single-reactor"))
            .args(["--listen", "127.0.0.1:0", "--queue-delay-ms=0"])
            .args(flags)
            .output()
            .unwrap()
    });
    served.join().unwrap()
}

#[test]
fn it_says_what_is_forbidden_and_exits() {
    for (errno, flags) in [
        (1, vec![]),
        (38, vec![]),
        (38, vec!["--variant", "epoll-edge"]),
    ] {
        let output = serve_without_epoll(errno, &flags);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        let errors: Vec<&str> = errors.collect();
        assert!(
            matches!(errors[..], [line] if line.contains("epoll_pwait2")),
            "{said}"
        );
        assert!(output.stdout.is_empty(), "it has listened before it knew");
    }
}

/// The other variants wait otherwise, and get as far as the address.
#[test]
fn poll_does_not_need_it() {
    let flags = ["--variant", "poll", "--listen", "unix:/nowhere/at/all"];
    let output = serve_without_epoll(38, &flags);
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.contains("/nowhere/at/all"), "{line}");
}
