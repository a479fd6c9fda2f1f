//! Leader/follower: one waits, and hands that over before it serves.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::trace::{Call, Kind, Trace};

const WAIT: &str = "epoll_pwait2";

/// Handles are suspended; one thread at a time waits at the set; and at each accept and each receive
/// the leadership is somebody else's to take.
///
/// # Errors
/// One of these was not so.
pub fn promotes_before_it_serves(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let suspended = |call: &Call| call.name == "epoll_ctl" && call.args.contains("EPOLLONESHOT");
    ensure!(
        trace.calls.iter().any(suspended),
        "handles are not suspended"
    );
    one_leads(driven)?;
    // While connections come one by one both followers sleep, so that each is accepted by a thread
    // that has woken one of them itself. Among requests the follower that was woken for the last one
    // may still be up, and then nobody needs to be woken.
    let accepts = |call: &Call| call.name == "accept4" && call.worked();
    let accepted = serves(trace, driven.ready, driven.served, accepts);
    let woke = accepted.iter().filter(|&&at| has_woken(trace, at)).count();
    ensure!(
        accepted.len() == CONNECTIONS && woke == CONNECTIONS,
        "{woke} of {} connections were accepted after a promotion",
        accepted.len()
    );
    let receives = |call: &Call| call.name == "recvfrom" && call.args.contains("\"GET /");
    let received = serves(trace, driven.warm, driven.done, receives);
    let heirs = received
        .iter()
        .filter(|&&at| has_woken(trace, at) || has_an_heir(trace, at));
    let heirs = heirs.count();
    ensure!(
        received.len() == REQUESTS && heirs == REQUESTS,
        "{heirs} of {} requests were received after a promotion",
        received.len()
    );
    let leaders = trace.calls.iter().filter(|call| call.name == WAIT);
    let leaders: BTreeSet<_> = leaders.map(|call| call.tid).collect();
    ensure!(leaders.len() > 1, "one thread leads for ever");
    Ok(())
}

/// No two threads wait at the set at once.
fn one_leads(driven: &Driven) -> anyhow::Result<()> {
    let calls = driven.trace.calls.iter();
    let waits: Vec<&Call> = calls
        .filter(|call| call.name == WAIT && call.began < driven.done)
        .collect();
    for pair in waits.windows(2) {
        ensure!(
            pair[1].began >= pair[0].ended,
            "{} waits at the set beside {}",
            pair[1].tid,
            pair[0].tid
        );
    }
    Ok(())
}

/// Where in the trace the calls of a window stand that serve.
fn serves(trace: &Trace, from: f64, to: f64, serves: impl Fn(&Call) -> bool) -> Vec<usize> {
    let calls = trace.calls.iter().enumerate();
    calls
        .filter(|(_, call)| call.began > from && call.began <= to && serves(call))
        .map(|(at, _)| at)
        .collect()
}

/// Whether the thread of a call has woken another since it came back from the set.
fn has_woken(trace: &Trace, at: usize) -> bool {
    let tid = trace.calls[at].tid;
    let own = trace.calls[..at]
        .iter()
        .rev()
        .filter(|call| call.tid == tid);
    own.take_while(|call| call.name != WAIT)
        .any(|call| call.name == "futex" && call.args.contains("FUTEX_WAKE"))
}

/// Whether at a call some other thread is up, or sleeps no more but by the time it takes to get up.
fn has_an_heir(trace: &Trace, at: usize) -> bool {
    let (leader, now) = (trace.calls[at].tid, trace.calls[at].began);
    let threads = trace
        .kinds
        .iter()
        .filter(|(_, kind)| **kind == Kind::Thread);
    let mut others = threads.map(|(tid, _)| *tid).filter(|tid| *tid != leader);
    others.any(|tid| {
        let last = (0..at).rev().find(|&before| trace.calls[before].tid == tid);
        let Some(last) = last else { return false };
        let call = &trace.calls[last];
        let sleeps = call.name == "futex" && call.args.contains("FUTEX_WAIT") && call.ended > now;
        // A sleep that ended at once was none: what it was to wait for had been done.
        let woken = || {
            call.returned
                .as_ref()
                .is_some_and(|text| text.contains("EAGAIN"))
                || trace.calls[last..at].iter().any(|by| {
                    by.name == "futex" && by.args.contains("FUTEX_WAKE") && by.arg(0) == call.arg(0)
                })
        };
        !sleeps || woken()
    })
}
