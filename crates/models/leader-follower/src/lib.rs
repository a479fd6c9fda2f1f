//! **Leader/follower**: threads take turns at one handle set, and the leader promotes a follower
//! before it serves.
//!
//! ```text
//!             ┌ handle set ┐  leader: wait for one handle
//!   clients ═▶│ ■ ■ ■ ■ ■  │◀──────────────┐
//!             └────────────┘      promote a follower ──▶ the next leader
//!                   ▲                       ▼
//!                   └─ resume ─ accept │ read ─▶ compute ─▶ write
//! ```
//!
//! accepts: a thread · reads: a thread · computes: a thread · writes: a thread
//!
//! The handle of a connection is suspended from the wait that reports it until the connection has
//! been served, so that no two threads serve it at once. The handle set does that in user space:
//! the leader counts the events of a connection that a thread serves, and gives the connection to
//! no other.
//!
//! **Cost.** Per connection: an accept, two `epoll_ctl` (one to add the connection, one to arm the
//! listener again), a receive that finds the FIN, a close. Per request: one receive, one send, a
//! share of a wait, and a wake-up if a follower was asleep; one `epoll_ctl` more if another event
//! comes before the connection has been served, or if it has sent more than one receive takes.
//! There is no queue, and a request is not passed from thread to thread.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `epoll_pwait2`, `futex` ×2, `ppoll` | `accept4` ×2, `close`, `epoll_ctl` ×2, `epoll_pwait2` ×2, `recvfrom`, (`futex`) | `epoll_pwait2`, `recvfrom`, `sendto`, (`futex`) | 6 |
//!
//! **What breaks it.** Short handlers on many CPUs: the promotion costs more than the service, and
//! connections move from cache to cache.
//!
//! **When to pick it.** Handlers may block, there are fewer threads than connections, and requests
//! are to be served in order by the next thread that is free.
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
        pick_when: "handlers may block, and there are more connections than threads",
        breaks_when: "handlers are short: the promotion costs more than the service",
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

/// What a thread does: follow, lead, promote, serve.
#[inline(never)] // So that the frame has a name, which a test looks for.
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
