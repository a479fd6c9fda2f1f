//! **Signal-driven**: every socket reports what happens on it by a real-time signal, and the loop
//! takes one signal at a time.
//!
//! ```text
//!             ┌───────────────────────── thread ────────────────────────────┐
//!   clients ═▶│ sigtimedwait ─▶ whose? ─▶ accept │ read ─▶ compute ─▶ write │
//!     signals │      ▲  └ SIGIO: the queue was full ─▶ poll them all     │  │
//!             │      └───────────────────────────────────────────────────┘  │
//!             └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: the loop · writes: the loop
//!
//! **Cost.** Per connection: an accept, three `fcntl` (owner, signal, O_ASYNC), a receive that
//! finds the FIN, a close. Per request: one receive, one send, and one `rt_sigtimedwait` of its
//! own: a signal is about one descriptor, so no wait is shared between connections. Signals report
//! changes, so the loop remembers what is left to do, as with an edge-triggered selector.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls per connection | calls per request | wake-ups per connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `rt_sigtimedwait` | `accept4` ×2, `close`, `fcntl` ×3, `recvfrom` ×2, `rt_sigtimedwait` ×3 | `recvfrom`, `rt_sigtimedwait`, `sendto` | 3 |
//! | `udp` | `rt_sigtimedwait` | `accept4` ×2, `close`, `fcntl` ×3, `recvfrom` ×2, `rt_sigtimedwait` ×3 | `recvfrom`, `rt_sigtimedwait`, `sendto` | 3 |
//!
//! **What breaks it.** The queue of signals is bounded per user (`RLIMIT_SIGPENDING`). When it is
//! full, one SIGIO says so, and the loop polls every descriptor. Many small packets are many
//! signals; a segment that only acknowledges is none.
//!
//! **When to pick it.** For datagrams on one socket, or on a system with nothing better: before
//! epoll this was how Linux served thousands of connections. Today it is here to be measured.
//!
//! **Variants.** `udp` is the same, and echoes datagrams at the addresses it listens on, by the
//! signal-driven design of UNP chapter 25: a standard signal does not queue, so one signal may
//! stand for many datagrams, or for one that was read already. A histogram of the datagrams per
//! signal is logged at SIGHUP and at the end.
//!
//! **Source.** Stevens, *UNIX Network Programming* vol. 1, 3rd ed., section 6.2 and chapter 25;
//! Provos and Lever, *Scalable Network I/O in Linux*, USENIX 2000.

mod datagrams;
mod signals;

use reactor::{Reactor, Sharing};
use server::{Model, Needs, Roles, Server, Variant, Workers};

use crate::datagrams::Echo;
use crate::signals::SignalQueue;

/// The model.
pub const MODEL: Model = Model {
    name: "signal-driven",
    variants: &[
        SIGNALS,
        Variant {
            name: "udp",
            summary: "The same, with an echo of datagrams whose signals coalesce.",
            pick_when: "datagrams come on one socket, and the program has other things to do",
            breaks_when: "datagrams come faster than the loop reads them: the buffer of the socket drops them",
            needs: Needs {
                datagrams: true,
                ..Needs::USUAL
            },
            run: serve_and_echo,
            ..SIGNALS
        },
    ],
};

/// The default; the other is what differs from it.
const SIGNALS: Variant = Variant {
    name: "-",
    roles: Roles::accepted_by("the loop", "the loop"),
    summary: "Every socket reports what happens on it by a real-time signal, and one loop takes them.",
    pick_when: "you want to know what it costs; otherwise, epoll shares a wait between connections",
    breaks_when: "signals come faster than the loop takes them: their queue is bounded",
    workers: Workers::ONE_LOOP,
    needs: Needs::SUPERSEDED,
    run: |server| serve(server, SignalQueue::new()),
};

fn serve(server: &'static Server, signals: SignalQueue) -> server::Result {
    let reactor = Reactor::at_listeners(server, 0, signals, Sharing::Nothing)?;
    server.ready();
    reactor.run();
    Ok(())
}

fn serve_and_echo(server: &'static Server) -> server::Result {
    let mut signals = SignalQueue::new();
    signals.echo(Echo::at(&server.datagrams))?;
    serve(server, signals)
}
