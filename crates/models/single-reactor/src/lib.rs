//! **Single reactor**: one thread, one selector, everything.
//!
//! ```text
//!             ┌──────────────────────── thread ─────────────────────────┐
//!   clients ═▶│ wait ─▶ for each ready: accept │ read ─▶ compute ─▶ write │
//!             │   ▲                                                  │  │
//!             │   └──────────────────────────────────────────────────┘  │
//!             └─────────────────────────────────────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: the loop · writes: the loop
//!
//! **Cost.** A connection: accept, one `epoll_ctl`, a receive that finds the FIN, close. A request:
//! one receive and one send, and its share of a wait that all ready connections have in common.
//! No switch, no lock, no memory for an idle connection beyond its entry in the table.
//!
//! **What breaks it.** A handler that computes or blocks: everybody waits for it. A second CPU: it
//! is never used.
//!
//! **When to pick it.** Many connections, short handlers, one CPU; state without locks.
//!
//! **Source.** Schmidt et al., *POSA2*, Reactor; Redis, Node.js.

use reactor::Reactor;
use server::{Model, Roles, Server, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "single-reactor",
    variants: &[Variant {
        name: "epoll",
        roles: Roles::accepted_by("the loop", "the loop"),
        summary: "One thread, one selector, everything.",
        pick_when: "connections are many and handlers short, and one CPU is enough",
        breaks_when: "a handler computes or blocks: everybody waits for it",
    }],
    workers: Workers::One,
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    Reactor::at_doors(server, 0)?.run();
    Ok(())
}
