//! What a request on a warm connection is made of, whatever the page says: two calls, and in loops
//! the round that led to them. Nothing is armed again that need not be, and nobody asks for the time
//! or sets an option.

use anyhow::ensure;
use turnstile::Handover;

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::harness::Column;
use crate::page;
use crate::trace::{Call, WAITS};

/// In the whole window: a timer of the server's own may fire once or twice.
const BY_THE_WAY_MAX: usize = REQUESTS / 20;

/// Rounds more than there should be: a loop whose timer has come up looks once more.
pub const ROUNDS_MORE_MAX: usize = REQUESTS * 15 / 100;

/// Calls about time or options; what the kernel answers without a call (`vdso(7)`) is none.
const CLOCKS_AND_OPTIONS: &[&str] = &[
    "clock_gettime",
    "clock_nanosleep",
    "fcntl",
    "getpeername",
    "getsockname",
    "getsockopt",
    "gettimeofday",
    "ioctl",
    "nanosleep",
    "setsockopt",
    "time",
    "timer_settime",
    "timerfd_settime",
];

/// Holds a variant to the calls that it says a request takes.
///
/// # Errors
/// A request is made of something else.
pub fn check(column: &Column, driven: &Driven) -> anyhow::Result<()> {
    let super_server = column.needs_a_super_server().then(|| driven.trace.main());
    let calls: Vec<&Call> = driven
        .trace
        .within(driven.warm, driven.done)
        .filter(|call| Some(call.tid) != super_server && !call.idle)
        .filter(|call| !page::is_of_the_debug_build(call))
        .filter(|call| !driven.restless || call.worked())
        .collect();
    // `aio_cancel`, where a timer has come up, asks whether the descriptor is open.
    let cancels =
        |call: &Call| column.label() == "proactor:posix-aio" && call.args.ends_with("F_GETFL");
    let mut asked = calls.iter().filter(|call| call.is(CLOCKS_AND_OPTIONS));
    let forbidden = asked.find(|call| !cancels(call));
    ensure!(
        forbidden.is_none(),
        "a clock or an option on a warm connection: {forbidden:?}"
    );
    let Some(told) = column.own.workers.request else {
        return Ok(());
    };
    let count = |is: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
    let [received, sent] = ["recvfrom", "sendto"].map(|name| {
        let what = if name == "recvfrom" {
            "\"GET /"
        } else {
            "\"HTTP/1.1 200"
        };
        count(&|call| call.name == name && call.args.contains(what))
    });
    // Who never rests gives no moment at which all that was begun is done.
    let edge = if driven.restless { 2 } else { 0 };
    ensure!(
        received.abs_diff(REQUESTS) <= edge && sent.abs_diff(REQUESTS) <= edge,
        "{received} receives and {sent} sends for {REQUESTS} requests"
    );
    let rounds = count(&|call| call.is(WAITS));
    let [least, most] = told.rounds.map(|rounds| rounds * REQUESTS);
    ensure!(
        rounds >= least && rounds <= most + ROUNDS_MORE_MAX,
        "{rounds} rounds for {REQUESTS} requests, not {:?} for each",
        told.rounds
    );
    let socket = calls
        .iter()
        .find(|call| call.name == "recvfrom" && call.args.contains("\"GET /"))
        .map_or("", |call| call.arg(0));
    let armed = count(&|call| call.name == "epoll_ctl" && call.arg(2) == socket);
    ensure!(
        armed == told.epoll_ctls * REQUESTS,
        "{armed} epoll_ctl on the connection for {REQUESTS} requests, not {} for each",
        told.epoll_ctls
    );
    let more = calls.len() - received - sent - rounds - armed;
    ensure!(
        told.handover != Handover::None || more <= BY_THE_WAY_MAX,
        "{more} calls more than receives, sends and rounds"
    );
    if told.epoll_ctls == 0 {
        added_once(driven)?;
    }
    Ok(())
}

/// A connection is added to a selector once at most, and never changed there.
fn added_once(driven: &Driven) -> anyhow::Result<()> {
    let mut socket = None;
    let (mut accepted, mut added) = (0, 0);
    for call in driven.trace.within(driven.ready, driven.served) {
        match call.name.as_str() {
            "accept4" if call.worked() => {
                socket = call.number().map(|number| number.to_string());
                accepted += 1;
            }
            // Whoever accepts goes on to it, so no other has its number before it is closed.
            "epoll_ctl" if socket.as_deref() == Some(call.arg(2)) => {
                ensure!(
                    call.arg(1) != "EPOLL_CTL_MOD",
                    "a connection is changed in its selector: {call:?}"
                );
                added += usize::from(call.arg(1) == "EPOLL_CTL_ADD");
            }
            "close" if socket.as_deref() == Some(call.arg(0)) => socket = None,
            _ => {}
        }
    }
    ensure!(
        (accepted == CONNECTIONS || driven.restless) && added <= CONNECTIONS,
        "{accepted} of {CONNECTIONS} connections accepted, and {added} times one was added"
    );
    Ok(())
}
