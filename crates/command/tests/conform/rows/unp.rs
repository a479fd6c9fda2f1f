//! `--protocol unp`: the line protocol of UNP chapter 30.

use anyhow::{Context, ensure};

use super::row;
use crate::harness::{Client, Column, PATIENCE, ms};
use crate::runner::Row;

pub const ROWS: &[Row] = &[
    row("unp: lines", lines),
    row("unp: poisoned lines", poisoned),
    row("unp: FIN after a line", half_closed),
    row("unp: five children, a hundred requests each", stevens),
    row("unp: a reset in the middle", reset),
    row("unp: idle and slow", deadlines),
];

const UNP: [&str; 2] = ["--protocol", "unp"];

fn lines(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&UNP)?;
    let mut client = server.connect()?;
    for count in [1, 2, 63, 64, 65, 4_096, 16_384] {
        client.send(format!("{count}\n"))?;
        client
            .bytes(count)
            .with_context(|| format!("{count} bytes"))?;
    }
    client.send("1\n16384\r\n0100\n")?;
    client.bytes(1 + 16_384 + 100)?;
    for byte in ["1", "0", "0", "\n"] {
        client.send(byte)?;
    }
    client.bytes(100)?;
    client.send("16384\n".repeat(500))?;
    client.bytes(16_384 * 500)?;
    client.silence(ms(5))?;
    drop(client);
    server.drain(PATIENCE)?;
    Ok(())
}

/// No reply in this protocol says no: what was asked for before is sent, then FIN.
fn poisoned(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&UNP)?;
    let endless = "9".repeat(300);
    for bad in [
        "abc\n",
        "0\n",
        "-1\n",
        "16385\n",
        "1 2\n",
        "\n",
        "1\0\n",
        "99999999999999999999999\n",
        &endless,
    ] {
        let mut client = server.connect()?;
        client.send(format!("10\n{bad}20\n"))?;
        let rest = client.rest().with_context(|| format!("{bad:?}"))?;
        ensure!(rest.len() == 10, "{bad:?} gets {} bytes", rest.len());
    }
    let mut client = server.connect()?;
    client.send("5\n")?;
    client.bytes(5)?;
    Ok(())
}

fn half_closed(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&UNP)?;
    let mut client = server.connect()?;
    client.send("100\n16384\n7")?;
    client.finish_writing()?;
    let rest = client.rest()?;
    ensure!(rest.len() == 16_484, "{} bytes", rest.len());
    Ok(())
}

/// What the client of UNP section 30.3 does with `5 100 4000`: a connection for every request, which
/// the client closes.
fn stevens(column: &Column) -> anyhow::Result<()> {
    let mut server = column.serve(&UNP)?;
    let addr = &server.addrs[0];
    std::thread::scope(|scope| {
        let children: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    (0..100).try_for_each(|_| {
                        let mut client = Client::connect(addr)?;
                        client.send("4000\n")?;
                        client.bytes(4_000).map(drop)
                    })
                })
            })
            .collect();
        children
            .into_iter()
            .try_for_each(|child| child.join().expect("children return their errors"))
    })?;
    let exit = server.drain(PATIENCE)?;
    let all = exit.stderr.contains("500 connections, 500 requests");
    ensure!(all || column.needs_a_super_server(), "{}", exit.stderr);
    Ok(())
}

/// What his `clientrst` does: asks, and resets instead of reading. That costs one connection.
fn reset(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&UNP)?;
    for _ in 0..20 {
        let mut client = server.connect()?;
        client.send("16384\n16384\n163")?;
        client.reset()?;
    }
    let mut client = server.connect()?;
    client.send("5\n")?;
    client.bytes(5).map(drop)
}

fn deadlines(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&["--protocol", "unp", "--idle-ms", "200", "--head-ms", "200"])?;
    let mut client = server.connect()?;
    client.send("5\n")?;
    client.bytes(5)?;
    client.end().context("idle")?;
    let mut client = server.connect()?;
    client.send("5\n1")?;
    client.bytes(5)?;
    client.end().context("half a line")
}
