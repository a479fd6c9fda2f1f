//! More requests than the CPU can compute.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::row;
use crate::harness::{Client, Column, PATIENCE, Server, eventually};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("a standing queue is shed", standing_queue),
    row("nothing is shed if all are to wait", all_wait),
];

/// Clients that ask at once, and what each asks for: together far more than the target of the delay.
const CLIENTS: usize = 12;
const PATH: &str = "/cpu/5000";

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    served: AtomicU32,
    shed: AtomicU32,
}

/// Has all clients ask, each again as soon as it was answered, until one was refused or `patience` is
/// over.
fn overload(server: &Server, patience: Duration) -> anyhow::Result<Seen> {
    let addr = server.addrs[0].as_str();
    let seen = Seen::default();
    let over = AtomicBool::new(false);
    let ends = Instant::now() + patience;
    let ask = || -> anyhow::Result<()> {
        while !over.load(Ordering::Relaxed) && Instant::now() < ends {
            let reply = Client::connect(addr)?.get(PATH)?;
            ensure!(!reply.closes(), "the connection stays open: {reply}");
            if reply.status == 503 {
                ensure!(reply.field("retry-after") == Some("1"), "{reply}");
                seen.shed.fetch_add(1, Ordering::Relaxed);
                over.store(true, Ordering::Relaxed);
            } else {
                reply.expect(200)?;
                seen.served.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().expect("a client does not panic"))
    })?;
    Ok(seen)
}

fn standing_queue(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--queue-delay-ms", "5"])?;
    let seen = overload(&server, Duration::from_secs(20))?;
    ensure!(seen.shed.into_inner() > 0, "all wait");
    ensure!(seen.served.into_inner() > 0, "none is served");
    // When the queue is gone, everybody is served again: two intervals later, or when workers have had a CPU
    // to notice.
    eventually("requests are served again", PATIENCE, || {
        let reply = server.connect().and_then(|mut client| client.get(PATH));
        reply.is_ok_and(|reply| reply.status == 200)
    })
}

fn all_wait(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--queue-delay-ms", "0"])?;
    let seen = overload(&server, Duration::from_millis(500))?;
    ensure!(seen.shed.into_inner() == 0, "some are refused");
    ensure!(seen.served.into_inner() > 0, "none is served");
    Ok(())
}
