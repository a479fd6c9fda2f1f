//! **Prefork**: children forked in advance, all blocked in accept on one socket.
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
//! **Cost.** A connection: accept, a receive that finds the FIN, close; the kernel wakes one child,
//! in turn. A request: one receive and one send, and a process switch
//! where another child ran before.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `accept` | `accept4` ×3, `wait4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `poll` | `ppoll` ×3, `wait4` | `accept4` ×2, `close`, `ppoll` ×2, `recvfrom` | `recvfrom`, `sendto` | 10 |
//! | `flock` | `accept4`, `flock` ×2, `wait4` | `accept4`, `close`, `flock` ×2, `recvfrom` | `recvfrom`, `sendto` | 4 |
//! | `mutex` | `accept4`, `futex` ×2, `wait4` | `accept4`, `close`, `recvfrom`, (`futex`) | `recvfrom`, `sendto` | 4 |
//! | `pass-fd` | `ppoll`, `recvmsg` ×3 | `accept4`, `close` ×2, `ppoll` ×2, `recvfrom` ×2, `recvmsg`, `sendmsg`, `sendto` | `recvfrom`, `sendto` | 5 |
//! | `reuseport` | `accept4` ×3, `wait4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//!
//! **What breaks it.** More persistent connections than children: the rest wait in the backlog,
//! however idle the others are. Each child costs its own memory.
//!
//! **When to pick it.** Services that block or crash or are not thread-safe, with a known bound on
//! connections: a dead child loses one client and is replaced.
//!
//! **Variants.** Each differs in how a child comes by its next connection, and costs what is said
//! here beside the above.
//!
//! - `poll`: children wait in poll, then accept on a listener that does not block. A poll a
//!   connection more, and one for each other child that was woken for it: a child that finds the
//!   listener empty goes back to poll.
//! - `flock`: the child that holds the lock of a file waits in accept, the others wait for the
//!   lock. Two flocks a connection more. Each child opens the file for itself, since such a lock
//!   belongs to the open file, not the process; the kernel takes it from a child that dies.
//! - `mutex`: the same with a mutex in shared memory. No call where nobody else wants it, else a
//!   futex wait or wake. It is robust: the next gets it from a child that died.
//! - `pass-fd`: the parent accepts, when a child has said that it is free, and passes the descriptor
//!   to the first such over a socket pair. accepts: the parent · reads: a child · computes: a child
//!   · writes: a child. A connection costs, more: a poll over all children, a sendmsg and a close in
//!   the parent, a byte from the child to say so and a receive to hear it, a recvmsg, and two
//!   switches. The parent holds a descriptor a child.
//! - `reuseport`: a listener a child, and the kernel spreads by the connection's hash. No call more.
//!   What hashes to a busy child waits for it, whoever is free, until a drain, in which free
//!   children empty every listener. A child that replaces another has its listener. TCP only.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., sections 30.6 (server 2, and its
//! collisions in select), 30.7 (server 3, file lock), 30.8 (server 4, mutex), 30.9 (server 5,
//! descriptor passing); `SO_REUSEPORT`: Linux 3.9, `socket(7)`.

mod passing;

use os::lock::{LockFile, SharedMutex};
use server::{
    Backoff, Children, Connection, Count, Model, Needs, Roles, Server, Variant, Worker, Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "prefork",
    variants: &[
        Variant {
            name: "accept",
            roles: Roles::accepted_by("a child", "a child"),
            summary: "Children forked in advance, all blocked in accept on one socket.",
            pick_when: "the service blocks, crashes or is not thread-safe, and connections are bounded",
            breaks_when: "there are more persistent connections than children",
            workers: CHILDREN,
            needs: Needs::USUAL,
            run: accept,
        },
        Variant {
            name: "poll",
            roles: Roles::accepted_by("a child", "a child"),
            summary: "Children forked in advance wait in poll, then accept.",
            pick_when: "a child has more to wait for than one listener",
            breaks_when: "many children are idle: each connection wakes several for one",
            workers: CHILDREN,
            needs: Needs::USUAL,
            run: poll,
        },
        Variant {
            name: "flock",
            roles: Roles::accepted_by("a child", "a child"),
            summary: "Children forked in advance take turns in accept, by a lock on a file.",
            pick_when: "the kernel wakes every blocked accept (Linux has not since 2.2)",
            breaks_when: "connections are short: each costs two calls more, and a wake-up in line",
            workers: CHILDREN,
            needs: Needs::USUAL,
            run: flock,
        },
        Variant {
            name: "mutex",
            roles: Roles::accepted_by("a child", "a child"),
            summary: "Children forked in advance take turns in accept, by a mutex in shared memory.",
            pick_when: "turns are wanted and a file lock is too slow",
            breaks_when: "connections are short: each waits for a wake-up in line",
            workers: CHILDREN,
            needs: Needs::USUAL,
            run: mutex,
        },
        Variant {
            name: "pass-fd",
            roles: Roles::accepted_by("the parent", "a child"),
            summary: "The parent accepts, and passes each connection to a child that is free.",
            pick_when: "the parent must choose who serves, or children may not touch the listener",
            breaks_when: "connections are short: each costs a message, a word back and two switches",
            workers: CHILDREN,
            needs: Needs::USUAL,
            run: passing::run,
        },
        Variant {
            name: "reuseport",
            roles: Roles::accepted_by("a child", "a child"),
            summary: "Children forked in advance, each blocked in accept on a listener of its own.",
            pick_when: "connections are short and alike, and come faster than one listener bears",
            breaks_when: "one child is slow: what hashes to it waits while others are free",
            workers: CHILDREN,
            needs: Needs::OWN_LISTENERS,
            run: accept,
        },
    ],
};

const CHILDREN: Workers = Workers::processes(Count::Pool(64));

/// With `reuseport` the listeners of a worker are its own.
fn accept(server: &'static Server) -> anyhow::Result<()> {
    keep(server, || Ok(Worker::accept))
}

fn poll(server: &'static Server) -> anyhow::Result<()> {
    server.make_listeners_nonblocking()?;
    keep(server, || Ok(Worker::accept_polled))
}

fn flock(server: &'static Server) -> anyhow::Result<()> {
    let file = LockFile::new()?;
    keep(server, || {
        let lock = file.open()?;
        Ok(move |worker: &mut Worker, backoff: &mut Backoff| {
            worker.accept_holding(backoff, || lock.lock())
        })
    })
}

fn mutex(server: &'static Server) -> anyhow::Result<()> {
    let mutex = SharedMutex::new()?;
    keep(server, || {
        Ok(|worker: &mut Worker, backoff: &mut Backoff| {
            worker.accept_holding(backoff, || Ok(mutex.lock()))
        })
    })
}

/// Keeps children that accept for themselves, by a way that each sets up as it begins.
fn keep<Accept>(
    server: &'static Server,
    set_up: impl Fn() -> anyhow::Result<Accept>,
) -> anyhow::Result<()>
where
    Accept: Fn(&mut Worker, &mut Backoff) -> Option<Connection>,
{
    let mut worker = Worker::blocking(server, 0);
    worker.warm_up();
    let mut children = Children::new(server);
    if let Some(child) = children.keep() {
        worker.become_process(child.number);
        let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
        match set_up() {
            Ok(accept) => {
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
