//! If io_uring is forbidden, the server says so in one line before it listens: it does not fall
//! back to something else under the same name.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The same number on every architecture (`asm-generic/unistd.h`).
const IO_URING_SETUP: i64 = 425;

/// Runs the server under a filter that answers `io_uring_setup` with `errno`, as container runtimes
/// do. The filter is the thread's own, and its child's.
fn serve_without_rings(errno: i32, flags: &[&'static str]) -> Output {
    let flags = flags.to_vec();
    let served = std::thread::spawn(move || {
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(
            BTreeMap::from([(IO_URING_SETUP, vec![])]),
            SeccompAction::Allow,
            SeccompAction::Errno(errno as u32),
            arch,
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        Command::new(env!("CARGO_BIN_EXE_proactor"))
            .args(["--listen", "127.0.0.1:0", "--queue-delay-ms=0"])
            .args(flags)
            .output()
            .unwrap()
    });
    served.join().unwrap()
}

#[test]
fn it_says_what_forbids_it_and_exits() {
    for (errno, words) in [(1, "forbidden"), (38, "seccomp"), (22, "Linux 6.1")] {
        let output = serve_without_rings(errno, &[]);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains(words) && line.contains("io_uring"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(output.stdout.is_empty(), "it has listened before it knew");
    }
}

/// The other variant gets as far as the address.
#[test]
fn posix_aio_does_not_need_it() {
    let flags = ["--variant", "posix-aio", "--listen", "unix:/nowhere/at/all"];
    let output = serve_without_rings(1, &flags);
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.contains("/nowhere/at/all"), "{line}");
}
