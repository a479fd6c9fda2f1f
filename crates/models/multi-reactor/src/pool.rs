//! `pool`: the loops read and write, and a pool of threads behind all of them computes.

use reactor::{Epoll, Reactor, inbox};
use server::{Needs, Roles, Server, Threads, Variant, Workers};

pub(crate) const VARIANT: Variant = Variant {
    name: "pool",
    roles: Roles {
        accepts: "the main thread",
        reads: "a loop",
        computes: "a thread",
        writes: "a loop",
    },
    summary: "An acceptor hands sockets to several reactors; a pool behind them computes.",
    pick_when: "handlers compute or block for long, and one loop cannot read and write for all",
    breaks_when: "handlers are short: the way there and back costs more than the service",
    workers: Workers::LOOPS,
    needs: Needs {
        extra_threads: |limits| limits.threads_max,
        ..Needs::USUAL
    },
    run,
};

pub(crate) fn run(server: &'static Server) -> server::Result {
    let (stages, pool) = reactor::pool(server, server.workers, server.limits.threads_max)?;
    let threads = Threads::new(server)?;
    for index in 0..server.limits.threads_max {
        let pool = pool.clone();
        threads.spawn(server.extra_thread(index), move |number| {
            pool.compute(server, number);
        })?;
    }
    let mut mailboxes = Vec::new();
    for (number, stage) in stages.into_iter().enumerate() {
        if server.workers == 1 {
            Reactor::<Epoll>::at_listeners(server, number)?
                .staged(stage)?
                .run();
            continue;
        }
        let (mailbox, inbox) = inbox(server.limits.queue_max)?;
        let reactor = Reactor::behind(server, number, inbox)?.staged(stage)?;
        threads.spawn(number, move |_| reactor.run())?;
        mailboxes.push(mailbox);
    }
    if !mailboxes.is_empty() {
        server.make_listeners_nonblocking()?;
        super::accept(server, &mailboxes);
    }
    drop((mailboxes, pool));
    threads.finish();
    Ok(())
}
