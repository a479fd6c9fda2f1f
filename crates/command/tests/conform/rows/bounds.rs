//! What one client address may have, how many requests may be in flight, and how long clients wait.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::listeners::socket_path;
use super::metrics::{serve, shows};
use super::routes::pid_behind;
use super::row;
use crate::design::{CAPPED, CAPPED_CROWD, IN_FLIGHT, UNIX_UNCAPPED};
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Server, eventually, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row(CAPPED, capped),
    row(CAPPED_CROWD, crowd),
    row("cap per address: a killed worker gives back", killed),
    row("rate per address: 429, and the connection stays", rated),
    row("rate per address: one for all workers", rated_together),
    row(UNIX_UNCAPPED, unix),
    row(IN_FLIGHT, in_flight),
    row("in flight: a killed worker gives back", in_flight_killed),
    row("deadlines: a request that has waited too long", late),
    row("deadlines: the wait for a worker counts", late_for_a_worker),
    row("deadlines: nonsense is ignored and counted", nonsense),
];

/// Other addresses of loopback, each another client.
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// How many bytes a client gets whose connection is closed at once.
fn refused(server: &Server) -> anyhow::Result<bool> {
    let mut client = server.connect()?;
    let _ = client.ask("/"); // It may be closed already.
    Ok(client.hear_out()? == 0)
}

/// Connects again and again until a worker serves it.
fn eventually_served(server: &Server, what: &str) -> anyhow::Result<Client> {
    let mut served = None;
    eventually(what, PATIENCE, || {
        let client = server.connect().and_then(|mut client| {
            client.get("/")?.expect(200)?;
            Ok(client)
        });
        served = client.ok();
        served.is_some()
    })?;
    served.context("a client that is served")
}

fn capped(column: &Column) -> anyhow::Result<()> {
    let flags = [
        &["--connections-per-address-max", "1"][..],
        &column.workers("4"),
    ]
    .concat();
    let (mut server, admin) = serve(column, &flags)?;
    let mut first = server.connect()?;
    first.get("/")?.expect(200)?;
    for _ in 0..3 {
        ensure!(refused(&server)?, "a second one is served");
    }
    // Whatever a request says of its origin, the address of the socket counts.
    let mut other = server.connect_from(OTHER)?;
    other.send("GET / HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n")?;
    other.reply()?.expect(200)?;
    first.get("/")?.expect(200)?;
    shows(&admin, "three connections refused", |page| {
        let name = "turnstile_connections_refused_total";
        page.with(name, "limit", "connections-per-address") == 3.0
    })?;
    drop(first);
    eventually_served(&server, "a place that has become free")?;
    server.drain(PATIENCE)?;
    Ok(())
}

/// All at once: so many are served as may be, and every other is closed.
fn crowd(column: &Column) -> anyhow::Result<()> {
    let flags = [
        &["--connections-per-address-max", "3"][..],
        &column.workers("8"),
    ]
    .concat();
    let server = column.serve(&flags)?;
    let mut clients = (0..12)
        .map(|_| {
            let mut client = server.connect()?;
            let _ = client.ask("/");
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut served = 0;
    for client in &mut clients {
        match client.reply() {
            Ok(reply) => {
                reply.expect(200)?;
                served += 1;
            }
            Err(_) => ensure!(client.hear_out()? == 0, "half a reply"),
        }
    }
    ensure!(served == 3, "{served} are served at once");
    drop(clients);
    eventually_served(&server, "a place that has become free")?;
    Ok(())
}

fn killed(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(Moot("one process serves: who kills it kills the server").into());
    }
    ensure!(
        !column.front,
        Moot("its connections are the front's, which goes on without a worker")
    );
    let flags = [
        &[
            "--connections-per-address-max",
            "1",
            "--respawn-pause-ms-max",
            "50",
        ][..],
        &column.workers("2"),
    ]
    .concat();
    let mut server = column.serve(&flags)?;
    for _ in 0..3 {
        let mut client = eventually_served(&server, "a first one")?;
        process::signal(pid_behind(&mut client)?, Signal::KILL);
        client.hear_out()?;
    }
    let mut last = eventually_served(&server, "the place of one that was killed")?;
    last.get("/")?.expect(200)?;
    drop(last);
    server.drain(PATIENCE)?;
    Ok(())
}

/// More cannot be served than the bucket holds and what comes into it meanwhile.
fn rated(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &["--rate-per-address-max", "2"])?;
    let start = Instant::now();
    let mut client = server.connect()?;
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(20))?;
    let mut refused = 0_u32;
    for _ in 0..20 {
        let reply = client.reply()?;
        if reply.status == 429 {
            ensure!(reply.field("retry-after") == Some("1"), "{reply}");
            ensure!(!reply.closes(), "{reply}");
            refused += 1;
        } else {
            reply.expect(200)?;
        }
    }
    let most = 2.0 + start.elapsed().as_secs_f64() * 2.0;
    let served = f64::from(20 - refused);
    ensure!(
        served >= 2.0 && served <= most.ceil(),
        "{served} are served"
    );
    shows(&admin, "what was refused", |page| {
        let by_limit = page.with(
            "turnstile_requests_refused_total",
            "limit",
            "rate-per-address",
        );
        let by_code = page.with("turnstile_responses_total", "code", "429");
        by_limit == f64::from(refused) && by_code == f64::from(refused)
    })?;
    // It is served again, on the same connection.
    eventually("a token", PATIENCE, || {
        client.get("/").is_ok_and(|reply| reply.status == 200)
    })?;
    drop(client);
    server.connect_from(OTHER)?.get("/")?.expect(200)?;
    Ok(())
}

