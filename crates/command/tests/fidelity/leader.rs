//! Leader/follower: one waits, and hands that over before it serves.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::trace::{Call, Trace};

const WAIT: &str = "epoll_pwait2";

/// One thread at a time waits at the set, and whoever accepts or receives has woken another before:
/// the client comes when both followers sleep.
///
/// # Errors
/// One of these was not so.
pub fn promotes_before_it_serves(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    one_leads(driven)?;
    let accepts = |call: &Call| call.name == "accept4" && call.worked();
    let accepted = serves(trace, driven.ready, driven.served, accepts);
    let receives = |call: &Call| call.name == "recvfrom" && call.args.contains("\"GET /");
    let received = serves(trace, driven.warm, driven.done, receives);
    for (what, served, of) in [
        ("connections were accepted", accepted, CONNECTIONS),
        ("requests were received", received, REQUESTS),
    ] {
        let woke = served.iter().filter(|&&at| has_woken(trace, at)).count();
        ensure!(
            served.len() == of && woke == of,
            "{woke} of {} {what} after a promotion",
            served.len()
        );
    }
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
