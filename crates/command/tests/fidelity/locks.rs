//! A lock is held around accept, and only there.
//!
//! A lock that nobody else wants makes no call, so what a mutex does is seen by its effect: whoever
//! is not in accept and not serving waits in line.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};

use crate::drive::Driven;
use crate::trace::Call;

/// Where those wait that do not have the lock.
const LINES: &[&str] = &["flock", "futex"];

/// One worker is in accept and the others in line, at rest and while one serves; and what comes
/// meanwhile is accepted and served by another.
///
/// # Errors
/// More are in accept at once, or somebody holds the lock while serving.
pub fn held_around_accept(driven: &Driven) -> anyhow::Result<()> {
    one_in_accept(driven)?;
    for (when, at, in_line) in [
        ("at rest", driven.ready, 2),
        ("beside one that serves", driven.done, 1),
    ] {
        let waits = driven.trace.waits_at(at);
        let count = |names: &[&str]| waits.iter().filter(|wait| wait.is(names)).count();
        let (inside, waiting) = (count(&["accept4"]), count(LINES));
        ensure!(
            inside == 1 && waiting == in_line,
            "{when}: {inside} in accept and {waiting} in line, not 1 and {in_line}"
        );
    }
    not_held_while_serving(driven)
}

/// Nobody else is in accept while somebody is, until the drain empties the backlog.
fn one_in_accept(driven: &Driven) -> anyhow::Result<()> {
    let calls = driven.trace.calls.iter();
    let accepts: Vec<&Call> = calls
        .filter(|call| call.name == "accept4" && call.began < driven.second)
        .collect();
    let who: BTreeSet<_> = accepts.iter().map(|call| call.tid).collect();
    ensure!(who.len() > 1, "one thread accepts: a lock is not needed");
    // Of any two that overlap, two that follow each other do.
    for pair in accepts.windows(2) {
        ensure!(
            pair[1].began >= pair[0].ended,
            "{} is in accept beside {}",
            pair[1].tid,
            pair[0].tid
        );
    }
    Ok(())
}

/// The second connection is accepted, read and answered by another than the one whose client is
/// still there.
fn not_held_while_serving(driven: &Driven) -> anyhow::Result<()> {
    let replies = |from, to| {
        let calls = driven.trace.within(from, to);
        let replies = calls.filter(|call| call.args.contains("\"HTTP/1.1 200"));
        replies.map(|call| call.tid).collect::<BTreeSet<_>>()
    };
    let first = replies(driven.warm, driven.done);
    let second = replies(driven.done, driven.second);
    let accepted = driven
        .trace
        .within(driven.done, driven.second)
        .find(|call| call.name == "accept4" && call.worked())
        .context("the second connection was accepted by nobody")?;
    ensure!(
        second == BTreeSet::from([accepted.tid]) && first.is_disjoint(&second),
        "{second:?} served the second connection, which {} accepted, beside {first:?}",
        accepted.tid
    );
    Ok(())
}

/// Each accept of a thread stands between its taking and its leaving the lock of a file, and nothing
/// else does but waiting for the listener.
///
/// # Errors
/// Something else does.
pub fn a_file_locked_around_accept(driven: &Driven) -> anyhow::Result<()> {
    let is_lock = |call: &Call| {
        call.name == "flock"
            || (call.name == "fcntl" && call.args.contains("F_") && call.args.contains("LK"))
    };
    let mut locked = BTreeSet::new();
    let mut taken = 0;
    // The drain's handler runs wherever its thread is.
    let calls = driven.trace.calls.iter();
    for call in calls.filter(|call| call.began < driven.second) {
        if is_lock(call) {
            let leaves = call.args.contains("LOCK_UN") || call.args.contains("F_UNLCK");
            if leaves {
                locked.remove(&call.tid);
            } else if call.worked() {
                taken += 1;
                locked.insert(call.tid);
            }
        } else if call.name == "accept4" {
            ensure!(
                locked.contains(&call.tid),
                "{} accepts without the lock",
                call.tid
            );
        } else if locked.contains(&call.tid) {
            let allowed = [
                "poll",
                "ppoll",
                "interrupted",
                "rt_sigreturn",
                "restart_syscall",
            ];
            ensure!(
                call.is(&allowed),
                "{} calls {} with the lock held",
                call.tid,
                call.name
            );
        }
    }
    ensure!(taken > 3, "the lock was taken {taken} times");
    Ok(())
}
