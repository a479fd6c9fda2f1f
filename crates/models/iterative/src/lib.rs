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
//! **Cost.** A connection: accept, a receive that finds the FIN, close. A
//! request: one receive and one send. No switch but the one to the client, no copy but the
//! kernel's. Nothing serves cheaper.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `accept4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `inetd` | `ppoll` | `accept4`, `execve`, `exit_group`, `recvfrom` | `recvfrom`, `sendto` | 1 |
//!
//! **What breaks it.** A second client: it waits until the first is done, so one idle keep-alive
//! connection is an outage as long as its deadline. Keep `--idle-ms` and `--head-ms` small.
//!
//! **When to pick it.** One client by construction, or connections that carry one short request
//! each; as the floor that every other model's overhead is measured against.
//!
//! **Variants.** `inetd` opens no listener. A super-server accepts, forks and execs it with the
//! connection as descriptor 0; it serves that one and exits. accepts: a super-server · reads: the
//! process · computes: the process · writes: the process. It costs a fork, an exec and a start of
//! the program for each connection, some milliseconds, and nothing at all between them. Standard
//! output may be the connection too, so nothing is ever printed there.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.4 (server 0), and
//! chapter 13 for `inetd`.

use server::{
    Backoff, Connection, Holds, Listeners, Model, Needs, Roles, Server, Variant, Worker, Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "iterative",
    variants: &[
        Variant {
            name: "-",
            roles: Roles::accepted_by("the process", "the process"),
            summary: "One process does everything, for one client at a time.",
            pick_when: "there is one client, or each connection carries one short request",
            breaks_when: "a second client comes: it waits until the first has gone",
            workers: ONE_CLIENT,
            needs: Needs::USUAL,
            run,
        },
        Variant {
            name: "inetd",
            roles: Roles::accepted_by("a super-server", "the process"),
            summary: "Serves the one connection on descriptor 0, for which a super-server has started it.",
            pick_when: "clients are rare, and nothing should run while there is none",
            breaks_when: "clients are many: each costs a fork and an exec",
            workers: ONE_CLIENT,
            needs: Needs {
                listeners: Listeners::None,
                ..Needs::USUAL
            },
            run: serve_given,
        },
    ],
};

const ONE_CLIENT: Workers = Workers {
    holds: Holds::One,
    processes: true,
    ..Workers::ONE_LOOP
};

fn run(server: &'static Server) -> server::Result {
    let mut worker = Worker::blocking(server, 0);
    worker.become_process(0);
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(connection) = worker.accept(&mut backoff) {
        worker.serve(connection);
    }
    Ok(())
}

/// Serves the connection that the super-server has accepted.
fn serve_given(server: &'static Server) -> server::Result {
    let mut worker = Worker::blocking(server, 0);
    worker.become_process(0);
    let socket = server
        .take_inetd_connection()
        .ok_or("descriptor 0 is served once")?;
    let connection = Connection::new(socket, &mut worker);
    worker.serve(connection);
    Ok(())
}
