//! Fronts: a loop that holds every connection, and workers that have one only while there is something
//! to do for it.
//!
//! ```text
//!             ┌──────── the front ────────┐  queue   ┌────────── a thread ──────────┐
//!   clients ═▶│ wait ─▶ accept │ read ────┼─▶ ■ ■ ──▶│ compute ─▶ write what fits   │
//!             │        wait for room ◀────┼── ■ ■ ◀──│ … send it back               │
//!             └───────────────────────────┘  inbox   └──────────────────────────────┘
//! ```
//!
//! It is the loop of a [`Reactor`] with a [`Pool`], whose threads write as well as compute.
//! So a reply leaves without waiting for the loop, and the loop calls nothing that may block: not the
//! service, and not the source of a long body. What a socket does not take at once waits in the loop for
//! room, and then for a thread. The loop itself answers what is no request, or did not come in time.
//!
//! Since a client has its reply before the loop has its connection back, the next request may come
//! first. So connections are watched by their edges: what happens while a thread has one is remembered,
//! and nothing is armed again.

use server::{Front, Server, ServingChild, Threads};

use crate::{Epoll, EpollEdge, Pool, PoolClient, Reactor, Sharing, Wakes, pool};

pub(crate) mod links;
pub(crate) mod passing;
mod seat;

pub use links::{FrontLinks, Links, Passed, Report, Said, SeatLinks};
pub use seat::{Seat, serve_one};

/// A front in the main thread, and the workers are threads that take complete requests from its queue.
pub const POOL: Front = Front {
    serves: "a thread",
    processes: false,
    extra_threads: |_| 1,
    run: |server| {
        let (client, pool) = one_loop(server)?;
        let work = Pool::serve;
        before_pool::<EpollEdge>(server, client.writing(), pool, work)
    },
};

/// A loop that reads and writes, in the main thread, and threads that compute for it.
///
/// # Errors
/// Descriptors, memory or threads have run out.
pub fn computing(server: &'static Server) -> server::Result {
    let (client, pool) = one_loop(server)?;
    before_pool::<Epoll>(server, client, pool, Pool::compute)
}

/// Serves with one loop, in the main thread, and as many threads behind it as there are workers, each
/// of which does `work`.
fn before_pool<S: Wakes>(
    server: &'static Server,
    client: PoolClient,
    pool: Pool,
    work: fn(Pool, &'static Server, usize),
) -> server::Result {
    let threads = Threads::new(server)?;
    for number in 0..server.workers {
        let pool = pool.clone();
        threads.spawn(number, move |number| work(pool, server, number))?;
    }
    let reactor = reactor::<S>(server, client)?;
    server.ready();
    reactor.run();
    threads.finish();
    Ok(())
}

/// Starts the loop in a thread of its own. The calling thread takes from the pool whatever is to be
/// served.
///
/// # Errors
/// Descriptors, memory or threads have run out.
pub fn in_thread(server: &'static Server, threads: &Threads) -> server::Result<Pool> {
    let (client, pool) = one_loop(server)?;
    let reactor = reactor::<EpollEdge>(server, client.writing())?;
    threads.spawn(server.extra_thread(0), move |_| reactor.run())?;
    Ok(pool)
}

/// Serves with one loop that passes complete requests to other processes, in the process of `child`, which
/// ends with it. `forks`: they all go to the first seat, where a parent starts a process for each.
pub fn in_process(
    server: &'static Server,
    child: ServingChild,
    links: FrontLinks,
    forks: bool,
) -> ! {
    let reactor = one_loop(server).and_then(|(client, pool)| {
        let client = client.passing(server, pool, links, forks);
        reactor::<EpollEdge>(server, client)
    });
    match reactor {
        Ok(reactor) => {
            child.ready();
            reactor.run();
            child.end()
        }
        Err(error) => child.fail(&error),
    }
}

fn one_loop(server: &'static Server) -> server::Result<(PoolClient, Pool)> {
    let (clients, pool) = pool(server, 1, server.workers)?;
    let client = clients.into_iter().next().ok_or("a pool has a client")?;
    Ok((client, pool))
}

fn reactor<S: Wakes>(server: &'static Server, client: PoolClient) -> server::Result<Reactor<S>> {
    let number = server.extra_thread(0);
    let reactor = Reactor::at_listeners(server, number, S::empty()?, Sharing::Nothing)?;
    reactor.with_pool(client)
}
