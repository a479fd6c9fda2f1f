//! **Thread per client**: the main thread accepts, and starts a thread for every client.
//!
//! ```text
//!            ┌─ main ─┐  clone  ┌──────────── thread ───────────┐
//!   client ─▶│ accept │────────▶│ read ─▶ compute ─▶ write ─▶ … │ exit
//!            └────────┘         └───────────────────────────────┘
//! ```
//!
//! accepts: the main thread · reads: a thread · computes: a thread · writes: a thread
//!
//! **Cost.** Per connection: an accept, a clone, a receive that finds the FIN, a close, and the
//! calls by which a thread begins and ends: tens of microseconds, a tenth of a fork. Per request:
//! one receive and one send, and a thread switch if another thread ran before. An idle connection
//! keeps its thread: the part of the stack that was used, the receive buffer, and what the kernel
//! keeps for a thread.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `accept4` | `accept4`, `clone3`, `close`, `exit`, `gettid`, `madvise`, `recvfrom`, `rt_sigprocmask` ×4, `set_robust_list` | `recvfrom`, `sendto` | 1 |
//! | `--front poll` | `epoll_pwait2`, `futex` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `clone3`, `epoll_pwait2` ×2, `exit`, `gettid`, `madvise`, `recvfrom`, `rt_sigprocmask` ×4, `sendto`, `set_robust_list`, (`futex`), (`write to an eventfd`) | 5 |
//!
//! **What breaks it.** Thousands of connections: each has a stack and an entry in the scheduler.
//! When there are as many threads as it may have (`--workers`), it accepts no client until one ends.
//! If the system can start no more threads, that client is closed and the others are served.
//!
//! **When to pick it.** There are some hundred connections whose handlers block, in code that reads
//! from top to bottom. A slow client occupies its own thread and delays no other.
//!
//! **With a front** (`--front poll`) a loop in a thread of its own holds every connection until a
//! request is complete; the main thread takes complete requests from its queue, and starts a thread for
//! each.
//!
//! accepts: the front · reads: the front · computes: a thread · writes: a thread
//!
//! The thread ends with its reply, or with as much of it as the client takes at once, and the
//! connection goes back to the front. So there is a thread for each request under way, and idle and
//! slow clients have none. A persistent connection pays for the start and the end of a thread with every
//! request, and for a wake-up of the main thread.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.10 (server 6).

use server::{
    Backoff, Client, Count, Model, Needs, Phase, Roles, Server, ThreadSlots, Topic, Variant,
    Workers, repeated,
};

/// The model.
pub const MODEL: Model = Model {
    name: "thread-per-client",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("the main thread", "a thread"),
        summary: "The main thread accepts, and starts a thread for every client.",
        pick_when: "handlers block, and there are some hundred connections",
        breaks_when: "there are thousands of connections: each costs a thread",
        workers: Workers::threads(Count::UpTo(4096)),
        needs: Needs {
            front: FRONT,
            ..Needs::USUAL
        },
        run,
    }],
};

fn run(server: &'static Server) -> server::Result {
    let slots = ThreadSlots::new(server)?;
    let mut accepting = Backoff::new(server.limits.accept_pause_ms_max);
    server.ready();
    start_threads(server, slots, || server.next_socket(false, &mut accepting));
    Ok(())
}

/// A front accepts and reads, and the main thread starts a thread for every request that is complete.
#[cfg(feature = "front")]
const FRONT: Option<server::Front> = Some(server::Front {
    serves: "a thread",
    processes: false,
    extra_threads: |_| 1,
    run: |server| {
        let slots = ThreadSlots::new(server)?;
        let pool = reactor::front::in_thread(server, slots.threads())?;
        server.ready();
        start_threads(server, slots, || pool.take());
        Ok(())
    },
});
#[cfg(not(feature = "front"))]
const FRONT: Option<server::Front> = None;

/// Starts a thread for every client, until there is no next one.
fn start_threads<C: Client>(
    server: &'static Server,
    slots: ThreadSlots<C>,
    mut next: impl FnMut() -> Option<C>,
) {
    let mut starting = Backoff::new(server.limits.accept_pause_ms_max);
    // A client that is accepted and waits for a thread.
    let mut waiting = None;
    while let Some(slot) = slots.free()
        && let Some(client) = waiting.take().or_else(&mut next)
    {
        match slot.serve(client) {
            Ok(()) => starting.reset(),
            Err((error, client)) => {
                waiting = client.filter(|_| server.drain.phase() < Phase::Cutting);
                repeated(
                    Topic::Thread,
                    format_args!("thread: {error}; clients wait until one can be had"),
                );
                let _ = server.wait_for_drain(starting.pause());
            }
        }
    }
    slots.finish();
}
