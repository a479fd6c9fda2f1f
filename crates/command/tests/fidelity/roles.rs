//! Who accepts, reads, computes and writes, by the trace and by the model's own word.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};

use crate::drive::Driven;
use crate::harness::Column;
use crate::trace::{Call, Kind, Trace, WAITS};

/// Calls that give a connection to their caller.
const ACCEPT: &[&str] = &["accept4", "accept"];
const READ: &[&str] = &["recvfrom", "read", "readv", "recvmsg", "pread64"];
const WRITE: &[&str] = &["sendto", "write", "writev", "sendmsg", "pwrite64"];

/// Holds a variant to its `Roles`.
///
/// # Errors
/// Somebody else was seen, or nobody.
pub fn check(column: &Column, driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let accepts = callers(trace, |call| {
        ACCEPT.contains(&call.name.as_str()) && call.worked()
    });
    let reads = callers(trace, |call| {
        READ.contains(&call.name.as_str()) && call.args.contains("\"GET /")
    });
    let writes = callers(trace, |call| {
        WRITE.contains(&call.name.as_str()) && call.args.contains("\"HTTP/1.1 200")
    });
    let computes = driven.computed.iter().copied().collect();
    let roles = &column.roles;
    is(column, "accepts", &roles.accepts, &accepts, trace)?;
    is(column, "reads", &roles.reads, &reads, trace)?;
    is(column, "computes", &roles.computes, &computes, trace)?;
    is(column, "writes", &roles.writes, &writes, trace)?;
    let each = [
        ("accepts", roles.accepts.as_str(), accepts),
        ("reads", roles.reads.as_str(), reads),
        ("computes", roles.computes.as_str(), computes),
        ("writes", roles.writes.as_str(), writes),
    ];
    others_are_others(&each)?;
    loops_wait(column, driven, &each)
}

/// What is done, who does it by the model's own word, and who was seen to.
type Role<'a> = (&'static str, &'a str, BTreeSet<u32>);

/// Where two roles are different people's, no thread is seen in both.
fn others_are_others(roles: &[Role<'_>]) -> anyhow::Result<()> {
    for (at, (what, who, seen)) in roles.iter().enumerate() {
        for (other_what, other_who, other_seen) in &roles[at + 1..] {
            let both: Vec<_> = seen.intersection(other_seen).collect();
            ensure!(
                who == other_who || both.is_empty(),
                "{what}: {who}, {other_what}: {other_who}, it says, but {both:?} did both"
            );
        }
    }
    Ok(())
}

/// Loops wait for what is ready or complete, and threads beside loops do not.
fn loops_wait(column: &Column, driven: &Driven, roles: &[Role<'_>]) -> anyhow::Result<()> {
    if column.never_rests() {
        return Ok(());
    }
    let calls = driven.trace.within(driven.ready, driven.done);
    let waiters: BTreeSet<u32> = calls
        .filter(|call| call.is(WAITS))
        .map(|call| call.tid)
        .collect();
    let is_loop = |who: &str| matches!(who, "a loop" | "the loop" | "the front");
    // Where a thread is started for an event, the roles name the loops nowhere: these do nothing but wait.
    let has_loops = column.starts_for_requests() || roles.iter().any(|(_, who, _)| is_loop(who));
    for (what, who, seen) in roles {
        let asleep: Vec<_> = seen.difference(&waiters).collect();
        ensure!(
            !is_loop(who) || asleep.is_empty(),
            "{what}: {who}, it says, but {asleep:?} never waited as loops do"
        );
        let looping: Vec<_> = seen.intersection(&waiters).collect();
        ensure!(
            !(has_loops && matches!(*who, "a thread" | "a helper thread")) || looping.is_empty(),
            "{what}: {who}, it says, but {looping:?} waited as loops do"
        );
    }
    Ok(())
}

fn callers(trace: &Trace, does: impl Fn(&Call) -> bool) -> BTreeSet<u32> {
    trace
        .calls
        .iter()
        .filter(|call| does(call))
        .map(|call| call.tid)
        .collect()
}

/// Whether the threads that were seen are what `who` says.
fn is(
    column: &Column,
    what: &str,
    who: &str,
    seen: &BTreeSet<u32>,
    trace: &Trace,
) -> anyhow::Result<()> {
    let kinds: Vec<Kind> = seen
        .iter()
        .filter_map(|tid| trace.kinds.get(tid).copied())
        .collect();
    ensure!(
        kinds.len() == seen.len(),
        "{what}: a thread of which nobody knows where it comes from"
    );
    if who == "the kernel" {
        ensure!(
            seen.is_empty(),
            "{what}: {who}, it says, but {kinds:?} called"
        );
        return Ok(());
    }
    ensure!(
        !seen.is_empty(),
        "{what}: {who}, it says, but nobody was seen to"
    );
    let fits = |kind: &Kind| match who {
        "the process" if column.needs_a_super_server() => Ok(*kind == Kind::Child),
        "the process" | "the parent" | "the main thread" | "the loop" | "a super-server" => {
            Ok(*kind == Kind::Main)
        }
        "a child" => Ok(*kind == Kind::Child),
        "a thread" | "a helper thread" | "the acceptor thread" => Ok(*kind == Kind::Thread),
        // The main thread, unless that starts threads; a process of its own where processes compute.
        "the front" => {
            Ok((*kind == Kind::Child) == (column.roles.computes == "a child") && seen.len() == 1)
        }
        "a loop" | "a task" => Ok(*kind != Kind::Main),
        other => bail!("{what}: {other:?} is nobody that this test knows"),
    };
    for kind in &kinds {
        ensure!(fits(kind)?, "{what}: {who}, it says, but {kind:?} was seen");
    }
    Ok(())
}
