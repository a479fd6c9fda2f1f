//! **Iterative**: one process does everything, for one client at a time.
//!
//! ```text
//!            ┌─────────────── process ───────────────┐
//!   client ─▶│ accept ─▶ read ─▶ compute ─▶ write ─┐ │
//!            │    ▲                                 │ │
//!            │    └──────── client is done ◀────────┘ │
//!            └───────────────────────────────────────┘
//! ```
//!
//! accepts: the process · reads: the process · computes: the process · writes: the process
//!
//! **Cost.** A connection: accept, the receive timeout, a receive that finds the FIN, close. A
//! request: one receive and one send. No switch but the one to the client, no copy but the
//! kernel's. Nothing serves cheaper.
//!
//! **What breaks it.** A second client: it waits until the first is done, so one idle keep-alive
//! connection is an outage as long as its deadline. Keep `--idle-ms` and `--head-ms` small.
//!
//! **When to pick it.** One client by construction, or connections that carry one short request
//! each; as the floor that every other model's overhead is measured against.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.4 (server 0).

use server::{Backoff, Model, Roles, Server, Variant, Worker, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "iterative",
    variants: &[Variant {
        name: "-",
        roles: Roles::accepted_by("the process", "the process"),
        summary: "One process does everything, for one client at a time.",
        pick_when: "there is one client, or each connection carries one short request",
        breaks_when: "a second client comes: it waits until the first has gone",
    }],
    workers: Workers::One,
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    let mut worker = Worker::blocking(server, 0).alone(0);
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(connection) = worker.accept(&mut backoff) {
        worker.serve(connection);
    }
    Ok(())
}
