//! More requests than the CPU can compute.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::listeners::socket_path;
use super::row;
use crate::design::{ALIKE, STANDING_UNIX};
use crate::harness::{Client, Column, PATIENCE, Server, eventually};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("a standing queue is shed", standing_queue),
    row(STANDING_UNIX, standing_queue_unix),
    row(ALIKE, alike),
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

/// Whether a client asks on one connection all the time, or on a new one each time.
#[derive(Clone, Copy, PartialEq)]
enum Connections {
    Kept,
    New,
}

/// Has all clients ask, each again as soon as it was answered, until one was refused or `patience` is
/// over.
fn overload(server: &Server, kept: Connections, patience: Duration) -> anyhow::Result<Seen> {
    let addr = server.addrs[0].as_str();
    let seen = Seen::default();
    let over = AtomicBool::new(false);
    let ends = Instant::now() + patience;
    let ask = || -> anyhow::Result<()> {
        let mut client = Client::connect(addr)?;
        while !over.load(Ordering::Relaxed) && Instant::now() < ends {
            let reply = client.get(PATH)?;
            ensure!(!reply.closes(), "the connection stays open: {reply}");
            if reply.status == 503 {
                ensure!(reply.field("retry-after") == Some("1"), "{reply}");
                seen.shed.fetch_add(1, Ordering::Relaxed);
                over.store(true, Ordering::Relaxed);
            } else {
                reply.expect(200)?;
                seen.served.fetch_add(1, Ordering::Relaxed);
            }
            if kept == Connections::New {
                client = Client::connect(addr)?;
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
    is_shed(&column.serve(&["--queue-delay-ms", "5"])?, Connections::New)
}

/// The kernel does not know how long a request has waited there, and a new connection has no past.
fn standing_queue_unix(column: &Column) -> anyhow::Result<()> {
    let addr = format!("unix:{}", socket_path().display());
    let server = column.serve_on(&[&addr], &["--queue-delay-ms", "5"])?;
    is_shed(&server, Connections::Kept)
}

fn is_shed(server: &Server, connections: Connections) -> anyhow::Result<()> {
    let seen = overload(server, connections, Duration::from_secs(20))?;
    ensure!(seen.shed.into_inner() > 0, "all wait");
    ensure!(seen.served.into_inner() > 0, "none is served");
    // When the queue is gone, everybody is served again: two intervals later, or when workers have had a CPU
    // to notice.
    eventually("requests are served again", PATIENCE, || {
        let reply = server.connect().and_then(|mut client| client.get(PATH));
        reply.is_ok_and(|reply| reply.status == 200)
    })
}

/// Of clients that ask all the time, one gets so many replies; each of the others then has a part of that.
const MOST: u32 = 96;
const LEAST: u32 = MOST / 16;

/// A client that sends its next request while others are served is not served before them for that.
fn alike(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--queue-delay-ms", "0"])?;
    let addr = server.addrs[0].as_str();
    let over = AtomicBool::new(false);
    let ask = || -> anyhow::Result<u32> {
        let mut client = Client::connect(addr)?;
        let mut replies = 0;
        while !over.load(Ordering::Relaxed) {
            client.get("/cpu/2000")?.expect(200)?;
            replies += 1;
            if replies == MOST {
                over.store(true, Ordering::Relaxed);
            }
        }
        Ok(replies)
    };
    let replies = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a client does not panic"))
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    ensure!(
        replies.iter().all(|&replies| replies >= LEAST),
        "some wait: {replies:?}"
    );
    Ok(())
}

fn all_wait(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--queue-delay-ms", "0"])?;
    let seen = overload(&server, Connections::New, Duration::from_millis(500))?;
    ensure!(seen.shed.into_inner() == 0, "some are refused");
    ensure!(seen.served.into_inner() > 0, "none is served");
    Ok(())
}
