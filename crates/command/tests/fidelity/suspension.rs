//! Threads that share a handle set: nobody is given a connection that another has in hand, and that
//! takes no call.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use crate::drive::Driven;
use crate::trace::{Call, Trace};

const SERVES: &[&str] = &["recvfrom", "sendto"];

/// Listeners are suspended by the kernel, and connections are not: each is added by its edges. No two
/// calls are made on one of them at once. And what comes for one that a thread has in hand is
/// reported, and left alone until the reply before it was sent.
///
/// # Errors
/// One of these was not so.
pub fn of_what_is_in_hand(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let sets = || trace.calls.iter().filter(|call| call.name == "epoll_ctl");
    ensure!(
        sets().any(|call| call.args.contains("EPOLLONESHOT")),
        "no listener is suspended"
    );
    one_serves(trace)?;
    let mut calls = trace.within(driven.done, driven.second);
    let taken = calls
        .find(|call| call.name == "recvfrom" && call.args.contains("\"GET /sleep"))
        .context("nobody receives what is to take long")?;
    let socket = taken.arg(0);
    let added = sets()
        .filter(|call| call.began < taken.began && call.arg(2) == socket)
        .rfind(|call| call.arg(1) == "EPOLL_CTL_ADD")
        .context("its connection was never added")?;
    ensure!(
        added.args.contains("EPOLLET"),
        "a connection is not added by its edges: {added:?}"
    );
    let on_it = |call: &&Call| call.is(SERVES) && call.arg(0) == socket;
    let mut next = trace.calls.iter().filter(|call| call.began > taken.began);
    let sent = next.find(on_it).context("nobody answers")?;
    ensure!(
        sent.name == "sendto",
        "what came meanwhile was received before the reply was sent: {sent:?}"
    );
    let (_, data) = added.args.split_once("data=").unwrap_or_default();
    let event = format!("events=EPOLLIN, data={data}");
    let mut between = trace.within(taken.ended, sent.began);
    ensure!(
        between.any(|call| call.name == "epoll_pwait2" && call.args.contains(&event)),
        "what came meanwhile was not reported, as if the kernel had suspended the connection"
    );
    Ok(())
}

/// Of any two calls on a socket, the second begins when the first has ended.
fn one_serves(trace: &Trace) -> anyhow::Result<()> {
    let mut last: BTreeMap<&str, &Call> = BTreeMap::new();
    for call in trace.calls.iter().filter(|call| call.is(SERVES)) {
        if let Some(before) = last.insert(call.arg(0), call) {
            ensure!(
                call.began >= before.ended,
                "{} serves a connection that {} has in hand: {call:?}",
                call.tid,
                before.tid
            );
        }
    }
    Ok(())
}
