//! Proactors: somebody else receives and sends, and the loop learns what is complete.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};

use crate::drive::{CONNECTIONS, Driven, REQUESTS};
use crate::page;
use crate::requests::ROUNDS_MORE_MAX;
use crate::trace::{Call, Kind};

/// What a ring is set up with (`io_uring_setup(2)`), and the bits where strace is older than the name.
const FLAGS: [(&str, u32); 3] = [
    ("IORING_SETUP_COOP_TASKRUN", 1 << 8),
    ("IORING_SETUP_SINGLE_ISSUER", 1 << 12),
    ("IORING_SETUP_DEFER_TASKRUN", 1 << 13),
];

/// Whether a ring is set up with a flag, by its name or among the bits that strace has none for.
fn has(ring: &Call, name: &str, bit: u32) -> bool {
    let (_, flags) = ring.args.split_once("flags=").unwrap_or(("", ""));
    let (flags, _) = flags.split_once(',').unwrap_or((flags, ""));
    flags.split('|').any(|flag| {
        let bits = flag.trim().strip_prefix("0x");
        let bits = bits.and_then(|bits| u32::from_str_radix(bits, 16).ok());
        flag.trim() == name || bits.is_some_and(|bits| bits & bit != 0)
    })
}

/// The ring belongs to one thread, which runs its completions when it waits. Multishot operations
/// and lent buffers are not in the arguments of any call, but what they save is: on a warm connection
/// one call a request submits one operation, the send, so that no receive, accept or buffer is ever
/// handed in again; a connection is one receive more.
///
/// # Errors
/// Something was submitted again, or done by a call of its own.
pub fn kernel_goes_on_by_itself(driven: &Driven) -> anyhow::Result<()> {
    let calls = &driven.trace.calls;
    let ring = calls
        .iter()
        .rfind(|call| call.name == "io_uring_setup" && call.worked())
        .context("there is no ring")?;
    let missing = FLAGS.iter().find(|(name, bit)| !has(ring, name, *bit));
    ensure!(missing.is_none(), "a ring without {missing:?}: {ring:?}");
    let only_the_ring = |from, to, names: &[&str]| {
        let mut calls = driven.trace.within(from, to);
        let other =
            calls.find(|call: &&Call| !call.is(names) && !page::is_of_the_debug_build(call));
        ensure!(other.is_none(), "a call beside the ring's: {other:?}");
        Ok(())
    };
    only_the_ring(driven.warm, driven.done, &["io_uring_enter"])?;
    only_the_ring(driven.ready, driven.served, &["io_uring_enter", "close"])?;
    let operations = submitted(calls, driven.warm, driven.done)?;
    ensure!(
        operations == REQUESTS,
        "{operations} operations submitted for {REQUESTS} requests, not a send for each"
    );
    let operations = submitted(calls, driven.ready, driven.served)?;
    ensure!(
        operations == 2 * CONNECTIONS,
        "{operations} operations for {CONNECTIONS} connections of one request, not a receive and a send each"
    );
    let rounds = driven
        .trace
        .within(driven.warm, driven.done)
        .filter(|call| !call.idle)
        .count();
    ensure!(
        rounds <= REQUESTS + ROUNDS_MORE_MAX,
        "{rounds} rounds for {REQUESTS} requests"
    );
    Ok(())
}

/// Operations that are handed to the kernel in a window: where a call begins, for it may wait long.
fn submitted(calls: &[Call], from: f64, to: f64) -> anyhow::Result<usize> {
    let enters = calls
        .iter()
        .filter(|call| call.name == "io_uring_enter" && call.began > from && call.began <= to);
    let each = enters.map(|call| call.arg(1).parse::<usize>().context("io_uring_enter"));
    each.sum()
}

/// Helper threads do what was begun: glibc tries `pread` and `pwrite`, of which sockets know nothing,
/// then reads and writes, and tells each end by a signal. The loop takes signals, and touches no
/// connection but to accept and to close it.
///
/// # Errors
/// The loop does something itself, or helpers do something else.
pub fn helpers_read_and_write(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let warm: Vec<&Call> = trace.within(driven.warm, driven.done).collect();
    for name in ["pread64", "pwrite64", "read", "write"] {
        let made: Vec<_> = warm.iter().filter(|call| call.name == name).collect();
        let who: BTreeSet<_> = made.iter().map(|call| trace.kinds.get(&call.tid)).collect();
        ensure!(
            made.len() == REQUESTS && who == BTreeSet::from([Some(&Kind::Thread)]),
            "{} times {name} for {REQUESTS} requests, by {who:?}",
            made.len()
        );
        let sockets_refuse = made.iter().all(|call| !call.worked());
        ensure!(
            sockets_refuse == name.starts_with('p'),
            "{name} is no fall-back of the other"
        );
    }
    let told = |name: &str| {
        warm.iter()
            .filter(|call| call.name == name && call.worked())
            .count()
    };
    let (sent, taken) = (told("rt_sigqueueinfo"), told("rt_sigtimedwait"));
    ensure!(
        sent == 2 * REQUESTS && taken == 2 * REQUESTS,
        "{sent} ends told by a signal, {taken} taken, of two for each of {REQUESTS} requests"
    );
    let own = trace
        .within(driven.ready, driven.done)
        .find(|call| call.tid == trace.main() && call.is(&["read", "recvfrom", "write", "sendto"]));
    ensure!(own.is_none(), "the loop does it itself: {own:?}");
    Ok(())
}
