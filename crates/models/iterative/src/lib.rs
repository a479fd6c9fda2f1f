//! **Iterative**: one process serves one client after another.
//!
//! ```text
//!            ┌─────────────── process ────────────────┐
//!   client ─▶│ accept ─▶ read ─▶ compute ─▶ write ──┐ │
//!            │    ▲                                 │ │
//!            │    └──────── client is done ◀────────┘ │
//!            └────────────────────────────────────────┘
//! ```
//!
//! accepts: the process · reads: the process · computes: the process · writes: the process
//!
//! **Cost.** Per connection: an accept, a receive that finds the FIN, a close. Per request: one
//! receive and one send. The process switches only to the client and back, and the kernel alone
//! copies. No other model costs less.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `accept4` | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 3 |
//! | `inetd` | `ppoll` | `accept4`, `execve`, `exit_group`, `recvfrom` | `recvfrom`, `sendto` | 1 |
//! | `--front poll` | `epoll_pwait2`, `futex` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×3, `recvfrom` | `epoll_pwait2` ×2, `recvfrom`, `sendto`, (`futex`), (`write to an eventfd`) | 5 |
//!
//! **What breaks it.** A second client: it waits until the first has finished, so one idle
//! keep-alive connection is an outage that lasts until its deadline. Keep `--idle-ms` and
//! `--head-ms` small.
//!
//! **When to pick it.** There is never more than one client, or each connection carries one short
//! request; and as the floor against which the overhead of every other model is measured.
//!
//! **With a front** (`--front poll`) the main thread is a loop that holds every connection until a
//! request is complete, and one more thread serves one request after another: what waits for its turn
//! is a request and no longer a client.
//!
//! accepts: the front · reads: the front · computes: a thread · writes: a thread
//!
//! A request costs what it costs in `thread-pool` with a front.
//!
//! **Variants.** `inetd` opens no listener. A super-server accepts, forks and execs this program
//! with the connection as descriptor 0; the program serves it and exits. accepts: a super-server ·
//! reads: the process · computes: the process · writes: the process. Each connection costs a fork,
//! an exec and a start of the program, which take some milliseconds; while there is no connection,
//! nothing runs at all. The standard output may be the connection, too, so the program prints
//! nothing.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 30.4 (server 0), and
//! chapter 13 for `inetd`.

use server::{
    Backoff, Calls, Connection, Holds, Listeners, Model, Needs, RequestCalls, Roles, Server,
    Topology, Variant, Worker, Workers,
};

/// The model.
pub const MODEL: Model = Model {
    name: "iterative",
    variants: &[
        Variant {
            name: "-",
            roles: Roles::accepted_by("the process", "the process"),
            summary: "One process serves one client after another.",
            pick_when: "there is one client, or each connection carries one short request",
            breaks_when: "a second client comes: it waits until the first has finished",
            workers: ONE_CLIENT,
            needs: Needs {
                front: FRONT,
                ..Needs::USUAL
            },
            run,
        },
        Variant {
            name: "inetd",
            roles: Roles::accepted_by("a super-server", "the process"),
            summary: "A super-server accepts and starts the program, which serves the connection on descriptor 0.",
            pick_when: "clients are rare, and nothing should run while there are none",
            breaks_when: "there are many clients: each costs a fork and an exec",
            workers: ONE_CLIENT,
            needs: Needs {
                listeners: Listeners::None,
                ..Needs::USUAL
            },
            run: serve_given,
        },
    ],
};

#[cfg(feature = "front")]
const FRONT: Option<server::Front> = Some(reactor::front::POOL);
#[cfg(not(feature = "front"))]
const FRONT: Option<server::Front> = None;

const ONE_CLIENT: Workers = Workers {
    holds: Holds::One,
    calls: Calls::Worker,
    processes: true,
    topology: Topology::Seats,
    request: Some(RequestCalls::NONE),
    ..Workers::ONE_LOOP
};

fn run(server: &'static Server) -> server::Result {
    let mut worker = Worker::before_fork(server);
    worker.become_process(0);
    server.ready();
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    while let Some(connection) = worker.accept(&mut backoff) {
        worker.serve(connection);
    }
    Ok(())
}

/// Serves the connection that a super-server has accepted.
fn serve_given(server: &'static Server) -> server::Result {
    let mut worker = Worker::before_fork(server);
    worker.become_process(0);
    let socket = server
        .take_inetd_connection()
        .ok_or("descriptor 0 is served once")?;
    server.ready();
    let connection = Connection::new(socket, &mut worker);
    worker.serve(connection);
    Ok(())
}
