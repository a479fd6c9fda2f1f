//! **Thread pool**: threads created in advance take accepted connections from a bounded queue.
//!
//! ```text
//!            ┌─ main ─┐   ┌─ queue ─┐   ┌───────────── thread 0 ────────────┐
//!   client ─▶│ accept │──▶│ ■ ■ ■   │──▶│ take ─▶ read ─▶ compute ─▶ write  │
//!            └────────┘   └─────────┘──▶│ …                      thread N-1 │
//!                                       └───────────────────────────────────┘
//! ```
//!
//! accepts: the main thread · reads: a thread · computes: a thread · writes: a thread
//!
//! **Cost.** Per connection: an accept, a pass through the queue (and a wake-up if a thread was
//! asleep), a receive that finds the FIN, a close. Per request: one receive and one send, and a
//! thread switch if another thread ran before.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `queue` | `accept4`, `futex` ×3 | `accept4`, `close`, `recvfrom`, (`futex`), (`sched_yield`) | `recvfrom`, `sendto` | 4 |
//! | `accept` | `accept4` ×3, `ppoll` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `accept-mutex` | `accept4`, `futex` ×2, `ppoll` | `accept4`, `close`, `recvfrom`, (`futex`) | `recvfrom`, `sendto` | 4 |
//! | `--front poll` | `epoll_pwait2`, `futex` ×3 | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`), (`write to an eventfd`) | 5 |
//!
//! **What breaks it.** More persistent connections than threads: the others wait in the queue, then
//! in the backlog. A slow client occupies a thread until its deadline.
//!
//! **When to pick it.** Services block and share memory, and the number of connections has a known
//! bound.
//!
//! **With a front** (`--front poll`) all variants are one: the main thread is a loop that holds every
//! connection until a request is complete, as in `reactor-pool`, and threads take requests from its
//! queue.
//!
//! accepts: the front · reads: the front · computes: a thread · writes: a thread
//!
//! What a client does not take of its reply waits in the front, too. So no connection holds a thread,
//! whether it is idle or slow, and there may be `--connections-max` of them. A request costs a wait of
//! the front more, a wake-up of a thread if one sleeps, and a wake-up of the front (a `write` to an
//! eventfd) if that does.
//!
//! **Variants.** In both, threads accept for themselves. The main thread waits for the drain, in
//! which it wakes the threads that block. There is no queue: a client for which no thread is free
//! waits in the backlog.
//!
//! - `accept`: all threads block in accept. accepts: a thread · reads: a thread · computes: a
//!   thread · writes: a thread. Nothing passes through a queue; the kernel wakes one thread, in
//!   turn.
//! - `accept-mutex`: the thread that holds a mutex blocks in accept, and the others wait for the
//!   mutex. accepts: a thread · reads: a thread · computes: a thread · writes: a thread. There are
//!   a futex wake and a futex wait more per connection, if threads are idle.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., sections 30.12 (server 8), and
//! 30.11 (server 7) for `accept-mutex`; server 9 is `accept`.

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use server::{
    Backoff, Connection, Count, Model, Needs, Roles, Server, Threads, Variant, Worker, Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "thread-pool",
    variants: &[
        QUEUE,
        Variant {
            name: "accept",
            roles: Roles::accepted_by("a thread", "a thread"),
            summary: "Threads created in advance all block in accept on one socket.",
            pick_when: "the service blocks and shares memory, and connections are short: nothing passes through a queue",
            run: |server| accepting(server, Worker::accept),
            ..QUEUE
        },
        Variant {
            name: "accept-mutex",
            roles: Roles::accepted_by("a thread", "a thread"),
            summary: "Threads created in advance accept one at a time, under a mutex.",
            pick_when: "the kernel wakes every blocked accept (Linux has not since 2.2)",
            breaks_when: "connections are short: each waits for the wake-up of the next thread",
            needs: Needs {
                accept_lock: true,
                ..QUEUE.needs
            },
            run: accept_mutex,
            ..QUEUE
        },
    ],
};

/// The default; the others are what differs from it.
const QUEUE: Variant = Variant {
    name: "queue",
    roles: Roles::accepted_by("the main thread", "a thread"),
    summary: "Threads created in advance take accepted connections from a bounded queue.",
    pick_when: "the service blocks and shares memory, and connections are bounded",
    breaks_when: "there are more persistent connections than threads",
    workers: THREADS,
    needs: Needs {
        front: FRONT,
        ..Needs::USUAL
    },
    run: queue,
};

#[cfg(feature = "front")]
const FRONT: Option<server::Front> = Some(reactor::front::POOL);
#[cfg(not(feature = "front"))]
const FRONT: Option<server::Front> = None;

const THREADS: Workers = Workers::threads(Count::Pool(64));

fn accept_mutex(server: &'static Server) -> server::Result {
    let mutex: &'static Mutex<()> = Box::leak(Box::default());
    accepting(server, |worker, backoff| {
        worker.accept_holding(backoff, || Ok(mutex.lock()))
    })
}

/// The main thread accepts, and threads take from its queue.
fn queue(server: &'static Server) -> server::Result {
    // Connections in the queue are open, too, and so is the one with which the main thread waits for room.
    let queue_max = (server.limits.connections_max - server.workers).saturating_sub(1);
    let (sender, receiver) = bounded(server.limits.queue_max.min(queue_max));
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let receiver = receiver.clone();
        threads.spawn(number, move |number| {
            let mut worker = Worker::blocking(server, number);
            while let Ok((socket, queued)) = receiver.recv() {
                worker.count_taken(queued);
                let connection = Connection::new(socket, &mut worker);
                worker.serve(connection);
            }
        })?;
    }
    server.ready();
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(socket) = server.next_socket(false, &mut backoff) {
        // While the queue is full the main thread waits here, and does not accept.
        sender.send((socket, server.count_queued()))?;
    }
    drop(sender);
    threads.finish();
    Ok(())
}

/// Threads `accept` for themselves.
fn accepting<Accept>(server: &'static Server, accept: Accept) -> server::Result
where
    Accept: Fn(&mut Worker, &mut Backoff) -> Option<Connection> + Copy + Send + 'static,
{
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        threads.spawn(number, move |number| {
            let mut worker = Worker::blocking(server, number);
            let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
            while let Some(connection) = accept(&mut worker, &mut backoff) {
                worker.serve(connection);
            }
        })?;
    }
    threads.finish();
    Ok(())
}
