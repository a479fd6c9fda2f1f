//! How many sleepers a connection wakes: the kernel's own count, without a tracer in between.

use anyhow::Context;

use crate::drive::at_rest;
use crate::harness::{Column, process};

/// Connections, one after another, of one request each.
const CONNECTIONS: usize = 20;
/// Workers that could be woken for nothing.
pub const WORKERS: &str = "8";

/// Times that a thread of the server has gone to sleep (voluntary context switches, `proc(5)`), a
/// connection; each is a wake-up. Those of threads and processes that have ended are not in it.
///
/// # Errors
/// It does not serve.
pub fn each_connection(column: &Column) -> anyhow::Result<f64> {
    let server = column.serve(&column.workers(WORKERS))?;
    at_rest(column, server.pid())?;
    let before = process::switches(server.pid());
    for number in 0..CONNECTIONS {
        let mut client = server.connect()?;
        let reply = client.get("/plaintext").and_then(|reply| reply.expect(200));
        reply.with_context(|| format!("connection {number}"))?;
        drop(client);
        at_rest(column, server.pid())?;
    }
    let woken = process::switches(server.pid()).saturating_sub(before);
    Ok(woken as f64 / CONNECTIONS as f64)
}
