//! What many connections leave behind.

use anyhow::ensure;

use super::metrics::{serve, shows};
use super::row;
use crate::harness::{Client, Column, process};
use crate::runner::Row;

pub const ROWS: &[Row] = &[row("memory does not grow with connections", connections)];

/// Clients at once.
const THREADS: usize = 4;

/// Connections per round. `TURNSTILE_CONNECTIONS` asks for more, such as 100,000.
fn per_round(column: &Column) -> usize {
    let asked = std::env::var("TURNSTILE_CONNECTIONS").ok();
    // A fork each takes a hundred times as long.
    let usual = if column.forks_for_clients() {
        1_000
    } else {
        2_000
    };
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Memory grows at first, to what the busiest moment needs: buffers, slots of tables, stacks of threads. If each
/// connection left something, it would grow in every round.
const ROUNDS: usize = 10;

/// Bytes per connection of a round in which nothing is left: less than anything that is kept for one.
const GROWTH_BYTES_MAX: u64 = 32;

/// Of thousands of resets the kernel passes some on to no server, whatever the model (one to three of 2,000 here; why was
/// not traced). These deadlines end their connections.
const DEADLINES: &[&str] = &["--idle-ms", "500", "--head-ms", "500", "--write-ms", "500"];

/// In one round nothing is left of it, with figures and a line of the log for each, nor of the addresses.
fn connections(column: &Column) -> anyhow::Result<()> {
    let flags = [
        DEADLINES,
        // Their memory is theirs from the start, and small enough to be in use after the first round.
        &[
            "--access-log",
            "/dev/null",
            "--access-log-bytes-max",
            "8192",
        ],
        &["--addresses-max", "64"],
        &["--rate-per-address-max", "1000000"],
        &column.workers("4"),
    ]
    .concat();
    let (server, admin) = serve(column, &flags)?;
    let addr = server.addrs[0].as_str();
    let per_round = per_round(column);
    let most = GROWTH_BYTES_MAX * per_round as u64;
    let mut seen = Vec::new();
    let mut grows = true;
    while grows && seen.len() <= ROUNDS {
        come_and_go(addr, per_round)?;
        shows(&admin, "no connection is left", |page| {
            let open = page.value("turnstile_connections_open");
            open.is_ok_and(|open| open == 0.0)
        })?;
        let now = process::memory(server.pid());
        ensure!(now > 0, "no memory is to be seen");
        let before = seen.last().copied();
        grows = before.is_none_or(|before| now > before + most);
        seen.push(now);
    }
    ensure!(!grows, "it grows in every round: {seen:?}");
    Client::connect(addr)?.get("/")?.expect(200)?;
    Ok(())
}

/// So many connections from more addresses than are remembered, each ended with a reset, in every state that one
/// can have.
fn come_and_go(addr: &str, count: usize) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut own = (thread..count).step_by(THREADS);
                    own.try_for_each(|number| one(addr, number))
                })
            })
            .collect();
        let mut ended = threads.into_iter();
        ended.try_for_each(|thread| thread.join().expect("a client does not panic"))
    })
}

fn one(addr: &str, number: usize) -> anyhow::Result<()> {
    let source = [127, 0, (number / 200 % 5) as u8, (number % 200 + 1) as u8];
    let mut client = Client::connect_from(source, addr)?;
    match number % 4 {
        0 => {}
        1 => client.send("GET / HT")?,
        2 => client.ask("/bytes/100000")?,
        _ => drop(client.get("/json")?.expect(200)?),
    }
    client.reset()
}
