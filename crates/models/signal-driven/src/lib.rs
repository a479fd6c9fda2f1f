//! **Signal-driven**: every socket tells of its news by a real-time signal; the loop takes one signal
//! at a time.
//!
//! ```text
//!             ┌──────────────────────── thread ─────────────────────────────┐
//!   clients ═▶│ sigtimedwait ─▶ whose? ─▶ accept │ read ─▶ compute ─▶ write │
//!     signals │      ▲  └ SIGIO: the queue was full ─▶ poll them all      │  │
//!             │      └────────────────────────────────────────────────────┘  │
//!             └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! accepts: the loop · reads: the loop · computes: the loop · writes: the loop
//!
//! **Cost.** A connection: accept, three `fcntl` (owner, signal, O_ASYNC), a receive that finds the
//! FIN, close. A request: one receive, one send, and one `rt_sigtimedwait` of its own: a signal is
//! one piece of news about one descriptor, so nothing is shared between connections. Signals report
//! changes, so the loop remembers what was left, as with an edge-triggered selector.
//!
//! As traced (a test compares; in parentheses what timing decides):
//!
//! | variant | at rest, 3 workers | calls a connection | calls a request | wake-ups a connection, 8 workers |
//! |---|---|---|---|---|
//! | `-` | `rt_sigtimedwait` | `accept4` ×2, `close`, `fcntl` ×3, `recvfrom` ×2, `rt_sigtimedwait` ×3 | `recvfrom`, `rt_sigtimedwait`, `sendto` | 3 |
//! | `udp` | `rt_sigtimedwait` | `accept4` ×2, `close`, `fcntl` ×3, `recvfrom` ×2, `rt_sigtimedwait` ×3 | `recvfrom`, `rt_sigtimedwait`, `sendto` | 3 |
//!
//! **What breaks it.** The queue of signals is bounded for the user (`RLIMIT_SIGPENDING`). When it
//! is full, one SIGIO says so, and the loop polls every descriptor. Many small packets are many
//! signals; a segment that only acknowledges is none.
//!
//! **When to pick it.** For datagrams on one socket, or where nothing else was there: before epoll
//! this was how Linux served thousands. Today it is here to be measured.
//!
//! **Variants.** `udp` is the same, and echoes datagrams at the addresses it listens on, by the
//! signal-driven design of UNP chapter 25: a standard signal does not queue, so one signal may stand
//! for many datagrams, or for one that was read already. How many it read for each signal is logged
//! as a histogram at SIGHUP and at the end.
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
        Variant {
            name: "-",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "Every socket tells of its news by a real-time signal, which one thread takes.",
            pick_when: "never, but to know its price: epoll shares a wait between connections",
            breaks_when: "news come faster than they are taken: the queue of signals is bounded",
            workers: Workers::ONE_LOOP,
            needs: Needs::USUAL,
            run: |server| serve(server, SignalQueue::new()),
        },
        Variant {
            name: "udp",
            roles: Roles::accepted_by("the loop", "the loop"),
            summary: "The same, and an echo of datagrams whose signals coalesce.",
            pick_when: "datagrams come on one socket, and the program has other things to do",
            breaks_when: "datagrams come faster than they are read: the socket's buffer drops them",
            workers: Workers::ONE_LOOP,
            needs: Needs {
                datagrams: true,
                ..Needs::USUAL
            },
            run: serve_and_echo,
        },
    ],
};

fn serve(server: &'static Server, signals: SignalQueue) -> anyhow::Result<()> {
    Reactor::at_listeners(server, 0, signals, Sharing::Nothing)?.run();
    Ok(())
}

fn serve_and_echo(server: &'static Server) -> anyhow::Result<()> {
    let mut signals = SignalQueue::new();
    signals.echo(Echo::at(&server.datagrams))?;
    serve(server, signals)
}
