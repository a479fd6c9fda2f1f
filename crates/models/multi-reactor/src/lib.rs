//! **Multi-reactor**: an acceptor gives each socket to one of several reactors, one per CPU.
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
//! **Cost.** Per connection: an accept, a pass through the inbox of a loop (and a wake-up if the
//! loop was asleep), one `epoll_ctl`, a receive that finds the FIN, a close. Per request: one
//! receive and one send, and a share of a wait. A connection stays with its loop, so nothing is
//! locked. With one loop there is no acceptor: the loop accepts for itself, and this is a single
//! reactor.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
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
//! that differ much between connections: one loop may be busy while another is idle.
//!
//! **When to pick it.** There are many connections, handlers are short, and there are several CPUs.
//!
//! **Variants.** They differ in how loops get connections. Each costs what is said here in addition
//! to the above. Where the loops accept, no socket passes through an inbox.
//!
//! - `reuseport`: each loop has a listener of its own, and the kernel spreads connections by their
//!   hash. accepts: a loop · reads: a loop · computes: a loop · writes: a loop. There is one accept
//!   per batch that finds no client. A connection whose hash leads to a busy loop waits for that loop,
//!   even if others are free; in a drain every loop empties every listener. TCP only.
//! - `shared`: all loops watch one listener with `EPOLLEXCLUSIVE`, so that the kernel wakes one
//!   that sleeps. accepts: a loop · reads: a loop · computes: a loop · writes: a loop. A loop
//!   accepts one connection per turn, then waits again, so that an accept finds no client only if two
//!   loops were woken. Of the loops that sleep, the kernel wakes the one that has watched longest:
//!   so a loop watches the listener again after every sixteen connections, with two `epoll_ctl`, and
//!   others are woken first. A loop that is full stops watching the listener at once.
//! - `processes`: the same as `shared`, with a process per loop. A parent forks them, replaces
//!   those that die, and does nothing else. accepts: a loop · reads: a loop · computes: a loop ·
//!   writes: a loop. When a process dies, its connections are lost and no others. With one loop it
//!   costs what a single reactor costs.
//! - `processes-lock`: before it waits, each loop tries for a lock in shared memory; the loop that
//!   gets it watches the listener, accepts one connection, releases the lock and serves. accepts: a
//!   loop · reads: a loop · computes: a loop · writes: a loop. The lock itself costs no system
//!   call; there are two `epoll_ctl` when it passes to another loop. Loops without it wake ten
//!   times per second (`accept_pause_ms_max`) to try for it. While the others sleep, one loop keeps
//!   the lock and fills up first. When a process dies, its lock is free once the parent has reaped
//!   it.
//! - `processes-reuseport`: the same as `reuseport`, with a process per loop. accepts: a loop ·
//!   reads: a loop · computes: a loop · writes: a loop. The listeners belong to the parent, too:
//!   connections that wait for a process that has died are served by its replacement.
//! - `pool`: the loops give connections whose request is complete to threads that compute for all
//!   of them (`--threads-max`), and write when the connections come back. accepts: the main thread
//!   · reads: a loop · computes: a thread · writes: a loop. A request costs two rounds of its loop,
//!   a wake-up if a thread was asleep, and a `write` to the eventfd if the loop was.
//! - `thread-per-event`: the loops only wait. Every event of a connection is served by a thread
//!   that is started for it and ends with it. At most `--threads-max` of them run; then the loops
//!   wait. accepts: the main thread · reads: a thread · computes: a thread · writes: a thread. The
//!   handle is suspended meanwhile: the loop counts its events, and starts no other thread. A
//!   request costs the start of a thread in addition.
//!
//! **Source.** Netty, memcached; Lea, *Scalable IO in Java*. `SO_REUSEPORT`: `socket(7)`, Linux
//! 3.9; `EPOLLEXCLUSIVE`: `epoll_ctl(2)`, Linux 4.5; processes, the accept lock and watching again:
//! nginx (`accept_mutex`, `ngx_reorder_accept_events`).

mod acceptor;
mod pool;
mod thread_per_event;

