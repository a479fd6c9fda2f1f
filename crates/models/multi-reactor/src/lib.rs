//! **Multi-reactor**: an acceptor hands sockets to one reactor a CPU.
//!
//! ```text
//!             ┌─ main ─┐  socket   ┌───────────── loop 0 ──────────────┐
//!   clients ═▶│ accept │──────────▶│ wait ─▶ read ─▶ compute ─▶ write  │
//!             └────────┘ least ───▶│ …                        loop N-1 │
//!                        loaded    └───────────────────────────────────┘
//! ```
//!
//! accepts: the main thread · reads: a loop · computes: a loop · writes: a loop
//!
//! **Cost.** A connection: accept, a hand-over (a wake-up only where the loop slept), one
//! `epoll_ctl`, a receive that finds the FIN, close. A request: one receive and one send, and its
//! share of a wait. A connection stays with its loop, so nothing is locked. With one loop there is
//! nobody to hand to: the acceptor's own loop serves, and this is a single reactor.
//!
//! **What breaks it.** A handler that computes or blocks: every connection of its loop waits. Loads
//! that differ much between connections: a loop may be full while another idles.
//!
//! **When to pick it.** Many connections, short handlers, several CPUs.
//!
//! **Source.** Netty, memcached, nginx (by processes); Lea, *Scalable IO in Java*.

use reactor::{Mailbox, Reactor, inbox};
use server::{Backoff, Model, Roles, Server, Threads, Variant, Workers};

/// The model.
pub const MODEL: Model = Model {
    name: "multi-reactor",
    variants: &[Variant {
        name: "handoff",
        roles: Roles::accepted_by("the main thread", "a loop"),
        summary: "An acceptor hands each socket to the least loaded of several reactors.",
        pick_when: "connections are many, handlers short, and CPUs several",
        breaks_when: "a handler computes or blocks: every connection of its loop waits",
    }],
    workers: Workers::PerCpu,
    run,
};

fn run(server: &'static Server) -> anyhow::Result<()> {
    if server.workers == 1 {
        // Nobody to hand to: the acceptor's loop serves, as main reactors without others do.
        Reactor::at_doors(server, 0)?.run();
        return Ok(());
    }
    server.make_doors_nonblocking()?;
    let threads = Threads::new(server)?;
    let mut mailboxes = Vec::new();
    for number in 0..server.workers {
        let (mailbox, inbox) = inbox(server.limits.queue_max)?;
        let reactor = Reactor::behind(server, number, inbox)?;
        threads.spawn(number, move |_| reactor.run())?;
        mailboxes.push(mailbox);
    }
    let mut backoff = Backoff::new(server.limits.accept_pause_ms_max);
    let (mut sockets, mut next) = (Vec::new(), 0);
    while server.accept_batch(&mut sockets, &mut backoff) {
        for socket in sockets.drain(..) {
            next = least_loaded(server, &mailboxes, next);
            mailboxes[next].put(socket);
        }
        mailboxes.iter().for_each(Mailbox::wake);
    }
    drop(mailboxes);
    threads.finish();
    Ok(())
}

/// The loop with the fewest connections, held or on their way; of equals, the next in turn.
fn least_loaded(server: &Server, mailboxes: &[Mailbox], last: usize) -> usize {
    let count = mailboxes.len();
    let turn = (1..=count).map(|step| (last + step) % count);
    turn.min_by_key(|&number| server.blocks[number].open() + mailboxes[number].len() as u64)
        .unwrap_or(0)
}
