//! **Leader/follower**: threads take turns at one handle set; the leader promotes a follower
//! before it serves.
//!
//! ```text
//!             ┌ handle set ┐  leader: wait for one handle
//!   clients ═▶│ ■ ■ ■ ■ ■  │◀──────────────┐
//!             └────────────┘      promote a follower ──▶ the next leader
//!                   ▲                       ▼
//!                   └─ let go ─ accept │ read ─▶ compute ─▶ write
//! ```
//!
//! accepts: a thread · reads: a thread · computes: a thread · writes: a thread
//!
//! The handle of a connection is suspended from the wait that reports it until the connection has
//! been served, so that no two threads serve it at once. The handle set does that in user space: the
//! leader counts what comes for a connection that a thread has in hand, and gives it to nobody.
//!
//! **Cost.** A connection: accept, two `epoll_ctl` (add, and re-arm of the listener), a receive that
//! finds the FIN, close. A request: one receive, one send, its share of a wait, and a wake-up where a
//! follower was asleep; one `epoll_ctl` more where something else comes before it has been served, or
//! more than a receive takes. No queue, no hand-over of the request between threads.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `epoll_pwait2`, `futex` ×2, `ppoll` | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`futex`) | `epoll_pwait2`, `recvfrom`, `sendto`, (`futex`) | 6 |
//!
//! **What breaks it.** Short handlers on many CPUs: the promotion costs more than the service, and
//! connections move from cache to cache.
//!
//! **When to pick it.** Handlers that may block, on fewer threads than connections, with arrivals
//! served in order by whoever is free.
//!
//! **Source.** Schmidt, O'Ryan, Pyarali, Kircher, Buschmann, *Leader/Followers*, POSA2.

mod leadership;
mod sync;

use std::sync::Arc;

use reactor::{Events, Handle, Handles};
use server::{Count, Model, Needs, Roles, Server, Threads, Variant, Worker, Workers};

use crate::leadership::Leadership;

/// The model.
pub const MODEL: Model = Model {
    name: "leader-follower",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("a thread", "a thread"),
        summary: "Threads take turns at one handle set; the leader promotes a follower before it serves.",
        pick_when: "handlers may block and connections outnumber threads",
        breaks_when: "handlers are short: promotion costs more than service",
        workers: Workers::sharing(Count::PerCpu),
        needs: Needs::USUAL,
        run,
    }],
};

fn run(server: &'static Server) -> server::Result {
    let handles = Arc::new(Handles::at_listeners(server)?);
    let leadership = Arc::new(Leadership::new());
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let (handles, leadership) = (Arc::clone(&handles), Arc::clone(&leadership));
        threads.spawn(number, move |number| {
            follow(server, &handles, &leadership, number);
        })?;
    }
    threads.finish();
    Ok(())
}

/// The life of a thread: follow, lead, promote, serve.
fn follow(
    server: &'static Server,
    handles: &Handles,
    leadership: &Leadership<Handle>,
    number: usize,
) {
    let mut worker = Worker::ready(server, number);
    let mut events = Events::with_capacity(server.limits.events_max);
    while let Some(leader) = leadership.follow() {
        let (leader, ready) = leader.wait(|ready| {
            handles.wait(&mut worker, &mut events, None, ready);
            (!handles.is_over()).then_some(worker.now)
        });
        leader.promote();
        if let Some((handle, now)) = ready {
            worker.now = now;
            handles.serve(handle, &mut worker);
        }
    }
}
