//! If a system call is forbidden on which a model rests, the server says so in one line before it listens. It does
//! not fall back to something else under the same name, and no loop spins whose every wait fails at once.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The same numbers on every architecture (`asm-generic/unistd.h`).
const IO_URING_SETUP: i64 = 425;
const EPOLL_PWAIT2: i64 = 441;

const EPERM: i32 = 1;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// Runs the server under a filter that answers `call` with `errno`, as container runtimes and old kernels do.
/// The filter is the thread's own, and its child's. A server that listens is ended.
fn serve_without(call: i64, errno: i32, model: &str, listen: &str) -> Output {
    let args = ["serve", "--queue-delay-ms=0", "--model", model, "--listen"];
    let args = args.map(str::to_owned).into_iter();
    let args: Vec<String> = args.chain([listen.to_owned()]).collect();
    let served = std::thread::spawn(move || {
        let filter = SeccompFilter::new(
            BTreeMap::from([(call, vec![])]),
            SeccompAction::Allow,
            SeccompAction::Errno(errno as u32),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        Command::new("timeout")
            .args(["--kill-after=1", "20", env!("CARGO_BIN_EXE_turnstile")])
            .args(args)
            .output()
            .unwrap()
    });
    served.join().unwrap()
}

#[test]
fn it_says_what_is_forbidden_and_exits() {
    let epoll = ["epoll_pwait2", "Linux 5.11"];
    for (call, errno, model, words) in [
        (IO_URING_SETUP, EPERM, "proactor", ["io_uring", "forbidden"]),
        (IO_URING_SETUP, ENOSYS, "proactor", ["io_uring", "seccomp"]),
        (
            IO_URING_SETUP,
            EINVAL,
            "proactor",
            ["io_uring", "Linux 6.1"],
        ),
        (EPOLL_PWAIT2, EPERM, "single-reactor", epoll),
        (EPOLL_PWAIT2, ENOSYS, "single-reactor:epoll-edge", epoll),
        (EPOLL_PWAIT2, ENOSYS, "multi-reactor", epoll),
        (EPOLL_PWAIT2, ENOSYS, "multi-reactor:pool", epoll),
        (EPOLL_PWAIT2, ENOSYS, "leader-follower", epoll),
        (EPOLL_PWAIT2, ENOSYS, "reactor-pool", epoll),
    ] {
        let output = serve_without(call, errno, model, "127.0.0.1:0");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{model}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        let errors: Vec<&str> = errors.collect();
        assert!(
            matches!(errors[..], [line] if words.iter().all(|word| line.contains(word))),
            "{model}: {said}"
        );
        assert!(
            output.stdout.is_empty(),
            "{model} has listened before it knew"
        );
    }
}

/// What does not rest on the call gets as far as the address.
#[test]
fn other_variants_do_not_need_it() {
    for (call, model) in [
        (IO_URING_SETUP, "proactor:posix-aio"),
        (EPOLL_PWAIT2, "single-reactor:poll"),
        (EPOLL_PWAIT2, "thread-per-client"),
    ] {
        let output = serve_without(call, ENOSYS, model, "unix:/nowhere/at/all");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("/nowhere/at/all"), "{model}: {said}");
    }
}
