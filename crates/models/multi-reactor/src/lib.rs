//! **Multi-reactor**: an acceptor hands sockets to one reactor a CPU.
//!
//! ```text
//!             ┌─ main ─┐  socket   ┌───────────── loop 0 ──────────────┐
//!   clients ═▶│ accept │──────────▶│ wait ─▶ read ─▶ compute ─▶ write  │
//!             └────────┘ least ───▶│ …                        loop N-1 │
//!                        loaded    └───────────────────────────────────┘
//! ```
//!
//! accepts: the main thread · reads: a loop · computes: a loop · writes: a loop
//!
//! **Cost.** A connection: accept, a hand-over (a wake-up only where the loop slept), one
//! `epoll_ctl`, a receive that finds the FIN, close. A request: one receive and one send, and its
//! share of a wait. A connection stays with its loop, so nothing is locked. With one loop there is
//! nobody to hand to: the acceptor's own loop serves, and this is a single reactor.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `handoff` | `epoll_pwait2` ×3, `ppoll` | `accept4` ×3, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `ppoll`, `recvfrom`, (`write to an eventfd`) | `epoll_pwait2`, `recvfrom`, `sendto` | 4 |
//! | `reuseport` | `epoll_pwait2` ×3, `ppoll` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `shared` | `epoll_pwait2` ×3, `ppoll` | `accept4`, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `processes` | `epoll_pwait2` ×3, `wait4` | `accept4`, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `processes-lock` | `epoll_pwait2` ×3, `wait4` | `accept4`, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 2 |
//! | `processes-reuseport` | `epoll_pwait2` ×3, `wait4` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `pool` | `epoll_pwait2` ×3, `futex` ×64, `ppoll` | `accept4` ×3, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `ppoll`, `recvfrom`, (`write to an eventfd`) | `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`), (`write to an eventfd`) | 6 |
//! | `thread-per-event` | `epoll_pwait2` ×3, `ppoll` | `accept4` ×3, `clone3`, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `exit`, `gettid`, `madvise`, `mmap`, `mprotect`, `munmap`, `ppoll`, `prctl`, `recvfrom`, `rt_sigprocmask` ×7, `sched_getaffinity`, `set_robust_list`, `sigaltstack` ×3, (`write to an eventfd`) | `clone3`, `epoll_pwait2`, `exit`, `gettid`, `madvise`, `mmap`, `mprotect`, `munmap`, `prctl`, `recvfrom`, `rt_sigprocmask` ×7, `sched_getaffinity`, `sendto`, `set_robust_list`, `sigaltstack` ×3 | 3 |
//!
//! **What breaks it.** A handler that computes or blocks: every connection of its loop waits. Loads
//! that differ much between connections: a loop may be full while another idles.
//!
//! **When to pick it.** Many connections, short handlers, several CPUs.
//!
//! **Variants.** Each differs in how loops come by connections, and costs what is said here beside
//! the above. Nobody hands over in those where the loops accept.
//!
//! - `reuseport`: each loop has a listener of its own, and the kernel spreads by the connection's
//!   hash. accepts: a loop · reads: a loop · computes: a loop · writes: a loop. One accept that finds
//!   nobody a batch. What hashes to a busy loop waits for it, whoever is free; in a drain every loop
//!   empties every listener. TCP only.
//! - `shared`: all loops watch one listener with `EPOLLEXCLUSIVE`, so that the kernel wakes one that
//!   sleeps. accepts: a loop · reads: a loop · computes: a loop · writes: a loop. A loop takes one
//!   connection a turn and looks again, so no accept finds nobody but where two were woken. Of
//!   sleepers the kernel prefers the one that has watched longest: two `epoll_ctl` every sixteen
//!   connections put a loop at the back of the line. A full loop leaves the listener at once.
//! - `processes`: `shared` with a process for each loop, forked by a parent that only waits, and
//!   replaces what dies. accepts: a loop · reads: a loop · computes: a loop · writes: a loop. A
//!   connection is lost only with the process that holds it. With one loop it costs what a single
//!   reactor costs.
//! - `processes-lock`: before it waits, each loop tries a lock in shared memory; the one that gets
//!   it watches the listener, accepts one connection, gives the lock back and serves. accepts: a
//!   loop · reads: a loop · computes: a loop · writes: a loop. No call for the lock itself; two
//!   `epoll_ctl` where it changes hands; loops without it wake ten times a second
//!   (`accept_pause_ms_max`) to try. While the others sleep, one loop keeps it and fills first. The
//!   lock of a process that died is taken over once its parent has buried it.
//! - `processes-reuseport`: `reuseport` with a process for each loop. accepts: a loop · reads: a loop
//!   · computes: a loop · writes: a loop. The listeners are the parent's too: what waits for a
//!   process that died is served by its replacement.
//! - `pool`: the loops hand connections whose request is whole to threads that compute for all of
//!   them (`--threads-max`), and write when they come back. accepts: the main thread · reads: a loop
//!   · computes: a thread · writes: a loop. A request costs two rounds of its loop, a wake-up where a
//!   thread slept, and a `write` for the waker where the loop slept.
//! - `thread-per-event`: the loops only wait; every event on a connection is served by a thread that
//!   is started for it and ends with it (`--threads-max` at once; then the loops wait). accepts: the
//!   main thread · reads: a thread · computes: a thread · writes: a thread. The handle is suspended
//!   meanwhile: the loop counts what comes for it, and starts no other thread. A request costs the
//!   making of a thread beside the above.
//!
//! **Source.** Netty, memcached; Lea, *Scalable IO in Java*. `SO_REUSEPORT`: `socket(7)`, Linux 3.9;
//! `EPOLLEXCLUSIVE`: `epoll_ctl(2)`, Linux 4.5; processes, the accept lock and the line's back: nginx
//! (`accept_mutex`, `ngx_reorder_accept_events`).

