//! What single variants promise beyond their roles and costs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};

use crate::drive::{Driven, shares_handles};
use crate::harness::Column;
use crate::trace::{Call, Kind, Trace};
use crate::{completions, leader, locks, signals, suspension, tasks};

/// Holds a variant to what it alone promises.
///
/// # Errors
/// The first promise that the trace does not bear out.
pub fn check(column: &Column, driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    if shares_handles(column) {
        suspension::of_what_is_in_hand(driven)?;
    }
    match column.label().as_str() {
        "prefork" | "thread-pool:accept" => many_at_the_listener(driven, "accept4"),
        "prefork:poll" => many_at_the_listener(driven, "poll"),
        "prefork:flock" => {
            locks::held_around_accept(driven)?;
            locks::a_file_locked_around_accept(driven)
        }
        "prefork:mutex" | "thread-pool:accept-mutex" => locks::held_around_accept(driven),
        "prefork:pass-fd" => descriptors_travel(trace),
        "prefork:reuseport"
        | "multi-reactor:reuseport"
        | "multi-reactor:processes-reuseport"
        | "proactor:reuseport" => a_listener_each(trace),
        "single-reactor:epoll-edge" => never_rearmed(trace),
        "single-reactor:busy" => never_waits(driven),
        "multi-reactor:shared" => exclusive(trace),
        "multi-reactor:processes" => children_share_the_listener(trace),
        "multi-reactor:processes-lock" => one_child_watches(driven),
        "leader-follower" => leader::promotes_before_it_serves(driven),
        "proactor" => completions::kernel_goes_on_by_itself(driven),
        "proactor:posix-aio" => completions::helpers_read_and_write(driven),
        "signal-driven" => signals::sockets_tell(driven),
        "signal-driven:udp" => {
            signals::sockets_tell(driven)?;
            signals::datagrams_tell(driven)
        }
        "async-tasks" => tasks::are_no_threads(driven, false),
        "async-tasks:local" => tasks::are_no_threads(driven, true),
        _ => Ok(()),
    }
}

/// Who wakes for one connection: everybody where all poll the same listener, one where the kernel hands
/// it out.
///
/// # Errors
/// More, or fewer, than the variant is there to show.
pub fn check_wakeups(column: &Column, wakeups: f64) -> anyhow::Result<()> {
    match column.label().as_str() {
        "prefork:poll" => ensure!(
            wakeups >= 6.0,
            "no herd: {wakeups:.1} wake-ups among 8 workers"
        ),
        "prefork" | "prefork:reuseport" | "thread-pool:accept" | "multi-reactor:shared" => {
            ensure!(
                wakeups <= 6.0,
                "a herd: {wakeups:.1} wake-ups among 8 workers"
            );
        }
        _ => {}
    }
    Ok(())
}

/// Several block in `call` on the one listener.
fn many_at_the_listener(driven: &Driven, call: &str) -> anyhow::Result<()> {
    let waits = driven.trace.waits_at(driven.ready);
    // `poll` is `ppoll` on most machines.
    let there = waits
        .iter()
        .filter(|wait| wait.name.trim_start_matches('p') == call.trim_start_matches('p'))
        .count();
    ensure!(there >= 3, "{there} of 3 workers wait in {call}");
    Ok(())
}

/// A descriptor leaves in a control message of the parent, and arrives in a child.
fn descriptors_travel(trace: &Trace) -> anyhow::Result<()> {
    let main = trace.main();
    let with = |name: &str, by_main: bool| {
        let mut calls = trace
            .calls
            .iter()
            .filter(|call| call.name == name && call.args.contains("SCM_RIGHTS") && call.worked());
        calls.any(|call| (call.tid == main) == by_main)
    };
    ensure!(with("sendmsg", true), "the parent sends no descriptor");
    ensure!(with("recvmsg", false), "no child receives a descriptor");
    Ok(())
}

