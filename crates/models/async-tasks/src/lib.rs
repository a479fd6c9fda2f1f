//! **Async tasks**: there is a coroutine per connection, and tokio schedules them.
//!
//! ```text
//!             ┌──────────────────── runtime ────────────────────┐
//!   clients ═▶│ acceptor task ─ spawn ─▶ task: read ─▶ compute  │
//!             │                            ▲             │      │
//!             │                          .await ◀─── write      │
//!             │  N threads run whichever tasks are ready        │
//!             └─────────────────────────────────────────────────┘
//! ```
//!
//! accepts: a task · reads: a task · computes: a task · writes: a task
//!
//! **Cost.** Per connection: an accept, one `epoll_ctl` that adds it and one that removes it, a
//! task, a receive that finds the FIN, a close. Per request: one receive and one send, and a share
//! of a wait. A switch between tasks is the return from a function. Between two requests a
//! connection is the future below: it has no stack, and takes a few hundred bytes and a timer. A reply that
//! is delayed is due at a moment that one timer descriptor of the runtime is set to: one `timerfd_settime` if it
//! is the next, and one read for all that are due. Timers of tokio itself, in handlers as well, are in whole
//! milliseconds.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `threads` | `epoll_wait`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_wait` ×3, `recvfrom`, (`write to an eventfd`) | `epoll_wait`, `recvfrom`, `sendto` | 3 |
//! | `local` | `epoll_wait` ×3, `ppoll` | `accept4` ×3, `close`, `epoll_ctl` ×2, `epoll_wait` ×4, `recvfrom`, (`write to an eventfd`) | `epoll_wait`, `recvfrom`, `sendto` | 10 |
//!
//! **What breaks it.** A handler that computes or blocks: it holds its thread, and all tasks that
//! are queued there wait (in `threads` others may steal them, in `local` no other can).
//!
//! **When to pick it.** There are many connections whose handlers wait for other services, in code
//! that reads from top to bottom.
//!
//! **Variants.** `threads` is the multi-thread runtime of tokio: tasks move to idle threads.
//! `local` has a current-thread runtime per worker, each of which accepts for itself: tasks never
//! move, and one worker is a single reactor written as coroutines. All its workers watch the same
//! listener, so a new connection wakes every one that sleeps.
//!
//! **Source.** Conway, *Design of a Separable Transition-Diagram Compiler*, 1963 (coroutines);
//! tokio.

mod alarm;
mod tasks;
mod watch;

use parking_lot::RwLock;
use server::{
    Calls, Model, Needs, RequestCalls, Roles, Server, Threads, Topology, Variant, Workers,
};
use tokio::runtime::{Builder, Runtime};

use crate::tasks::Tasks;

/// The model.
pub const MODEL: Model = Model {
    name: "async-tasks",
    variants: &[
        THREADS,
        Variant {
            name: "local",
            summary: "There is a coroutine per connection; each worker is a thread that keeps its tasks.",
            pick_when: "handlers await other services, and state must not move between threads",
            breaks_when: "a handler computes or blocks: every connection of its worker waits",
            workers: TASKS.arranged(Topology::Loops),
            needs: Needs::USUAL,
            run: runtime_per_worker,
            ..THREADS
        },
    ],
};

/// The default; the other is what differs from it.
const THREADS: Variant = Variant {
    name: "threads",
    roles: Roles::accepted_by("a task", "a task"),
    summary: "There is a coroutine per connection, on threads that steal tasks from each other.",
    pick_when: "handlers await other services, and there are many connections",
    breaks_when: "a handler computes or blocks without awaiting: the tasks of its thread wait",
    workers: TASKS.arranged(Topology::Shared),
    needs: Needs {
        // Each request that is served aside takes its thread with it, and another goes on in its place.
        extra_threads: |limits| limits.threads_max,
        aside: Some(|call| tokio::task::block_in_place(call)),
        ..Needs::USUAL
    },
    run: one_runtime,
};

const TASKS: Workers = Workers {
    calls: Calls::Task,
    request: Some(RequestCalls::ROUND_AND_THREAD),
    ..Workers::LOOPS
};

/// One runtime for all workers.
fn one_runtime(server: &'static Server) -> server::Result {
    server.make_listeners_nonblocking()?;
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(server.workers)
        .max_blocking_threads(server.limits.threads_max)
        .thread_name("worker");
    threads_can_be_had(server.workers)?;
    let runtime = builder.enable_all().build()?;
    serve(server, &runtime, server.limits.connections_max)
}

/// A runtime per worker, in a thread of its own.
fn runtime_per_worker(server: &'static Server) -> server::Result {
    server.make_listeners_nonblocking()?;
    let threads = Threads::new(server)?;
    let runtime = |_| Builder::new_current_thread().enable_all().build();
    // All before the first serves, whose connections could take the descriptors of the rest.
    let runtimes: Vec<_> = (0..server.workers).map(runtime).collect::<Result<_, _>>()?;
    for (number, runtime) in runtimes.into_iter().enumerate() {
        threads.spawn(number, move |_| {
            let max = server.connections_max_of(number, server.workers);
            if let Err(error) = serve(server, &runtime, max) {
                server::log(format_args!("worker {number}: {error}"));
            }
        })?;
    }
    threads.finish();
    Ok(())
}

/// Starts as many threads as the runtime will, and ends them. The runtime itself does not say that it could
/// not start some of its own, and then serves no client.
fn threads_can_be_had(count: usize) -> server::Result {
    let gate = RwLock::new(());
    std::thread::scope(|scope| {
        // They wait for this guard, so that all of them exist at once.
        let _guard = gate.write();
        (1..=count).try_for_each(|number| {
            let started = std::thread::Builder::new().spawn_scoped(scope, || drop(gate.read()));
            started
                .map(drop)
                .map_err(|error| format!("worker thread {number} of {count}: {error}").into())
        })
    })
}

/// Accepts and serves on `runtime` until drained, at most `max` at once.
fn serve(server: &'static Server, runtime: &Runtime, max: usize) -> server::Result {
    let accepting = runtime.spawn(Tasks::accept_all(server, max));
    // The main thread of a multi-thread runtime only waits; a current-thread one runs here.
    runtime.block_on(accepting)?
}
