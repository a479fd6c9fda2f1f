//! How many sleepers a connection wakes: the kernel's own count, without a tracer in between.

use std::time::{Duration, Instant};

use anyhow::Context;
use turnstile::Holds;

use crate::drive::at_rest;
use crate::harness::{Column, process};

/// Connections, one after another, of one request each.
const CONNECTIONS: usize = 20;
/// Workers that could be woken for nothing.
pub const WORKERS: &str = "8";

/// Whether loops without the lock look again and again, or the super-server of this test does.
fn wakes_by_itself(column: &Column) -> bool {
    (column.own.needs.accept_lock && column.own.workers.holds == Holds::Many)
        || column.needs_a_super_server()
}

/// How long it is left alone, to see how often it wakes by itself.
const ALONE: Duration = Duration::from_millis(400);

/// Times that a thread of the server has gone to sleep (voluntary context switches, `proc(5)`), a
/// connection; each is a wake-up. Those of threads and processes that have ended are not in it, and
/// those that nobody had caused are taken off where it wakes by the clock: as many as there were
/// before in as much time.
///
/// # Errors
/// It does not serve.
pub fn each_connection(column: &Column) -> anyhow::Result<f64> {
    let server = column.serve(&column.workers(WORKERS))?;
    at_rest(column, server.pid())?;
    let alone = process::switches(server.pid());
    let by_itself = if wakes_by_itself(column) {
        std::thread::sleep(ALONE);
        let woken = process::switches(server.pid()).saturating_sub(alone);
        woken as f64 / ALONE.as_secs_f64()
    } else {
        0.0
    };
    let (begun, before) = (Instant::now(), process::switches(server.pid()));
    for number in 0..CONNECTIONS {
        let mut client = server.connect()?;
        let reply = client.get("/plaintext").and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("connection {number}"))?;
        drop(client);
        at_rest(column, server.pid())?;
    }
    let slept = process::switches(server.pid()).saturating_sub(before) as f64;
    let woken = slept - by_itself * begun.elapsed().as_secs_f64();
    Ok((woken / CONNECTIONS as f64).max(0.0))
}
