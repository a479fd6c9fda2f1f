//! **Prefork**: children forked in advance, all blocked in accept on one socket.
//!
//! ```text
//!                          ┌───────────────── child 0 ─────────────────┐
//!   ┌─ parent ─┐   ┌──────▶│ accept ─▶ read ─▶ compute ─▶ write ─▶ …   │
//!   │ fork, N  │   │       └───────────────────────────────────────────┘
//!   │ replace  │   │  one  ┌───────────────── child N-1 ───────────────┐
//!   └──────────┘ client ──▶│ accept ─▶ …                               │
//!                          └───────────────────────────────────────────┘
//! ```
//!
//! accepts: a child · reads: a child · computes: a child · writes: a child
//!
//! **Cost.** A connection: accept, the receive timeout, a receive that finds the FIN, close; the
//! kernel wakes one child, in turn. A request: one receive and one send, and a process switch
//! where another child ran before.
//!
//! **What breaks it.** More persistent connections than children: the rest wait in the backlog,
//! however idle the others are. Each child costs its own memory.
//!
//! **When to pick it.** Services that block or crash or are not thread-safe, with a known bound on
//! connections: a dead child loses one client and is replaced.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.6 (server 2).

use server::{Backoff, Children, Model, Roles, Server, Variant, Worker, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "prefork",
    variants: &[Variant {
        name: "accept",
        roles: Roles::accepted_by("a child", "a child"),
        summary: "Children forked in advance, all blocked in accept on one socket.",
        pick_when: "the service blocks, crashes or is not thread-safe, and connections are bounded",
        breaks_when: "there are more persistent connections than children",
    }],
    workers: Workers::Pool(64),
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    let mut worker = Worker::blocking(server, 0);
    worker.warm_up();
    let mut children = Children::new(server);
    if let Some(child) = children.keep() {
        let mut worker = worker.alone(child.number);
        let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
        while let Some(connection) = worker.accept(&mut backoff) {
            worker.serve(connection);
        }
        child.end();
    }
    children.drain();
    Ok(())
}
