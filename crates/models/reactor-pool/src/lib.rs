//! **Reactor + pool**: one loop does the waiting, threads behind it do the work.
//!
//! ```text
//!             ┌────────── loop ──────────┐  queue   ┌──────── thread 0 ────────┐
//!   clients ═▶│ wait ─▶ accept │ read ───┼─▶ ■ ■ ──▶│ compute ─▶ send it home  │
//!             │           write ◀────────┼── ■ ■ ◀──│ …               thread N │
//!             └──────────────────────────┘  inbox   └──────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: a thread · writes: the loop
//!
//! A connection whose request is whole leaves the loop's table, its place being kept, and moves
//! through a bounded queue to a thread of the pool; with its reply it comes back through the loop's
//! inbox, and the loop writes. With the queue full the loop reads and accepts no more until
//! connections come back.
//!
//! **Cost.** A connection: accept, one `epoll_ctl`, a receive that finds the FIN, close. A request:
//! one receive and one send, as in a single reactor, but two rounds of the loop, one that reads and
//! one that writes; a wake-up where a thread slept; a `write` to the eventfd, and a wake-up,
//! where the loop slept. A busy pool and a busy loop are woken once a batch. The connection moves;
//! nothing of it is copied but itself.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `return` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`) | 5 |
//! | `half-sync` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`futex`) | `epoll_pwait2`, `recvfrom`, `sendto`, (`futex`) | 5 |
//! | `simulated-proactor` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`sched_yield`) | `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`) | 5 |
//!
//! **What breaks it.** Short handlers: two switches a request cost more than the service. One loop
//! for all reading and writing: a second CPU is of use only to services that compute or block.
//!
//! **When to pick it.** Many connections, of which few are busy at once, and handlers that compute
//! or block for long.
//!
//! **Variants.** Each differs in what crosses the queue, and in the way back.
//!
//! - `half-sync` (half-sync/half-reactive): the loop only waits and accepts. A handle that is ready
//!   is suspended and queued; a thread takes it, reads, computes, writes, and lets go of it. accepts:
//!   the loop · reads: a thread · computes: a thread · writes: a thread. The connection stays in a
//!   table that all share, under a lock of its own, and what comes for one that is queued or in hand
//!   is counted there and given to nobody. So a request costs one round of the loop and no
//!   `epoll_ctl`, but where something comes before it has been served; nobody wakes the loop. A
//!   full queue holds the loop, away from the listener and from everybody else.
//! - `simulated-proactor`: the loop performs the whole of the input on the threads' behalf, and what
//!   it queues is the *completion*: a thread sees whole requests only. Its reply is a completion,
//!   too: the thread arms the handle for writing, and the event that the socket takes it has the
//!   loop write. accepts: the loop · reads: the loop · computes: a thread · writes: the loop. So the
//!   way back is the selector where the default has an inbox and a waker, and the connection is never
//!   out of the table: two `epoll_ctl` a request, one by the thread to be told that it can be
//!   written, one by the loop to read on. It is suspended from the one event to the other.
//!
//! **Source.** Schmidt et al., *POSA2*, Half-Sync/Half-Async and its variant half-sync/half-reactive;
//! Libman and Gilbourd, *Comparing Two High-Performance I/O Design Patterns*, Artima 2005, for the
//! simulated proactor; You Shuang, 《Linux高性能服务器编程》, chapter 8.

use std::sync::Arc;

