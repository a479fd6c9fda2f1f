//! **Prefork**: children forked in advance all block in accept on one socket.
//!
//! ```text
//!                          ┌───────────────── child 0 ─────────────────┐
//!   ┌─ parent ─┐   ┌──────▶│ accept ─▶ read ─▶ compute ─▶ write ─▶ …   │
//!   │ fork, N  │   │       └───────────────────────────────────────────┘
//!   │ replace  │   │  one  ┌───────────────── child N-1 ───────────────┐
//!   └──────────┘ client ──▶│ accept ─▶ …                               │
//!                          └───────────────────────────────────────────┘
//! ```
//!
//! accepts: a child · reads: a child · computes: a child · writes: a child
//!
//! **Cost.** Per connection: an accept, a receive that finds the FIN, a close; the kernel wakes one
//! child, in turn. Per request: one receive and one send, and a process switch if another child ran
//! before.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `accept` | `accept4` ×3, `wait4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `poll` | `ppoll` ×3, `wait4` | `accept4` ×2, `close`, `ppoll` ×2, `recvfrom` | `recvfrom`, `sendto` | 10 |
//! | `flock` | `accept4`, `flock` ×2, `wait4` | `accept4`, `close`, `flock` ×2, `recvfrom` | `recvfrom`, `sendto` | 4 |
//! | `mutex` | `accept4`, `futex` ×2, `wait4` | `accept4`, `close`, `recvfrom`, (`futex`) | `recvfrom`, `sendto` | 4 |
//! | `pass-fd` | `ppoll`, `recvmsg` ×3 | `accept4`, `close` ×2, `ppoll` ×2, `recvfrom` ×2, `recvmsg`, `sendmsg`, `sendto` | `recvfrom`, `sendto` | 5 |
//! | `reuseport` | `accept4` ×3, `wait4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `--front poll` | `epoll_pwait2`, `recvmsg` ×3, `wait4` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `close`, `epoll_pwait2` ×2, `recvfrom`, `recvmsg` ×3, `sendmsg` ×2, `sendto` | 4 |
//!
//! **What breaks it.** More persistent connections than children: the others wait in the backlog,
//! even while the connections that have a child are idle. Each child has memory of its own.
//!
//! **When to pick it.** Services block, or crash, or are not thread-safe, and the number of
//! connections has a known bound: a child that dies loses one client and is replaced.
//!
//! **With a front** (`--front poll`) all variants are one: one more process, the front, is a loop that accepts and
//! holds every connection until a request is complete, head and body. It passes the request to a child that is
//! free, with a copy of the descriptor (`SCM_RIGHTS`), over a socket pair of that child. The child computes,
//! writes, closes its copy, and reports; the front has kept the connection, and waits for its next request.
//!
//! accepts: the front · reads: the front · computes: a child · writes: a child
//!
//! What a client does not take of its reply, and a reply that is delayed, the child keeps beside its next request.
//! So no connection holds a child, whether it is idle or slow, and there may be `--connections-max` of them. A
//! child that dies takes along the request that it has and the replies that it keeps, and its clients are closed;
//! the front goes on. If that dies, all connections end that have no request under way. A request costs a `sendmsg`
//! and a `recvmsg` for the descriptor, a close, a message back, and two switches. A body beyond `--body-bytes-max`
//! is refused: a request is passed whole.
//!
//! **Variants.** They differ in how a child gets its next connection. Each costs what is said here
//! in addition to the above.
//!
//! - `poll`: children wait in poll, then accept on a listener that does not block. There is one
//!   poll more per connection, and one for every other child that was woken for it: a child that
//!   finds the listener empty polls again.
//! - `flock`: the child that holds a lock on a file waits in accept, and the others wait for the
//!   lock. There are two calls of flock more per connection. Each child opens the file for itself,
//!   because such a lock belongs to the open file and not to the process; when a child dies, the
//!   kernel releases it.
//! - `mutex`: the same with a mutex in shared memory. If no other child wants the mutex there is no
//!   call, otherwise a futex wait or wake. The mutex is robust: when a child dies, the next one
//!   gets it.
//! - `pass-fd`: the parent accepts when a child has said that it is free, and passes the descriptor
//!   to the first free one over a socket pair. accepts: the parent · reads: a child · computes: a
//!   child · writes: a child. There are more per connection: a poll over all children, a sendmsg
//!   and a close in the parent, a byte by which the child says that it is free and a receive in the
//!   parent, a recvmsg, and two switches. The parent holds a descriptor per child.
//! - `reuseport`: there is a listener per child, and the kernel spreads connections by their hash.
//!   No call is added. A connection whose hash leads to a busy child waits for that child, even if
//!   others are free, until a drain, in which free children empty every listener. A child that
//!   replaces another has its listener. TCP only.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., sections 30.6 (server 2, and
//! its collisions in select), 30.7 (server 3, file lock), 30.8 (server 4, mutex), 30.9 (server 5,
//! descriptor passing); `SO_REUSEPORT`: Linux 3.9, `socket(7)`.

