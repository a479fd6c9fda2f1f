//! **Fork per client**: the parent accepts, and forks a child for every client.
//!
//! ```text
//!            ┌─ parent ─┐  fork   ┌──────────── child ────────────┐
//!   client ─▶│  accept  │────────▶│ read ─▶ compute ─▶ write ─▶ … │ exit
//!            └──────────┘◀─ reap ─└───────────────────────────────┘
//! ```
//!
//! accepts: the parent · reads: a child · computes: a child · writes: a child
//!
//! **Cost.** Per connection: an accept, a fork, a close in the parent, the alarm of the child for
//! its deadlines, an exit and a wait, and a copy of every page that the child writes: hundreds of
//! microseconds. Per request: one receive and one send.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `accept4` | `accept4` ×3, `clone`, `close` ×2, `exit_group`, `getitimer`, `getpid` ×3, `getppid`, `prctl`, `recvfrom`, `rt_sigreturn` ×2, `set_robust_list`, `setitimer` ×2, `wait4` ×2 | `recvfrom`, `sendto` | 3 |
//! | `--front poll` | `epoll_pwait2`, `recvmsg` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `getpid`, `recvfrom`, `recvmsg`, `rt_sigreturn`, `setitimer`, (`futex`) | `clone`, `close` ×6, `epoll_pwait2` ×2, `exit_group`, `getitimer`, `getpid` ×3, `getppid`, `gettid`, `prctl`, `recvfrom`, `recvmsg` ×4, `rt_sigreturn`, `sendmsg` ×2, `sendto`, `set_robust_list`, `wait4` ×2, (`futex`) | 6 |
//!
//! **What breaks it.** Short connections: the fork costs ten times the service. Many connections:
//! each is a process. When there are as many children as it may have (`--workers`), the parent
//! accepts no client until one ends.
//!
//! **When to pick it.** There are few clients, they stay long, and the failure of one must not
//! touch another: a child that crashes takes one client along. A child may also change its identity
//! or its limits.
//!
//! **With a front** (`--front poll`) one more process, the front, is a loop that accepts and holds every connection
//! until a request is complete, head and body. It passes the request to the parent, with a copy of the descriptor
//! (`SCM_RIGHTS`), and the parent forks a child for it, which computes, writes to the end of the reply, reports to
//! the front, and ends. The front has kept the connection, and waits for its next request.
//!
//! accepts: the front · reads: the front · computes: a child · writes: a child
//!
//! So there is a child for each request under way, and idle and slow clients have none; `--workers` bounds the
//! children that compute. A client that takes its reply slowly keeps its child, beside those: up to `--sending-max`
//! more. When all are taken, the next requests wait until a client has its reply, or has missed its deadline. A
//! persistent connection pays for a fork with every request. A child that dies takes its request along, and the
//! front closes that client. A body beyond `--body-bytes-max` is refused: a request is passed whole.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.5 (server 1).

#[cfg(feature = "front")]
mod front;

use std::sync::atomic::{AtomicBool, Ordering};

use os::process::Signal;
use os::signal;
use server::{
    Accepted, Backoff, Children, Connection, Count, Model, Needs, Phase, Roles, Server, Topic,
    Variant, Worker, Workers, repeated,
};

/// The model.
pub const MODEL: Model = Model {
    name: "fork-per-client",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("the parent", "a child"),
        summary: "The parent accepts, and forks a child for every client.",
        pick_when: "clients are few and stay long, and a crash of one must not touch another",
        breaks_when: "connections are short or many: each costs a fork and a process",
        workers: Workers::processes(Count::UpTo(512)),
        needs: Needs {
            front: FRONT,
            ..Needs::USUAL
        },
        run,
    }],
};

#[cfg(feature = "front")]
use front::FRONT;
#[cfg(not(feature = "front"))]
const FRONT: Option<server::Front> = None;

/// A child has ended and was not reaped yet.
static CHILD_ENDED: AtomicBool = AtomicBool::new(false);

/// Interrupts accept, so that the parent reaps the child.
extern "C" fn on_end(signal: i32) {
    CHILD_ENDED.store(true, Ordering::Relaxed);
    signal::repeat_with_alarm(signal);
}

fn run(server: &'static Server) -> server::Result {
    signal::handle(&[Signal::CHILD], on_end);
    let mut worker = Worker::before_fork(server);
    let mut children = Children::new(server);
    let mut accepting = Backoff::new(server.limits.accept_pause_ms_max);
    let mut forking = accepting.clone();
    // A client that is accepted and waits for a child.
    let mut waiting = None;
    server.ready();
    loop {
        if CHILD_ENDED.load(Ordering::Relaxed) {
            CHILD_ENDED.store(false, Ordering::Relaxed);
            children.reap_ended();
        }
        if server.drain.has_begun() {
            children.signal_drain();
        }
        if children.is_full() {
            children.wait();
            continue;
        }
        let socket = match waiting.take() {
            Some(socket) => socket,
            None => match server.accept_blocking(false, &mut accepting) {
                Accepted::Socket(socket) => socket,
                Accepted::Interrupted | Accepted::Pause(_) => continue,
                Accepted::Empty => break,
            },
        };
        worker.warm_up();
        match children.fork() {
            Ok(Some(child)) => {
                worker.become_process(child.number);
                let connection = Connection::new(socket, &mut worker);
                worker.serve(connection);
                child.end();
            }
            Ok(None) => forking.reset(),
            Err(error) => {
                waiting = Some(socket).filter(|_| server.drain.phase() < Phase::Cutting);
                repeated(
                    Topic::Fork,
                    format_args!("fork: {error}; clients wait until one can be had"),
                );
                let _ = server.wait_for_drain(forking.pause());
            }
        }
    }
    children.drain();
    Ok(())
}
