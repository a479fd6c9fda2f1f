//! **Leader/follower**: threads take turns at one handle set; the leader promotes a follower
//! before it serves.
//!
//! ```text
//!             ┌ handle set ┐  leader: wait for one handle
//!   clients ═▶│ ■ ■ ■ ■ ■  │◀──────────────┐
//!             └────────────┘      promote a follower ──▶ the next leader
//!                   ▲                       ▼
//!                   └─ re-arm ─ accept │ read ─▶ compute ─▶ write
//! ```
//!
//! accepts: a thread · reads: a thread · computes: a thread · writes: a thread
//!
//! **Cost.** A connection: accept, two `epoll_ctl` (add, and re-arm of the door), a receive that
//! finds the FIN, close. A request: one receive, one send, one `epoll_ctl` that ends the suspension
//! of its handle, its share of a wait, and a wake-up where a follower was asleep. No queue, no
//! hand-over of the request between threads.
//!
//! **What breaks it.** Short handlers on many CPUs: the promotion costs more than the service, and
//! connections move from cache to cache.
//!
//! **When to pick it.** Handlers that may block, on fewer threads than connections, with arrivals
//! served in order by whoever is free.
//!
//! **Source.** Schmidt, O'Ryan, Pyarali, Kircher, Buschmann, *Leader/Followers*, POSA2.

mod handles;

use std::sync::Arc;

use reactor::Events;
use server::{Model, Roles, Server, Threads, Variant, Worker, Workers};

use crate::handles::Handles;

/// The model.
pub const MODEL: Model = Model {
    name: "leader-follower",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("a thread", "a thread"),
        summary: "Threads take turns at one handle set; the leader promotes a follower before it serves.",
        pick_when: "handlers may block and connections outnumber threads",
        breaks_when: "handlers are short: promotion costs more than service",
    }],
    workers: Workers::PerCpu,
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    let handles = Arc::new(Handles::new(server)?);
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let handles = Arc::clone(&handles);
        threads.spawn(number, move |number| follow(server, &handles, number))?;
    }
    threads.finish();
    Ok(())
}

/// The life of a thread: follow, lead, promote, serve.
fn follow(server: &'static Server, handles: &Handles, number: usize) {
    let mut worker = Worker::ready(server, number);
    let mut events = Events::with_capacity(server.limits.events_max);
    while let Some(mut leader) = handles.become_leader() {
        let handle = leader.wait(&mut worker, &mut events);
        leader.promote();
        handles.serve(handle, &mut worker);
    }
}
