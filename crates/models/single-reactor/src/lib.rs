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
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `epoll` | `epoll_pwait2` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `epoll-edge` | `epoll_pwait2` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×3, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `poll` | `ppoll` | `accept4` ×2, `close`, `ppoll` ×2, `recvfrom` | `ppoll`, `recvfrom`, `sendto` | 3 |
//! | `select` | `pselect6` | `accept4` ×2, `close`, `pselect6` ×2, `recvfrom` | `pselect6`, `recvfrom`, `sendto` | 3 |
//! | `busy` | nothing | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 0 |
//!
//! **What breaks it.** A handler that computes or blocks: everybody waits for it. A second CPU: it
//! is never used.
//!
//! **When to pick it.** Many connections, short handlers, one CPU; state without locks.
//!
//! **Variants.** Each differs in how the loop learns what is ready; the calls on sockets are the same.
//! Roles are the loop's throughout.
//!
//! - `epoll-edge`: the selector reports changes, each once. One `epoll_ctl` a connection, for reading
//!   and writing alike, and no other ever. A receive that did not fill its buffer has emptied the
//!   socket, so none asks in vain; whoever has more than one turn allows, a listener too, is queued, and
//!   served once a round. A new connection costs a wake-up where its request comes later, for the
//!   room to send is a change too.
//! - `poll`: the loop keeps the set. No `epoll_ctl`; each wait hands the kernel all of it and looks
//!   through all of it.
//! - `select`: the same with a bit for each descriptor number below 1024 (`FD_SETSIZE`). At the last
//!   number it stops accepting, says so once, and goes on when a connection ends.
//! - `busy`: no selector. A round tries every listener and every connection that is to be received from:
//!   no wait, one call for each a round, mostly for nothing, and a CPU that is always full.
//!
//! **Source.** Schmidt et al., *POSA2*, Reactor; Redis, Node.js. Edge triggering: `epoll(7)`;
//! `busy`: Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 6.2, the second I/O model.

use reactor::{Busy, Epoll, EpollEdge, Poll, Reactor, Select, Selector, Sharing};
use server::{Model, Needs, Roles, Server, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "single-reactor",
    variants: &[
        Variant {
            name: "epoll",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "One thread, one selector, everything.",
            pick_when: "connections are many and handlers short, and one CPU is enough",
            breaks_when: "a handler computes or blocks: everybody waits for it",
            workers: Workers::ONE_LOOP,
            needs: Needs::USUAL,
            run: serve::<Epoll>,
        },
        Variant {
            name: "epoll-edge",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "The selector reports changes, each once; the loop remembers the rest.",
            pick_when: "you must know whether edge triggering pays for your traffic",
            breaks_when: "a handler computes or blocks: everybody waits for it",
            workers: Workers::ONE_LOOP,
            needs: Needs::USUAL,
            run: serve::<EpollEdge>,
        },
        Variant {
            name: "poll",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "The loop keeps the set and hands the kernel all of it at every wait.",
            pick_when: "connections are few and mostly active, or epoll is not there",
            breaks_when: "many connections idle: each wait looks at every one",
            workers: Workers::ONE_LOOP,
            needs: Needs::USUAL,
            run: serve::<Poll>,
        },
        Variant {
            name: "select",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "Sets of bits for descriptor numbers below 1024, built anew at every wait.",
            pick_when: "never, but to know its price",
            breaks_when: "the thousandth connection: descriptor numbers from 1024 on have no bit",
            workers: Workers {
                connections_max: Some(SELECT_CONNECTIONS_MAX),
                ..Workers::ONE_LOOP
            },
            needs: Needs::USUAL,
            run: serve_by_select,
        },
        Variant {
            name: "busy",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "No selector: every socket is tried in turn, all the time.",
            pick_when: "one connection's latency is worth a CPU",
            breaks_when: "anything else: the CPU is always full, and each idle connection costs a call a round",
            workers: Workers::ONE_LOOP,
            needs: Needs::USUAL,
            run: serve::<Busy>,
        },
    ],
};

/// Of the descriptor numbers that select(2) knows, some are the server's own.
const SELECT_CONNECTIONS_MAX: usize = 1_000;

fn serve<S: Selector>(server: &'static Server) -> anyhow::Result<()> {
    Reactor::at_listeners(server, 0, S::empty()?, Sharing::Nothing)?.run();
    Ok(())
}

fn serve_by_select(server: &'static Server) -> anyhow::Result<()> {
    // The kernel shall hand out no number that select cannot take.
    os::process::limit_descriptors(os::select::SELECT_END);
    serve::<Select>(server)
}
