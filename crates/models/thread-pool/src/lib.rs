//! **Thread pool**: threads created in advance, fed by a bounded queue of accepted connections.
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
//! **Cost.** A connection: accept, a hand-over through the queue (a wake-up where a thread was
//! asleep), a receive that finds the FIN, close. A request: one receive and
//! one send, and a thread switch where another ran before.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `queue` | `accept4`, `futex` ×3 | `accept4`, `close`, `recvfrom`, (`futex`), (`sched_yield`) | `recvfrom`, `sendto` | 4 |
//! | `accept` | `accept4` ×3, `ppoll` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `accept-mutex` | `accept4`, `futex` ×2, `ppoll` | `accept4`, `close`, `recvfrom`, (`futex`) | `recvfrom`, `sendto` | 4 |
//!
//! **What breaks it.** More persistent connections than threads: the rest wait in the queue, then
//! in the backlog. Slow clients hold a thread each until their deadline.
//!
//! **When to pick it.** Blocking services that share memory, with a known bound on connections.
//!
//! **Variants.** In both of these threads accept for themselves, and the main thread only waits for
//! the drain, in which it wakes those that block. There is no queue: who finds no thread waits in
//! the backlog.
//!
//! - `accept`: all threads block in accept. accepts: a thread · reads: a thread · computes: a thread
//!   · writes: a thread. The hand-over is saved; the kernel wakes one thread, in turn.
//! - `accept-mutex`: the thread that holds a mutex blocks in accept, the others wait for the mutex.
//!   accepts: a thread · reads: a thread · computes: a thread · writes: a thread. A futex wake and a
//!   futex wait a connection more, where threads are idle.
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
        Variant {
            name: "queue",
            roles: Roles::accepted_by("the main thread", "a thread"),
            summary: "Threads created in advance, fed by a bounded queue of accepted connections.",
            pick_when: "the service blocks and shares memory, and connections are bounded",
            breaks_when: "there are more persistent connections than threads",
            workers: THREADS,
            needs: Needs::USUAL,
            run: queue,
        },
        Variant {
            name: "accept",
            roles: Roles::accepted_by("a thread", "a thread"),
            summary: "Threads created in advance, all blocked in accept on one socket.",
            pick_when: "the same, and connections are short: nothing is handed over",
            breaks_when: "there are more persistent connections than threads",
            workers: THREADS,
            needs: Needs::USUAL,
            run: |server| accepting(server, Worker::accept),
        },
        Variant {
            name: "accept-mutex",
            roles: Roles::accepted_by("a thread", "a thread"),
            summary: "Threads created in advance take turns in accept, by a mutex.",
            pick_when: "the kernel wakes every blocked accept (Linux has not since 2.2)",
            breaks_when: "connections are short: each waits for a wake-up in line",
            workers: THREADS,
            needs: Needs::USUAL,
            run: accept_mutex,
        },
    ],
};

const THREADS: Workers = Workers::threads(Count::Pool(64));

fn accept_mutex(server: &'static Server) -> server::Result {
    let mutex: &'static Mutex<()> = Box::leak(Box::default());
    accepting(server, |worker, backoff| {
        worker.accept_holding(backoff, || Ok(mutex.lock()))
    })
}

/// The main thread accepts, and threads take from its queue.
fn queue(server: &'static Server) -> server::Result {
    // Those in the queue are open, too.
    let beside = server.limits.connections_max - server.workers;
    let (sender, receiver) = bounded(server.limits.queue_max.min(beside));
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let receiver = receiver.clone();
        threads.spawn(number, move |number| {
            let mut worker = Worker::blocking(server, number);
            while let Ok(socket) = receiver.recv() {
                let connection = Connection::new(socket, &mut worker);
                worker.serve(connection);
            }
        })?;
    }
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(socket) = server.next_socket(false, &mut backoff) {
        // A full queue holds the main thread here, away from the listener.
        sender.send(socket)?;
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
