//! **Single reactor**: one thread waits in one selector and does everything.
//!
//! ```text
//!             ┌───────────────────────── thread ──────────────────────────┐
//!   clients ═▶│ wait ─▶ for each ready: accept │ read ─▶ compute ─▶ write │
//!             │   ▲                                                    │  │
//!             │   └────────────────────────────────────────────────────┘  │
//!             └───────────────────────────────────────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: the loop · writes: the loop
//!
//! The loop, from `reactor/src/reactor.rs`; a test compares the two:
//!
//! ```ignore
//! while !self.is_done() {
//!     self.wait(&mut events, &mut fired);
//!     for event in &events {
//!         let ready = S::ready(event);
//!         match ready.source {
//!             Source::Connection(token) => self.on_ready(token, ready),
//!             Source::Listener(index) => self.on_listener(index),
//!             Source::Drain => self.on_drain(),
//!             Source::Wake => self.on_wake(),
//!             Source::AcceptPause => {}
//!         }
//!     }
//!     self.finish_turns();
//!     for (source, tick) in fired.drain(..) {
//!         match source {
//!             Source::Connection(token) => self.on_deadline(token, tick),
//!             Source::AcceptPause => self.on_pause_over(),
//!             Source::Listener(_) | Source::Drain | Source::Wake => {}
//!         }
//!     }
//! }
//! ```
//!
//! `wait` returns what is ready and which deadlines have passed. `on_ready` receives from a
//! connection, calls the service and sends the reply. `finish_turns` has something to do only in
//! `epoll-edge`.
//!
//! **Cost.** Per connection: an accept, one `epoll_ctl`, a receive that finds the FIN, a close. Per
//! request: one receive and one send, and a share of a wait, which all connections that are ready
//! have in common. There is no switch and no lock, and an idle connection needs no memory beyond
//! its entry in the table.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `epoll` | `epoll_pwait2` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×2, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `epoll-edge` | `epoll_pwait2` | `accept4` ×2, `close`, `epoll_ctl`, `epoll_pwait2` ×3, `recvfrom` | `epoll_pwait2`, `recvfrom`, `sendto` | 3 |
//! | `poll` | `ppoll` | `accept4` ×2, `close`, `ppoll` ×2, `recvfrom` | `ppoll`, `recvfrom`, `sendto` | 3 |
//! | `select` | `pselect6` | `accept4` ×2, `close`, `pselect6` ×2, `recvfrom` | `pselect6`, `recvfrom`, `sendto` | 3 |
//! | `busy` | nothing | `accept4`, `close`, `recvfrom` | `recvfrom`, `sendto` | 0 |
//!
//! **What breaks it.** A handler that computes or blocks: all other connections wait for it. A
//! second CPU: the loop cannot use it.
//!
//! **When to pick it.** There are many connections, handlers are short, one CPU is enough, and
//! state needs no locks.
//!
//! **Variants.** They differ in how the loop learns what is ready. The calls on sockets are the
//! same, and so are the roles.
//!
//! - `epoll-edge`: the selector reports every change once. There is one `epoll_ctl` per connection,
//!   for reading and writing alike. A receive that did not fill its buffer has emptied the socket,
//!   so no receive fails for want of data. A connection, or a listener, that has more to do than
//!   its turn allows is queued, and has one turn per round. A new connection may cost a wake-up
//!   more, because the room to send is a change too.
//! - `poll`: the loop keeps the set of descriptors. There is no `epoll_ctl`, but each wait passes
//!   the whole set to the kernel, which looks at every descriptor in it.
//! - `select`: the same with one bit per descriptor number below 1024 (`FD_SETSIZE`). When the
//!   numbers have run out, the loop stops accepting, says so once, and goes on when a connection
//!   ends.
//! - `busy`: there is no selector. In every round the loop tries each listener and each connection
//!   that it would read from: one call each, which mostly finds nothing, and a CPU that is always
//!   busy.
//!
//! **Source.** Schmidt et al., *POSA2*, Reactor; Redis, Node.js. Edge triggering: `epoll(7)`;
//! `busy`: Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 6.2, the second I/O model.

use reactor::{Busy, Epoll, EpollEdge, Poll, Reactor, Select, Selector, Sharing};
use server::{Model, Needs, RequestCalls, Roles, Server, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "single-reactor",
    variants: &[
        EPOLL,
        Variant {
            name: "epoll-edge",
            summary: "The selector reports every change once; the loop remembers what is left to do.",
            pick_when: "you want to know whether edge triggering pays for your traffic",
            run: serve::<EpollEdge>,
            ..EPOLL
        },
        Variant {
            name: "poll",
            summary: "The loop keeps the set of descriptors and passes all of it to the kernel at every wait.",
            pick_when: "connections are few and mostly active, or there is no epoll",
            breaks_when: "many connections are idle: each wait looks at every one of them",
            run: serve::<Poll>,
            ..EPOLL
        },
        Variant {
            name: "select",
            summary: "The loop passes one bit per descriptor number below 1024 to the kernel at every wait.",
            pick_when: "you want to know what it costs; never otherwise",
            breaks_when: "there are a thousand connections: descriptor numbers from 1024 on have no bit",
            workers: Workers {
                connections_max: Some(SELECT_CONNECTIONS_MAX),
                ..Workers::ONE_LOOP
            },
            needs: Needs::SUPERSEDED,
            run: serve_by_select,
            ..EPOLL
        },
        Variant {
            name: "busy",
            summary: "The loop has no selector: it tries every socket in turn, all the time.",
            pick_when: "the latency of one connection is worth a CPU",
            breaks_when: "anything else matters: the CPU is always busy, and each idle connection costs a call per round",
            workers: Workers::ONE_LOOP.calling(Some(RequestCalls::NONE)),
            run: serve::<Busy>,
            ..EPOLL
        },
    ],
};

/// The default; the others are what differs from it.
const EPOLL: Variant = Variant {
    name: "epoll",
    roles: Roles::accepted_by("the loop", "the loop"),
    summary: "One thread waits in one selector and does everything.",
    pick_when: "connections are many and handlers short, and one CPU is enough",
    breaks_when: "a handler computes or blocks: all other connections wait for it",
    workers: Workers::ONE_LOOP,
    needs: Needs::USUAL,
    run: serve::<Epoll>,
};

/// Of the descriptor numbers that select(2) knows, some are the server's own.
const SELECT_CONNECTIONS_MAX: usize = 1_000;

fn serve<S: Selector>(server: &'static Server) -> server::Result {
    let reactor = Reactor::at_listeners(server, 0, S::empty()?, Sharing::Nothing)?;
    server.ready();
    reactor.run();
    Ok(())
}

fn serve_by_select(server: &'static Server) -> server::Result {
    // The kernel is to return no number that select cannot take.
    os::process::limit_descriptors(os::select::SELECT_END);
    serve::<Select>(server)
}
