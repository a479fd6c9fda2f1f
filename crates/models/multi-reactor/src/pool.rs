//! `pool`: the loops read and write, and a pool of threads computes for all of them.

use reactor::{Epoll, Reactor, Sharing};
use server::{Calls, Needs, RequestCalls, Roles, Server, Threads, Topology, Variant, Workers};

use crate::acceptor;

pub(crate) const VARIANT: Variant = Variant {
    name: "pool",
    roles: Roles {
        accepts: "the main thread",
        reads: "a loop",
        computes: "a thread",
        writes: "a loop",
    },
    summary: "An acceptor gives sockets to several reactors; a pool of threads computes for them.",
    pick_when: "handlers compute or block for long, and one loop cannot read and write for all",
    breaks_when: "handlers are short: moving the connection there and back costs more than the service",
    workers: Workers {
        calls: Calls::ExtraThread,
        topology: Topology::Staged,
        request: Some(RequestCalls::STAGED),
        ..Workers::LOOPS
    },
    needs: Needs {
        extra_threads: |limits| limits.threads_max,
        ..Needs::USUAL
    },
    run,
};

fn run(server: &'static Server) -> server::Result {
    let (mut clients, pool) = reactor::pool(server, server.workers, server.limits.threads_max)?;
    let threads = Threads::new(server)?;
    for index in 0..server.limits.threads_max {
        let pool = pool.clone();
        threads.spawn(server.extra_thread(index), move |number| {
            pool.compute(server, number);
        })?;
    }
    if server.workers == 1
        && let Some(client) = clients.pop()
    {
        let reactor = Reactor::at_listeners(server, 0, Epoll::new()?, Sharing::Nothing)?;
        let reactor = reactor.with_pool(client)?;
        server.ready();
        reactor.run();
    } else {
        let (mailboxes, inboxes) = acceptor::inboxes(server)?;
        for (number, (client, inbox)) in clients.into_iter().zip(inboxes).enumerate() {
            let reactor = Reactor::with_inbox(server, number, inbox)?.with_pool(client)?;
            threads.spawn(number, move |_| reactor.run())?;
        }
        acceptor::accept(server, mailboxes)?;
    }
    threads.finish();
    Ok(())
}
