//! Async tasks: coroutines on few threads.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;

use crate::drive::{CONNECTIONS, Driven};

/// No thread is made for a connection, though more are open than there are threads; each is added to
/// a selector once, by its edges; and the selector is one that all threads share, or one for each.
///
/// # Errors
/// Connections are something else than tasks.
pub fn are_no_threads(driven: &Driven, a_selector_each: bool) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let all = || trace.within(driven.ready, driven.second);
    let made = all().find(|call| call.is(&["clone", "clone3", "fork", "vfork"]));
    ensure!(made.is_none(), "a thread for a connection: {made:?}");
    let mut sets = all().filter(|call| call.name == "epoll_ctl");
    let otherwise = sets.find(|call| {
        call.args.contains("EPOLL_CTL_MOD")
            || (call.args.contains("EPOLL_CTL_ADD") && !call.args.contains("EPOLLET"))
    });
    ensure!(
        otherwise.is_none(),
        "not added once, by its edges: {otherwise:?}"
    );
    let mut waiters: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for call in trace.calls.iter().filter(|call| call.name == "epoll_wait") {
        waiters.entry(call.arg(0)).or_default().insert(call.tid);
    }
    if a_selector_each {
        ensure!(
            waiters.len() == 3 && waiters.values().all(|threads| threads.len() == 1),
            "not a selector for each of 3 threads: {waiters:?}"
        );
        stay_at_home(driven)
    } else {
        ensure!(waiters.len() == 1, "not one selector for all: {waiters:?}");
        Ok(())
    }
}

/// The thread that accepts a connection receives from it and sends to it.
fn stay_at_home(driven: &Driven) -> anyhow::Result<()> {
    let mut home = None;
    let mut served = 0;
    for call in driven.trace.within(driven.ready, driven.served) {
        match call.name.as_str() {
            "accept4" if call.worked() => home = Some(call.tid),
            "recvfrom" | "sendto" => {
                ensure!(home == Some(call.tid), "a task has moved: {call:?}");
                served += usize::from(call.name == "sendto");
            }
            _ => {}
        }
    }
    ensure!(
        served == CONNECTIONS,
        "{served} of {CONNECTIONS} connections"
    );
    Ok(())
}
