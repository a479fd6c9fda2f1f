//! What single variants promise beyond their roles and costs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::harness::Column;
use crate::trace::{Call, Kind, Trace};

/// Holds a variant to what it alone promises.
///
/// # Errors
/// The first promise that the trace does not bear out.
pub fn check(column: &Column, driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    match column.label().as_str() {
        "prefork" | "thread-pool:accept" => many_at_the_door(driven, "accept4"),
        "prefork:poll" => many_at_the_door(driven, "poll"),
        "prefork:flock" => {
            one_at_the_door(driven)?;
            locked_around_accept(driven)
        }
        "prefork:mutex" | "thread-pool:accept-mutex" => one_at_the_door(driven),
        "prefork:pass-fd" => descriptors_travel(trace),
        "prefork:reuseport" | "multi-reactor:reuseport" | "multi-reactor:processes-reuseport" => {
            a_listener_each(trace)
        }
        "single-reactor:epoll-edge" => never_rearmed(trace),
        "single-reactor:busy" => never_waits(driven),
        "multi-reactor:shared" => exclusive(trace),
        "multi-reactor:processes" => children_share_the_door(trace),
        "multi-reactor:processes-lock" => one_child_watches(driven),
        "leader-follower" => promotes_before_it_serves(driven),
        _ => Ok(()),
    }
}

/// Who wakes for one connection: everybody where all poll the same door, one where the kernel hands
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
fn many_at_the_door(driven: &Driven, call: &str) -> anyhow::Result<()> {
    let waits = driven.trace.waits_at(driven.ready);
    // `poll` is `ppoll` on most machines.
    let there = waits
        .iter()
        .filter(|wait| wait.name.trim_start_matches('p') == call.trim_start_matches('p'))
        .count();
    ensure!(there >= 3, "{there} of 3 workers wait in {call}");
    Ok(())
}

/// Nobody else is in accept while somebody is, until the drain empties the backlog.
fn one_at_the_door(driven: &Driven) -> anyhow::Result<()> {
    let accepts: Vec<&Call> = driven
        .trace
        .calls
        .iter()
        .filter(|call| call.name == "accept4" && call.began < driven.done)
        .collect();
    ensure!(
        accepts
            .iter()
            .map(|call| call.tid)
            .collect::<BTreeSet<_>>()
            .len()
            > 1,
        "one thread accepts: a lock is not needed"
    );
    for pair in accepts.windows(2) {
        ensure!(
            pair[1].began >= pair[0].ended || pair[0].tid == pair[1].tid,
            "{} is in accept beside {}",
            pair[1].tid,
            pair[0].tid
        );
    }
    Ok(())
}

/// Each accept of a thread stands between its taking and its leaving the lock, and nothing else
/// does but waiting for the door.
fn locked_around_accept(driven: &Driven) -> anyhow::Result<()> {
    let is_lock = |call: &Call| {
        call.name == "flock"
            || (call.name == "fcntl" && call.args.contains("F_") && call.args.contains("LK"))
    };
    let mut locked = BTreeSet::new();
    let mut taken = 0;
    // The drain's handler runs wherever its thread is.
    let calls = driven.trace.calls.iter();
    for call in calls.filter(|call| call.began < driven.done) {
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
                allowed.contains(&call.name.as_str()),
                "{} calls {} with the lock held",
                call.tid,
                call.name
            );
        }
    }
    ensure!(taken > 3, "the lock was taken {taken} times");
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
        "{} loops watch the door exclusively",
        loops.len()
    );
    Ok(())
}

/// Who comes back from a wait wakes a follower before it accepts or receives. While connections come
/// one by one both followers sleep, so this must be so for each; on the warm connection the follower
/// that was woken last may still be up, and then nobody needs to be.
fn promotes_before_it_serves(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let suspended = |call: &Call| call.name == "epoll_ctl" && call.args.contains("EPOLLONESHOT");
    ensure!(
        trace.calls.iter().any(suspended),
        "handles are not suspended"
    );
    let accepts = |call: &Call| call.name == "accept4" && call.worked();
    let (promoted, served) = promotions(trace, driven.ready, driven.served, accepts);
    ensure!(
        served == CONNECTIONS && promoted == served,
        "{promoted} of {served} connections were accepted after a promotion"
    );
    let receives = |call: &Call| call.name == "recvfrom" && call.args.contains("\"GET /");
    let (promoted, served) = promotions(trace, driven.warm, driven.done, receives);
    ensure!(
        served == REQUESTS && promoted > served / 2,
        "{promoted} of {served} requests were received after a promotion"
    );
    let leaders = trace
        .calls
        .iter()
        .filter(|call| call.name == "epoll_pwait2");
    let leaders: BTreeSet<_> = leaders.map(|call| call.tid).collect();
    ensure!(leaders.len() > 1, "one thread leads for ever");
    Ok(())
}

/// Of the calls in a window that serve: before how many their thread woke another since it last
/// came back from a wait at the set; and how many they are.
fn promotions(trace: &Trace, from: f64, to: f64, serves: impl Fn(&Call) -> bool) -> (usize, usize) {
    let (mut promoted, mut served) = (0, 0);
    for (at, call) in trace.calls.iter().enumerate() {
        if call.began <= from || call.began > to || !serves(call) {
            continue;
        }
        served += 1;
        let own = trace.calls[..at]
            .iter()
            .rev()
            .filter(|before| before.tid == call.tid);
        let mut since = own.take_while(|before| before.name != "epoll_pwait2");
        promoted += usize::from(
            since.any(|before| before.name == "futex" && before.args.contains("FUTEX_WAKE")),
        );
    }
    (promoted, served)
}

/// As many children as there are workers watch the one door, each for itself.
fn children_share_the_door(trace: &Trace) -> anyhow::Result<()> {
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
        "{children} children watch the door exclusively"
    );
    Ok(())
}

/// Whoever accepts has put the door into its own set since it last took it out, and no two *wait*
/// with it in theirs. (Who has given the lock back keeps the door in its set until it waits again.)
fn one_child_watches(driven: &Driven) -> anyhow::Result<()> {
    let calls = &driven.trace.calls;
    let listener = calls
        .iter()
        .find(|call| call.name == "listen" && call.worked());
    let door = listener
        .and_then(|call| call.args.split(',').next())
        .context("nothing listens")?;
    let mut watching = BTreeSet::new();
    // When those that wait with the door in their set come back.
    let mut waiting: BTreeMap<u32, f64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.began < driven.done) {
        let of_door = || call.args.split(", ").nth(2).map(str::trim) == Some(door);
        match call.name.as_str() {
            "epoll_ctl" if of_door() && call.args.contains("EPOLL_CTL_ADD") => {
                watching.insert(call.tid);
            }
            "epoll_ctl" if of_door() => drop(watching.remove(&call.tid)),
            "accept4" => ensure!(
                watching.contains(&call.tid),
                "{} accepts at a door it does not watch",
                call.tid
            ),
            "epoll_pwait2" if watching.contains(&call.tid) => {
                waiting.retain(|_, ends| *ends > call.began);
                waiting.insert(call.tid, call.ended);
                ensure!(waiting.len() <= 1, "{waiting:?} wait at the door");
            }
            _ => {}
        }
    }
    Ok(())
}
