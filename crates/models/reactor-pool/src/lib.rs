//! **Reactor + pool**: one loop waits, accepts, reads and writes, and threads behind it compute.
//!
//! ```text
//!             ┌────────── loop ──────────┐  queue   ┌──────── thread 0 ────────┐
//!   clients ═▶│ wait ─▶ accept │ read ───┼─▶ ■ ■ ──▶│ compute ─▶ send it back  │
//!             │           write ◀────────┼── ■ ■ ◀──│ …               thread N │
//!             └──────────────────────────┘  inbox   └──────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: a thread · writes: the loop
//!
//! A connection whose request is complete leaves the table of the loop, where its slot is kept, and
//! moves through a bounded queue to a thread of the pool. With its reply it comes back through the
//! inbox of the loop, and the loop writes. While the queue is full, the loop reads and accepts
//! nothing until connections come back.
//!
//! **Cost.** Per connection: an accept, one `epoll_ctl`, a receive that finds the FIN, a close. Per
//! request: one receive and one send, as in a single reactor, but two rounds of the loop, one that
//! reads and one that writes; a wake-up if a thread was asleep; a `write` to the eventfd and a
//! wake-up if the loop was. A busy pool and a busy loop are woken once per batch. The connection
//! itself is moved, and nothing else is copied.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `return` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`) | 5 |
//! | `half-sync` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`futex`) | `epoll_pwait2`, `recvfrom`, `sendto`, (`futex`) | 5 |
//! | `simulated-proactor` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`sched_yield`) | `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`) | 5 |
//!
//! **What breaks it.** Short handlers: two switches per request cost more than the service. One
//! loop reads and writes for all, so that a second CPU is of use only to services that compute or
//! block.
//!
//! **When to pick it.** There are many connections, few of them are busy at once, and handlers
//! compute or block for long.
//!
//! **Variants.** They differ in what passes through the queue, and in the way back.
//!
//! - `half-sync` (half-sync/half-reactive): the loop only waits and accepts. It suspends a handle
//!   that is ready and queues it; a thread takes the handle, reads, computes, writes, and ends the
//!   suspension. accepts: the loop · reads: a thread · computes: a thread · writes: a thread. The
//!   connection stays in a table that all threads share, under a lock of its own. The events of a
//!   connection that is queued or served are counted, and the connection is given to no other
//!   thread. So a request costs one round of the loop, and an `epoll_ctl` only if another event
//!   comes before it has been served; no thread wakes the loop. While the queue is full, the loop
//!   waits, and looks neither at the listener nor at any connection.
//! - `simulated-proactor`: the loop reads whole requests for the threads and queues these
//!   *completions*. The reply is a completion, too: the thread watches the handle for writing, and
//!   when the event comes that the socket can be written, the loop writes. accepts: the loop ·
//!   reads: the loop · computes: a thread · writes: the loop. So a connection comes back through
//!   the selector, where the default has an inbox and a waker, and it never leaves the table. There
//!   are two `epoll_ctl` per request, one by the thread in order to write, one by the loop in order
//!   to read the next request. The handle is suspended from the one event to the other.
//!
//! **Source.** Schmidt et al., *POSA2*, Half-Sync/Half-Async and its variant
//! half-sync/half-reactive; Libman and Gilbourd, *Comparing Two High-Performance I/O Design
//! Patterns*, Artima 2005, for the simulated proactor; You Shuang, 《Linux高性能服务器编程》, chapter 8.

use std::sync::Arc;
use std::time::Instant;

use reactor::{Events, Handle, Handles, Producer, work_queue};
use server::{
    Count, Model, Needs, RequestCalls, Roles, Server, Threads, Topology, Variant, Worker, Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "reactor-pool",
    variants: &[
        RETURN,
        Variant {
            name: "half-sync",
            roles: Roles::accepted_by("the loop", "a thread"),
            summary: "A loop waits and queues the handles that are ready; a thread reads, computes and writes.",
            pick_when: "requests and replies are long, so that reading and writing need several CPUs",
            breaks_when: "handlers are short: each request costs a switch",
            workers: THREADS.calling(Some(RequestCalls::ROUND_AND_THREAD)),
            run: half_sync,
            ..RETURN
        },
        Variant {
            name: "simulated-proactor",
            summary: "A loop reads and writes for the threads, which see complete requests only.",
            pick_when: "code that was written for completions must run on a readiness selector",
            breaks_when: "handlers are short: each request costs a switch and two epoll_ctl",
            workers: THREADS.calling(Some(RequestCalls {
                rounds: [2, 2],
                epoll_ctls: 2,
                ..RequestCalls::STAGED
            })),
            run: simulated_proactor,
            ..RETURN
        },
    ],
};