use reactor::{AcceptLock, Epoll, Reactor, Sharing};
use server::{Children, Model, Needs, Roles, Server, Threads, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "multi-reactor",
    variants: &[
        HANDOFF,
        Variant {
            name: "reuseport",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "There is a reactor and a listener per thread; the kernel spreads connections by their hash.",
            pick_when: "connections come and go fast, and there are several CPUs",
            breaks_when: "there are few connections, or one loop is busy: connections that hash to it wait while others are idle",
            needs: Needs::OWN_LISTENERS,
            run: |server| threads(server, Sharing::Nothing),
            ..HANDOFF
        },
        Variant {
            name: "shared",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "Several reactors watch one listener, and the kernel wakes one that sleeps.",
            pick_when: "there are many connections, and a loop that is free should accept the next one",
            run: |server| threads(server, Sharing::Exclusive),
            ..HANDOFF
        },
        Variant {
            name: "processes",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "There is a reactor per process; all watch one listener, and the kernel wakes one that sleeps.",
            pick_when: "a crash must cost one worker only, or the service is not thread-safe",
            breaks_when: "a handler computes or blocks, or workers must share state",
            workers: Workers::LOOPS.in_processes(),
            run: |server| processes(server, Sharing::Exclusive),
            ..HANDOFF
        },
        Variant {
            name: "processes-lock",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "There is a reactor per process; the one that holds the accept lock watches the listener.",
            pick_when: "you want to know what the lock costs; never otherwise, since EPOLLEXCLUSIVE",
            breaks_when: "one loop keeps the lock while others sleep: it gets most of the connections",
            workers: Workers::LOOPS.in_processes(),
            needs: Needs {
                superseded: true,
                ..LOCKED
            },
            run: |server| processes(server, Sharing::Lock(AcceptLock::new(server)?)),
        },
        Variant {
            name: "processes-reuseport",
            roles: Roles::accepted_by("a loop", "a loop"),
            summary: "There is a reactor and a listener per process; the kernel spreads connections by their hash.",
            pick_when: "connections come and go fast, and a crash must cost one worker only",
            breaks_when: "there are few connections, or one loop is busy: connections that hash to it wait while others are idle",
            workers: Workers::LOOPS.in_processes(),
            needs: Needs::OWN_LISTENERS,
            run: |server| processes(server, Sharing::Nothing),
        },
        pool::VARIANT,
        thread_per_event::VARIANT,
    ],
};

/// The default; the others are what differs from it.
const HANDOFF: Variant = Variant {
    name: "handoff",
    roles: Roles::accepted_by("the main thread", "a loop"),
    summary: "An acceptor gives each socket to the least loaded of several reactors.",
    pick_when: "there are many connections, short handlers and several CPUs",
    breaks_when: "a handler computes or blocks: every connection of its loop waits",
    workers: Workers::LOOPS,
    needs: Needs::USUAL,
    run: handoff,
};

const LOCKED: Needs = Needs {
    accept_lock: true,
    ..Needs::USUAL
};

/// A loop per thread, each at the listeners.
fn threads(server: &'static Server, sharing: Sharing) -> server::Result {
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
fn processes(server: &'static Server, sharing: Sharing) -> server::Result {
    let mut children = Children::new(server);
    if let Some(child) = children.supervise() {
        match at_listeners(server, child.number, sharing) {
            Ok(reactor) => {
                child.ready();
                reactor.run();
            }
            Err(error) => child.fail(&error),
        }
        child.end();
    }
    children.drain();
    Ok(())
}

/// A loop at the listeners. If it is the only one, it does not share them, whatever the variant is.
fn at_listeners(
    server: &'static Server,
    number: usize,
    sharing: Sharing,
) -> server::Result<Reactor> {
    let sharing = match server.workers {
        1 => Sharing::Nothing,
        _ => sharing,
    };
    Reactor::at_listeners(server, number, Epoll::new()?, sharing)
}

/// An acceptor, and a loop per thread that serves the sockets it is given.
fn handoff(server: &'static Server) -> server::Result {
    if server.workers == 1 {
        // With one loop there is no need of an acceptor.
        let reactor = at_listeners(server, 0, Sharing::Nothing)?;
        server.ready();
        reactor.run();
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