#[cfg(feature = "front")]
mod front;
mod passing;

use os::lock::{LockFile, SharedMutex};
use server::{
    Backoff, Children, Connection, Count, Listeners, Model, Needs, Roles, Server, Variant, Worker,
    Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "prefork",
    variants: &[
        ACCEPT,
        Variant {
            name: "poll",
            summary: "Children forked in advance wait in poll, then accept.",
            pick_when: "a child waits for more than one listener",
            breaks_when: "many children are idle: each connection wakes several, and one gets it",
            run: poll,
            ..ACCEPT
        },
        Variant {
            name: "flock",
            summary: "Children forked in advance accept one at a time, under a lock on a file.",
            pick_when: "the kernel wakes every blocked accept (Linux has not since 2.2)",
            breaks_when: "connections are short: each costs two calls more, and waits for the wake-up of the next child",
            needs: Needs {
                superseded: true,
                ..LOCKED
            },
            run: flock,
            ..ACCEPT
        },
        Variant {
            name: "mutex",
            summary: "Children forked in advance accept one at a time, under a mutex in shared memory.",
            pick_when: "one child at a time is to accept, and a lock on a file is too slow",
            breaks_when: "connections are short: each waits for the wake-up of the next child",
            needs: LOCKED,
            run: mutex,
            ..ACCEPT
        },
        Variant {
            name: "pass-fd",
            roles: Roles::accepted_by("the parent", "a child"),
            summary: "The parent accepts, and passes each connection to a child that is free.",
            pick_when: "the parent must choose who serves, or children may not touch the listener",
            breaks_when: "connections are short: each costs two messages and two switches",
            run: passing::run,
            ..ACCEPT
        },
        Variant {
            name: "reuseport",
            summary: "Children forked in advance each block in accept on a listener of their own.",
            pick_when: "connections are short and alike, and come faster than one listener can take them",
            breaks_when: "one child is slow: connections that hash to it wait while others are free",
            needs: Needs {
                listeners: Listeners::PerWorker,
                ..ACCEPT.needs
            },
            ..ACCEPT
        },
    ],
};

/// The default; the others are what differs from it.
const ACCEPT: Variant = Variant {
    name: "accept",
    roles: Roles::accepted_by("a child", "a child"),
    summary: "Children forked in advance all block in accept on one socket.",
    pick_when: "the service blocks, crashes or is not thread-safe, and connections are bounded",
    breaks_when: "there are more persistent connections than children",
    workers: CHILDREN,
    needs: Needs {
        front: FRONT,
        ..Needs::USUAL
    },
    run: accept,
};

#[cfg(feature = "front")]
use front::FRONT;
#[cfg(not(feature = "front"))]
const FRONT: Option<server::Front> = None;

const LOCKED: Needs = Needs {
    accept_lock: true,
    front: FRONT,
    ..Needs::USUAL
};

const CHILDREN: Workers = Workers::processes(Count::Pool(64));

/// In `reuseport`, each worker has listeners of its own.
fn accept(server: &'static Server) -> server::Result {
    keep(server, || Ok(Worker::accept))
}

fn poll(server: &'static Server) -> server::Result {
    server.make_listeners_nonblocking()?;
    keep(server, || Ok(Worker::accept_polled))
}

fn flock(server: &'static Server) -> server::Result {
    let file = LockFile::new()?;
    keep(server, || {
        let lock = file.open()?;
        Ok(move |worker: &mut Worker, backoff: &mut Backoff| {
            worker.accept_holding(backoff, || lock.lock())
        })
    })
}

fn mutex(server: &'static Server) -> server::Result {
    let mutex = SharedMutex::new()?;
    keep(server, || {
        Ok(|worker: &mut Worker, backoff: &mut Backoff| {
            worker.accept_holding(backoff, || Ok(mutex.lock()))
        })
    })
}

/// Keeps children that accept for themselves, in a way that each child sets up when it begins.
fn keep<Accept>(
    server: &'static Server,
    set_up: impl Fn() -> server::Result<Accept>,
) -> server::Result
where
    Accept: Fn(&mut Worker, &mut Backoff) -> Option<Connection>,
{
    let mut worker = Worker::before_fork(server);
    worker.warm_up();
    let mut children = Children::new(server);
    if let Some(child) = children.supervise() {
        worker.become_process(child.number);
        let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
        match set_up() {
            Ok(accept) => {
                child.ready();
                while let Some(connection) = accept(&mut worker, &mut backoff) {
                    worker.serve(connection);
                }
            }
            Err(error) => child.fail(&error),
        }
        child.end();
    }
    children.drain();
    Ok(())
}