/// The default; the others are what differs from it.
const RETURN: Variant = Variant {
    name: "return",
    roles: COMPUTED_ELSEWHERE,
    summary: "A loop accepts, reads and writes; the connection moves to a pool that computes, and comes back.",
    pick_when: "handlers compute or block for long, and most connections are idle",
    breaks_when: "handlers are short: moving the connection there and back costs more than the service",
    workers: THREADS,
    needs: A_LOOP,
    run: reactor::front::computing,
};

const THREADS: Workers = Workers::sharing(Count::Pool(64))
    .arranged(Topology::Staged)
    .calling(Some(RequestCalls::STAGED));

/// The workers are the threads; the loop is one more.
const A_LOOP: Needs = Needs {
    extra_threads: |_| 1,
    ..Needs::USUAL
};

const COMPUTED_ELSEWHERE: Roles = Roles {
    accepts: "the loop",
    reads: "the loop",
    computes: "a thread",
    writes: "the loop",
};

fn half_sync(server: &'static Server) -> server::Result {
    let handles = Arc::new(Handles::at_listeners(server)?);
    let serve = |handles: &Handles, handle, worker: &mut Worker| {
        handles.serve(handle, worker);
    };
    let (threads, queue) = start_threads(server, &handles, serve)?;
    wait(server, &handles, queue, |handle, queue, worker| {
        if let Some(handle) = handles.dispatch(handle, worker) {
            queue.put((handle, worker.count_queued()));
        }
    });
    threads.finish();
    Ok(())
}

fn simulated_proactor(server: &'static Server) -> server::Result {
    let handles = Arc::new(Handles::at_listeners(server)?.staged());
    let (threads, queue) = start_threads(server, &handles, Handles::compute)?;
    wait(server, &handles, queue, |handle, queue, worker| {
        if let Some(complete) = handles.serve(handle, worker) {
            worker.count_queued(); // The session knows since when.
            queue.put((complete, None));
        }
    });
    threads.finish();
    Ok(())
}

/// Work, and since when it waits, if that is to be known.
type Queued<T> = (T, Option<Instant>);

/// Starts the threads, which take work from a queue and `serve` it.
fn start_threads<T: Send + 'static>(
    server: &'static Server,
    handles: &Arc<Handles>,
    serve: impl Fn(&Handles, T, &mut Worker) + Copy + Send + 'static,
) -> server::Result<(Threads, Producer<Queued<T>>)> {
    let (producer, consumer) = work_queue(server.limits.queue_max);
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let (consumer, handles) = (consumer.clone(), Arc::clone(handles));
        threads.spawn(number, move |number| {
            let mut worker = Worker::ready(server, number);
            while let Some((taken, queued)) = consumer.take() {
                worker.count_taken(queued);
                worker.tick();
                serve(&handles, taken, &mut worker);
            }
        })?;
    }
    Ok((threads, producer))
}

/// The loop: waits, and does with each handle what the variant does. While the queue is full it
/// waits for a thread, and looks at nothing else.
fn wait<T>(
    server: &'static Server,
    handles: &Handles,
    queue: Producer<Queued<T>>,
    mut each: impl FnMut(Handle, &Producer<Queued<T>>, &mut Worker),
) {
    let mut worker = Worker::ready(server, server.extra_thread(0));
    let mut events = Events::with_capacity(server.limits.events_max);
    let mut ready = Vec::new();
    server.ready();
    while !handles.is_over() {
        handles.wait(&mut worker, &mut events, None, &mut ready);
        for handle in ready.drain(..) {
            each(handle, &queue, &mut worker);
        }
        queue.wake();
    }
}
