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
//! **Cost.** A connection: accept, clone, a receive that finds the FIN, close,
//! and the calls by which a thread comes and goes: tens of microseconds, a tenth of a fork. A
//! request: one receive and one send, and a thread switch where another ran before. An idle
//! connection keeps its thread: the stack it has touched, its receive buffer, and what the kernel
//! keeps for a thread.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `accept4` | `accept4`, `clone3`, `close`, `exit`, `gettid`, `madvise`, `recvfrom`, `rt_sigprocmask` ×4, `set_robust_list` | `recvfrom`, `sendto` | 1 |
//!
//! **What breaks it.** Thousands of connections: a stack and a scheduler entry each. At its bound
//! (`--workers`) it stops accepting until a thread ends. Where the system has no more threads, that
//! client is closed and the others are served.
//!
//! **When to pick it.** Some hundred connections whose handlers block, in code that reads from top
//! to bottom; a slow client costs a thread and nobody's turn.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.10 (server 6).

use server::{Backoff, Count, Model, Needs, Roles, Server, ThreadSlots, Variant, Workers, log};

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
        needs: Needs::USUAL,
        run,
    }],
};

fn run(server: &'static Server) -> server::Result {
    let slots = ThreadSlots::new(server)?;
    let mut accepting = Backoff::new(server.limits.accept_pause_ms_max);
    let mut starting = accepting.clone();
    while let Some(slot) = slots.free()
        && let Some(socket) = server.next_socket(false, &mut accepting)
    {
        match slot.serve(socket) {
            Ok(()) => starting.reset(),
            Err(error) => {
                // This client is closed; the others are served, and the next may find room.
                log(format_args!("thread: {error}; a client was turned away"));
                let _ = server.wait_for_drain(starting.pause());
            }
        }
    }
    slots.finish();
    Ok(())
}