use reactor::{Epoll, Events, Handle, Handles, Producer, Reactor, Sharing, pool, work};
use server::{Count, Model, Needs, Roles, Server, Threads, Variant, Worker, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "reactor-pool",
    variants: &[
        Variant {
            name: "return",
            roles: COMPUTED_ELSEWHERE,
            summary: "A loop accepts, reads and writes; a pool computes, and the connection comes back.",
            pick_when: "handlers compute or block for long, and most connections are idle",
            breaks_when: "handlers are short: the way there and back costs more than the service",
            workers: Workers::sharing(Count::Pool(64)),
            needs: A_LOOP,
            run: return_to_loop,
        },
        Variant {
            name: "half-sync",
            roles: Roles::accepted_by("the loop", "a thread"),
            summary: "A loop waits and queues what is ready; a thread reads, computes and writes.",
            pick_when: "requests and replies are long, so that reading and writing want CPUs, too",
            breaks_when: "handlers are short: a switch a request",
            workers: Workers::sharing(Count::Pool(64)),
            needs: A_LOOP,
            run: half_sync,
        },
        Variant {
            name: "simulated-proactor",
            roles: COMPUTED_ELSEWHERE,
            summary: "A loop completes input and output for the threads, which see whole requests only.",
            pick_when: "code written for completions must run on readiness",
            breaks_when: "handlers are short: a switch and two epoll_ctl a request",
            workers: Workers::sharing(Count::Pool(64)),
            needs: A_LOOP,
            run: simulated_proactor,
        },
    ],
};

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

fn return_to_loop(server: &'static Server) -> anyhow::Result<()> {
    let (clients, pool) = pool(server, 1, server.workers)?;
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let pool = pool.clone();
        threads.spawn(number, move |number| pool.compute(server, number))?;
    }
    for client in clients {
        let number = server.extra_thread(0);
        let reactor = Reactor::at_listeners(server, number, Epoll::new()?, Sharing::Nothing)?;
        reactor.with_pool(client)?.run();
    }
    threads.finish();
    Ok(())
}

fn half_sync(server: &'static Server) -> anyhow::Result<()> {
    let handles = Arc::new(Handles::at_listeners(server)?);
    let serve = |handles: &Handles, handle, worker: &mut Worker| {
        handles.serve(handle, worker);
    };
    let (threads, queue) = start_threads(server, &handles, serve)?;
    wait(server, &handles, queue, |handle, queue, worker| {
        if let Some(handle) = handles.dispatch(handle, worker) {
            queue.put(handle);
        }
    });
    threads.finish();
    Ok(())
}

fn simulated_proactor(server: &'static Server) -> anyhow::Result<()> {
    let handles = Arc::new(Handles::at_listeners(server)?.staged());
    let (threads, queue) = start_threads(server, &handles, Handles::compute)?;
    wait(server, &handles, queue, |handle, queue, worker| {
        if let Some(complete) = handles.serve(handle, worker) {
            queue.put(complete);
        }
    });
    threads.finish();
    Ok(())
}

/// Starts the threads, which take from a queue and `serve`.
fn start_threads<T: Send + 'static>(
    server: &'static Server,
    handles: &Arc<Handles>,
    serve: impl Fn(&Handles, T, &mut Worker) + Copy + Send + 'static,
) -> anyhow::Result<(Threads, Producer<T>)> {
    let (producer, consumer) = work(server.limits.queue_max);
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let (consumer, handles) = (consumer.clone(), Arc::clone(handles));
        threads.spawn(number, move |number| {
            let mut worker = Worker::ready(server, number);
            while let Some(taken) = consumer.take() {
                worker.tick();
                serve(&handles, taken, &mut worker);
            }
        })?;
    }
    Ok((threads, producer))
}

/// The loop: waits, and does with each handle what the variant does. A full queue holds it, away
/// from the listener and from everybody else.
fn wait<T>(
    server: &'static Server,
    handles: &Handles,
    queue: Producer<T>,
    mut each: impl FnMut(Handle, &Producer<T>, &mut Worker),
) {
    let mut worker = Worker::ready(server, server.extra_thread(0));
    let mut events = Events::with_capacity(server.limits.events_max);
    let mut ready = Vec::new();
    while !handles.is_over() {
        handles.wait(&mut worker, &mut events, None, &mut ready);
        for handle in ready.drain(..) {
            each(handle, &queue, &mut worker);
        }
        queue.wake();
    }
}