mod acceptor;
mod pool;
mod thread_per_event;

use reactor::{AcceptLock, Epoll, Reactor, Sharing};
use server::{Children, Model, Needs, Roles, Server, Threads, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "multi-reactor",
    variants: &[
        Variant {
            name: "handoff",
            roles: Roles::accepted_by("the main thread", "a loop"),
            summary: "An acceptor hands each socket to the least loaded of several reactors.",
            pick_when: "connections are many, handlers short, and CPUs several",
            breaks_when: "a handler computes or blocks: every connection of its loop waits",
            workers: Workers::LOOPS,
            needs: Needs::USUAL,
            run: handoff,
        },
        Variant {
            name: "reuseport",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "A reactor and a listener a thread; the kernel spreads connections by their hash.",
            pick_when: "connections come and go fast, and CPUs are several",
            breaks_when: "few connections, or a loop that is busy: what was hashed to it waits, others idle or not",
            workers: Workers::LOOPS,
            needs: Needs::OWN_LISTENERS,
            run: |server| threads(server, Sharing::Nothing),
        },
        Variant {
            name: "shared",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "Several reactors watch one listener, and the kernel wakes one that sleeps.",
            pick_when: "connections are many, and whoever is free should take the next",
            breaks_when: "a handler computes or blocks: every connection of its loop waits",
            workers: Workers::LOOPS,
            needs: Needs::USUAL,
            run: |server| threads(server, Sharing::Exclusive),
        },
        Variant {
            name: "processes",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "A reactor a process; all watch one listener, and the kernel wakes one that sleeps.",
            pick_when: "a crash must cost one worker only, or the service is not safe for threads",
            breaks_when: "a handler computes or blocks, or workers must share state",
            workers: Workers::LOOPS.in_processes(),
            needs: Needs::USUAL,
            run: |server| processes(server, Sharing::Exclusive),
        },
        Variant {
            name: "processes-lock",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "A reactor a process; the one that holds the accept lock watches the listener.",
            pick_when: "never since EPOLLEXCLUSIVE, but to know what the lock costs",
            breaks_when: "one loop keeps the lock while others sleep: connections pile up in it",
            workers: Workers::LOOPS.in_processes(),
            needs: Needs::USUAL,
            run: |server| processes(server, Sharing::Lock(AcceptLock::new(server)?)),
        },
        Variant {
            name: "processes-reuseport",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "A reactor and a listener a process; the kernel spreads connections by their hash.",
            pick_when: "connections come and go fast, and a crash must cost one worker only",
            breaks_when: "few connections, or a loop that is busy: what was hashed to it waits, others idle or not",
            workers: Workers::LOOPS.in_processes(),
            needs: Needs::OWN_LISTENERS,
            run: |server| processes(server, Sharing::Nothing),
        },
        pool::VARIANT,
        thread_per_event::VARIANT,
    ],
};

/// A loop per thread, each at the listeners.
fn threads(server: &'static Server, sharing: Sharing) -> anyhow::Result<()> {
    let threads = Threads::new(server)?;
    let reactor = |number| at_listeners(server, number, sharing);
    // All before the first serves, whose connections could take the descriptors of the rest.
    let reactors: Vec<_> = (0..server.workers).map(reactor).collect::<Result<_, _>>()?;
    for (number, reactor) in reactors.into_iter().enumerate() {
        threads.spawn(number, move |_| reactor.run())?;
    }
    threads.finish();
    Ok(())
}

/// A loop per process, each at the listeners. The parent forks and replaces them, and does nothing
/// else.
fn processes(server: &'static Server, sharing: Sharing) -> anyhow::Result<()> {
    let mut children = Children::new(server);
    if let Some(child) = children.keep() {
        match at_listeners(server, child.number, sharing) {
            Ok(reactor) => reactor.run(),
            Err(error) => child.fail(&error),
        }
        child.end();
    }
    children.drain();
    Ok(())
}

/// A loop at the listeners. One without others shares them with nobody, whatever the variant is.
fn at_listeners(
    server: &'static Server,
    number: usize,
    sharing: Sharing,
) -> anyhow::Result<Reactor> {
    let sharing = match server.workers {
        1 => Sharing::Nothing,
        _ => sharing,
    };
    Reactor::at_listeners(server, number, Epoll::new()?, sharing)
}

/// An acceptor, and a loop per thread that serves the sockets it is given.
fn handoff(server: &'static Server) -> anyhow::Result<()> {
    if server.workers == 1 {
        // With one loop there is nobody to hand sockets to: it accepts for itself.
        at_listeners(server, 0, Sharing::Nothing)?.run();
        return Ok(());
    }
    let threads = Threads::new(server)?;
    let (mailboxes, inboxes) = acceptor::inboxes(server)?;
    for (number, inbox) in inboxes.into_iter().enumerate() {
        let reactor = Reactor::with_inbox(server, number, inbox)?;
        threads.spawn(number, move |_| reactor.run())?;
    }
    acceptor::accept(server, mailboxes)?;
    threads.finish();
    Ok(())
}