fn rated_together(column: &Column) -> anyhow::Result<()> {
    let flags = [&["--rate-per-address-max", "3"][..], &column.workers("4")].concat();
    let server = column.serve(&flags)?;
    let (start, mut served) = (Instant::now(), 0_u32);
    for _ in 0..8 {
        let mut client = server.connect()?;
        for _ in 0..3 {
            match client.get("/")?.status {
                200 => served += 1,
                429 => {}
                other => bail!("status {other}"),
            }
        }
    }
    let most = 3.0 + start.elapsed().as_secs_f64() * 3.0;
    ensure!(
        served >= 3 && f64::from(served) <= most.ceil(),
        "{served} of 24 are served, and {most} may be"
    );
    Ok(())
}

fn unix(column: &Column) -> anyhow::Result<()> {
    let addr = format!("unix:{}", socket_path().display());
    let flags = [
        "--connections-per-address-max",
        "1",
        "--rate-per-address-max",
        "1",
    ];
    let flags = [&flags[..], &column.workers("4")].concat();
    let mut server = column.serve_on(&[&addr], &flags)?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    for _ in 0..5 {
        first.get("/")?.expect(200)?;
        second.get("/")?.expect(200)?;
    }
    drop((first, second));
    server.drain(PATIENCE)?;
    Ok(())
}

fn in_flight(column: &Column) -> anyhow::Result<()> {
    let flags = [&["--in-flight-max", "2"][..], &column.workers("6")].concat();
    let (server, admin) = serve(column, &flags)?;
    let mut waiting = (0..2)
        .map(|_| {
            let mut client = server.connect()?;
            client.ask("/wait/2500000")?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut third = server.connect()?;
    let mut refusal = None;
    eventually("a request too many", PATIENCE, || {
        refusal = third.get("/json").ok().filter(|reply| reply.status == 503);
        refusal.is_some()
    })?;
    let refusal = refusal.context("a refusal")?;
    ensure!(
        refusal.field("retry-after") == Some("1") && !refusal.closes(),
        "{refusal}"
    );
    for client in &mut waiting {
        client.reply()?.expect(200)?;
    }
    for _ in 0..3 {
        third.get("/json")?.expect(200)?;
    }
    shows(&admin, "one refused or more", |page| {
        page.with("turnstile_requests_refused_total", "limit", "in-flight") >= 1.0
    })?;
    Ok(())
}

/// What was in flight in it is not in flight any more.
fn in_flight_killed(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(Moot("one process serves: who kills it kills the server").into());
    }
    ensure!(
        !column.front || column.model != "fork-per-client",
        Moot("a process per request: the row of the front kills it")
    );
    let flags = [
        &["--in-flight-max", "1", "--respawn-pause-ms-max", "50"][..],
        &column.workers("2"),
    ]
    .concat();
    let server = column.serve(&flags)?;
    let mut client = server.connect()?;
    let pid = pid_behind(&mut client)?;
    client.ask("/wait/60000000")?;
    // Killed while it waits: no other process can say when it does.
    client.silence(ms(200))?;
    process::signal(pid, Signal::KILL);
    client.hear_out()?;
    drop(eventually_served(&server, "a request after it")?);
    Ok(())
}

const DEADLINE: [&str; 2] = ["--deadline-header", "X-Request-Timeout-Ms"];

fn get(path: &str, deadline: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\nx-request-timeout-ms: {deadline}\r\n\r\n")
}

/// The second request comes with the first and waits for its reply.
fn late(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &DEADLINE)?;
    let mut client = server.connect()?;
    client.send(
        [
            get("/wait/400000", "60000"),
            get("/json", "200"),
            get("/json", "60000"),
        ]
        .concat(),
    )?;
    client.reply()?.expect(200)?;
    let refusal = client.reply()?.expect(503)?;
    ensure!(
        refusal.field("retry-after") == Some("1") && !refusal.closes(),
        "{refusal}"
    );
    client.reply()?.expect(200)?;
    client.send(get("/json", "60000"))?;
    client.reply()?.expect(200)?;
    shows(&admin, "one that was late", |page| {
        page.with("turnstile_requests_refused_total", "limit", "deadline") == 1.0
    })?;
    Ok(())
}

/// Where another client keeps the only worker busy, the time in the socket or in a queue counts. Other models
/// serve the second request meanwhile.
fn late_for_a_worker(column: &Column) -> anyhow::Result<()> {
    let server = column.serve(&[&DEADLINE[..], &column.workers("1")].concat())?;
    let mut first = server.connect()?;
    first.send(get("/sleep/1200000", "60000"))?;
    let mut second = server.connect()?;
    let start = Instant::now();
    second.send(get("/json", "300"))?;
    // A persistent connection would keep a worker of its own.
    first.reply()?.expect(200)?;
    drop(first);
    let reply = second.reply()?;
    let waited = start.elapsed();
    match reply.status {
        503 => ensure!(waited >= ms(300), "it is refused after {waited:?}"),
        // Another thread has served it meanwhile.
        200 => ensure!(
            !["iterative", "prefork", "thread-pool"].contains(&column.model.as_str()),
            "it is served after {waited:?}"
        ),
        _ => bail!("{reply}"),
    }
    Ok(())
}

fn nonsense(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &DEADLINE)?;
    let mut client = server.connect()?;
    let values = ["", "0", "-5", "1.5", "soon", "99999999999999999999999"];
    for value in values {
        client.send(get("/json", value))?;
        client.reply()?.expect(200)?;
    }
    client.get("/json")?.expect(200)?;
    shows(&admin, "each that was ignored", |page| {
        let ignored = page.value("turnstile_deadlines_ignored_total");
        ignored.is_ok_and(|ignored| ignored == values.len() as f64)
    })?;
    Ok(())
}