/// As many sockets listen as there are workers, each with SO_REUSEPORT.
fn a_listener_each(trace: &Trace) -> anyhow::Result<()> {
    let shared = trace
        .calls
        .iter()
        .filter(|call| call.name == "setsockopt" && call.args.contains("SO_REUSEPORT"))
        .count();
    let listening = trace
        .calls
        .iter()
        .filter(|call| call.name == "listen" && call.worked())
        .count();
    ensure!(
        listening >= 3 && shared >= 3,
        "{listening} listeners, {shared} of them share the port"
    );
    Ok(())
}

fn never_rearmed(trace: &Trace) -> anyhow::Result<()> {
    let mut sets = trace.calls.iter().filter(|call| call.name == "epoll_ctl");
    ensure!(
        !sets.clone().any(|call| call.args.contains("EPOLL_CTL_MOD")),
        "a connection is armed again"
    );
    ensure!(
        sets.any(|call| call.args.contains("EPOLLET")),
        "nothing is watched by its edge"
    );
    Ok(())
}

/// It asks every socket, again and again, and waits nowhere.
fn never_waits(driven: &Driven) -> anyhow::Result<()> {
    let waits = [
        "epoll_pwait2",
        "epoll_wait",
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "nanosleep",
        "clock_nanosleep",
    ];
    let mut calls = driven.trace.within(driven.ready, driven.done);
    ensure!(
        !calls.any(|call| waits.contains(&call.name.as_str())),
        "it waits"
    );
    Ok(())
}

fn exclusive(trace: &Trace) -> anyhow::Result<()> {
    let shared = trace
        .calls
        .iter()
        .filter(|call| call.name == "epoll_ctl" && call.args.contains("EPOLLEXCLUSIVE"));
    let loops: BTreeSet<_> = shared.map(|call| call.args.split(',').next()).collect();
    ensure!(
        loops.len() >= 3,
        "{} loops watch the listener exclusively",
        loops.len()
    );
    Ok(())
}

/// As many children as there are workers watch the one listener, each for itself.
fn children_share_the_listener(trace: &Trace) -> anyhow::Result<()> {
    let watches = |call: &&Call| {
        call.name == "epoll_ctl" && call.args.contains("EPOLLEXCLUSIVE") && call.worked()
    };
    let watchers: BTreeSet<_> = trace
        .calls
        .iter()
        .filter(watches)
        .map(|call| call.tid)
        .collect();
    let children = watchers
        .iter()
        .filter(|tid| trace.kinds.get(tid) == Some(&Kind::Child))
        .count();
    ensure!(
        children >= 3,
        "{children} children watch the listener exclusively"
    );
    Ok(())
}

/// Whoever accepts has put the listener into its own set since it last took it out, and no two *wait*
/// with it in theirs. (Who has given the lock back keeps the listener in its set until it waits again.)
fn one_child_watches(driven: &Driven) -> anyhow::Result<()> {
    let calls = &driven.trace.calls;
    let listener = calls
        .iter()
        .find(|call| call.name == "listen" && call.worked());
    let listener = listener
        .and_then(|call| call.args.split(',').next())
        .context("nothing listens")?;
    let mut watching = BTreeSet::new();
    // When those that wait with the listener in their set come back.
    let mut waiting: BTreeMap<u32, f64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.began < driven.done) {
        let of_listener = || call.args.split(", ").nth(2).map(str::trim) == Some(listener);
        match call.name.as_str() {
            "epoll_ctl" if of_listener() && call.args.contains("EPOLL_CTL_ADD") => {
                watching.insert(call.tid);
            }
            "epoll_ctl" if of_listener() => drop(watching.remove(&call.tid)),
            "accept4" => ensure!(
                watching.contains(&call.tid),
                "{} accepts at a listener it does not watch",
                call.tid
            ),
            "epoll_pwait2" if watching.contains(&call.tid) => {
                waiting.retain(|_, ends| *ends > call.began);
                waiting.insert(call.tid, call.ended);
                ensure!(waiting.len() <= 1, "{waiting:?} wait at the listener");
            }
            _ => {}
        }
    }
    Ok(())
}
