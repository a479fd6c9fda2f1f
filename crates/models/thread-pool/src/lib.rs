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
//! asleep), the receive timeout, a receive that finds the FIN, close. A request: one receive and
//! one send, and a thread switch where another ran before.
//!
//! **What breaks it.** More persistent connections than threads: the rest wait in the queue, then
//! in the backlog. Slow clients hold a thread each until their deadline.
//!
//! **When to pick it.** Blocking services that share memory, with a known bound on connections.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.12 (server 8).

use crossbeam_channel::bounded;
use server::{Backoff, Model, Roles, Server, Threads, Variant, Worker, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "thread-pool",
    variants: &[Variant {
        name: "queue",
        roles: Roles::accepted_by("the main thread", "a thread"),
        summary: "Threads created in advance, fed by a bounded queue of accepted connections.",
        pick_when: "the service blocks and shares memory, and connections are bounded",
        breaks_when: "there are more persistent connections than threads",
    }],
    workers: Workers::Pool(64),
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    let (sender, receiver) = bounded(server.limits.queue_max);
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let receiver = receiver.clone();
        threads.spawn(number, move |number| {
            let mut worker = Worker::blocking(server, number);
            while let Ok(socket) = receiver.recv() {
                let connection = server::Connection::new(socket, &mut worker);
                worker.serve(connection);
            }
        })?;
    }
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(socket) = server.next_socket(false, &mut backoff) {
        // A full queue holds the main thread here, away from the door.
        sender.send(socket)?;
    }
    drop(sender);
    threads.finish();
    Ok(())
}
