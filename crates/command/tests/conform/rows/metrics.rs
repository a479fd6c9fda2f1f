//! What the admin server says: it is the same in every model, and it is what clients have seen.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use turnstile::{Calls, Holds};

use super::gateways::Folder;
use super::listeners::socket_path;
use super::row;
use crate::awaiting::{AWAITING, OPEN};
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, MISTAKES, PATIENCE, Page, Server, eventually, metrics, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("admin: its routes", routes),
    row("admin: while every worker is busy", busy),
    row("admin: what is awaited is in flight", awaited),
    row("admin: while every worker is stuck", stuck),
    row("admin: a loop that is held is counted", held),
    row("admin: in a drain", in_a_drain),
    row("admin: counters agree with the client", agree),
    row("admin: counters never fall", never_fall),
    row("admin: an overload is seen while it lasts", overload),
    row("admin: restarts are counted", restarts),
];

/// What dashboards and alerts rely on: every model has all of it.
const FAMILIES: &[&str] = &[
    "turnstile_build_info",
    "turnstile_ready",
    "turnstile_draining",
    "turnstile_restarts_total",
    "turnstile_restarts_failed_total",
    "turnstile_connections_accepted_total",
    "turnstile_connections_open",
    "turnstile_connections_idle",
    "turnstile_received_bytes_total",
    "turnstile_sent_bytes_total",
    "turnstile_requests_total",
    "turnstile_responses_total",
    "turnstile_errors_total",
    "turnstile_requests_shed_total",
    "turnstile_overloaded",
    "turnstile_requests_in_flight",
    "turnstile_queue_length",
    "turnstile_queue_delay_seconds",
    "turnstile_response_seconds",
    "turnstile_connections_refused_total",
    "turnstile_requests_refused_total",
    "turnstile_deadlines_ignored_total",
    "turnstile_addresses_untracked_total",
    "turnstile_workers",
    "turnstile_workers_busy",
    "turnstile_workers_stuck",
    "turnstile_workers_stuck_total",
    "turnstile_workers_killed_total",
    "turnstile_workers_replaced_total",
    "turnstile_workers_retired_total",
    "turnstile_loop_held_total",
    "turnstile_loop_held_seconds_total",
    "turnstile_worker_connections_total",
    "turnstile_worker_requests_total",
    "turnstile_worker_connections_open",
    "turnstile_worker_busy",
    "turnstile_worker_held_seconds_total",
    "turnstile_worker_held_seconds_max",
    "turnstile_worker_call_seconds",
    "turnstile_access_log_lines_total",
    "turnstile_access_log_dropped_total",
    "turnstile_log_suppressed_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_threads",
    "process_open_fds",
    "process_start_time_seconds",
];

/// A server with an admin address, and that address.
pub fn serve(column: &Column, flags: &[&str]) -> anyhow::Result<(Server, String)> {
    let admin = format!("unix:{}", socket_path().display());
    let server = column.serve(&[flags, &["--admin", &admin]].concat())?;
    Ok((server, admin))
}

/// Waits until the page has what `holds` looks for.
pub fn shows(
    admin: &str,
    what: &str,
    mut holds: impl FnMut(&Page) -> bool,
) -> anyhow::Result<Page> {
    let mut last = None;
    let seen = eventually(what, PATIENCE, || {
        last = Some(metrics(admin));
        matches!(&last, Some(Ok(page)) if holds(page))
    });
    let page = last.context("nothing was asked")??;
    seen.with_context(|| page.to_string()).map(|()| page)
}

fn value(page: &Page, name: &str) -> f64 {
    page.value(name).unwrap_or(f64::NAN)
}

fn routes(column: &Column) -> anyhow::Result<()> {
    for (what, page) in MISTAKES {
        ensure!(
            Page::parse(page).is_err(),
            "a page passes in spite of: {what}"
        );
    }
    let (mut server, admin) = serve(column, &[])?;
    let mut client = Client::connect(&admin)?;
    for (path, status, body) in [
        ("/healthz", 200, Some("ok\n")),
        ("/readyz", 200, Some("ready\n")),
        ("/", 200, None),
        ("/nothing", 404, None),
        ("/metrics", 200, None),
    ] {
        let reply = client.get(path)?.expect(status)?;
        ensure!(
            body.is_none_or(|body| reply.body == body.as_bytes()),
            "{path}: {reply}"
        );
    }
    client.send("POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")?;
    client.reply()?.expect(405)?;
    let page = metrics(&admin)?;
    ensure!(
        page.with("turnstile_build_info", "model", &column.model) == 1.0,
        "{page}"
    );
    for name in FAMILIES {
        ensure!(page.families().any(|found| found == *name), "no {name}");
    }
    ensure!(page.value("turnstile_ready")? == 1.0, "{page}");
    ensure!(page.value("process_resident_memory_bytes")? > 0.0, "{page}");
    untouched(&server)?;
    server.drain(PATIENCE)?;
    let path = admin.trim_start_matches("unix:");
    ensure!(!std::path::Path::new(path).exists(), "its path is left");
    Ok(())
}

/// The parts of workers that have never started are not read: there may be tens of thousands, and the first read
/// of a page of shared memory allocates it.
fn untouched(server: &Server) -> anyhow::Result<()> {
    // The first child is the helper, which has the metrics.
    let helper = process::children(server.pid()).first().copied();
    let helper = helper.context("no helper")?;
    let status = std::fs::read_to_string(format!("/proc/{helper}/status"))?;
    let shared = status
        .lines()
        .find_map(|line| line.strip_prefix("RssShmem:"));
    let kb: u64 = shared
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .context("no RssShmem")?;
    ensure!(kb < SHARED_KB_MAX, "{kb} kB of shared memory");
    Ok(())
}

/// Shared memory of a server that has served no client: at most 64 workers have started, with 6 KB each.
const SHARED_KB_MAX: u64 = 512;

fn busy(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &column.workers("2"))?;
    let mut clients = (0..6)
        .map(|_| {
            let mut client = server.connect()?;
            client.ask("/sleep/700000")?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let page = shows(&admin, "a busy worker, and a request in flight", |page| {
        value(page, "turnstile_workers_busy") >= 1.0
            && value(page, "turnstile_requests_in_flight") >= 1.0
    })?;
    ensure!(page.sum("turnstile_worker_busy") >= 1.0, "{page}");
    Client::connect(&admin)?.get("/healthz")?.expect(200)?;
    Client::connect(&admin)?.get("/readyz")?.expect(200)?;
    let last = clients.last_mut().context("six clients")?;
    ensure!(last.hears_nothing(ms(1))?, "no worker was busy");
    drop(clients);
    delayed(column)
}

/// A request is in flight while its reply is delayed, too, whether a worker waits for that or a timer.
fn delayed(column: &Column) -> anyhow::Result<()> {
    let (least, path) = match column.own.workers.holds {
        Holds::Many => (DELAYED as f64, "/wait/1500000"),
        Holds::One | Holds::Workers => (1.0, "/wait/300000"), // One after another.
    };
    let (server, admin) = serve(column, &column.workers("2"))?;
    let mut clients = (0..DELAYED)
        .map(|_| {
            let mut client = server.connect()?;
            client.ask(path)?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    shows(&admin, "delayed requests in flight, not idle", |page| {
        let open = value(page, "turnstile_connections_open");
        let in_flight = value(page, "turnstile_requests_in_flight");
        in_flight >= least && value(page, "turnstile_connections_idle") <= open - in_flight
    })?;
    // One goes before its reply is there.
    drop(clients.pop());
    for mut client in clients {
        client.reply()?.expect(200)?;
    }
    shows(&admin, "nothing in flight", |page| {
        value(page, "turnstile_requests_in_flight") == 0.0
    })?;
    Ok(())
}

/// Requests at once whose replies are delayed, or awaited.
const DELAYED: usize = 6;

/// Where a task awaits what a service returns, a request is in flight from its call to its reply.
fn awaited(column: &Column) -> anyhow::Result<()> {
    if column.own.workers.calls != Calls::Task {
        return Err(Moot("it awaits nothing: its workers are busy").into());
    }
    let folder = Folder::new()?;
    let own = std::env::current_exe()?;
    let program = [own.to_str().context("a path of text")?, AWAITING];
    let admin = format!("unix:{}", socket_path().display());
    let flags = ["--admin", &admin, "--workers", "2"];
    let mut server = Server::start(column.command_of(program, &["127.0.0.1:0"], &flags), 1)?;
    let mut clients = (0..DELAYED)
        .map(|_| {
            let mut client = server.connect()?;
            client.ask(&format!("/?{}", folder.path()?))?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    shows(&admin, "all in flight, and none idle", |page| {
        value(page, "turnstile_requests_in_flight") == DELAYED as f64
            && value(page, "turnstile_connections_idle") == 0.0
    })?;
    std::fs::write(folder.0.join(OPEN), "")?;
    for client in &mut clients {
        client.reply()?.expect(200)?;
    }
    shows(&admin, "nothing in flight, and all idle", |page| {
        value(page, "turnstile_requests_in_flight") == 0.0
            && value(page, "turnstile_connections_idle") == clients.len() as f64
    })?;
    drop(clients);
    server.drain(PATIENCE)?;
    Ok(())
}

/// Threads are counted and left alone, processes are killed and replaced.
fn stuck(column: &Column) -> anyhow::Result<()> {
    let flags = [&["--stuck-ms", "200"][..], &column.workers("1")].concat();
    let (server, admin) = serve(column, &flags)?;
    let mut client = server.connect()?;
    client.ask("/sleep/3000000")?;
    if column.serves_in_children() {
        // A child that was forked for one client has no other to take its place.
        let replaced = f64::from(u8::from(!column.forks_for_clients()));
        shows(&admin, "a worker that was killed and replaced", |page| {
            value(page, "turnstile_workers_stuck_total") >= 1.0
                && value(page, "turnstile_workers_killed_total") >= 1.0
                && value(page, "turnstile_workers_replaced_total") >= replaced
                && value(page, "turnstile_workers_stuck") == 0.0
                && value(page, "turnstile_requests_in_flight") == 0.0
        })?;
        client.hear_out()?;
        Client::connect(&admin)?.get("/healthz")?.expect(200)?;
        server.connect()?.get("/")?.expect(200)?;
        return Ok(());
    }
    let page = shows(&admin, "a worker that is stuck", |page| {
        value(page, "turnstile_workers_stuck") >= 1.0
            && value(page, "turnstile_workers_stuck_total") >= 1.0
    })?;
    ensure!(
        page.value("turnstile_workers_killed_total")? == 0.0,
        "{page}"
    );
    let all = page.value("turnstile_workers_stuck")? >= page.value("turnstile_workers")?;
    let status = if all { 503 } else { 200 };
    Client::connect(&admin)?.get("/healthz")?.expect(status)?;
    Client::connect(&admin)?.get("/readyz")?.expect(200)?;
    client.reply()?.expect(200)?;
    shows(&admin, "a worker that goes on", |page| {
        value(page, "turnstile_workers_stuck") == 0.0
    })?;
    Client::connect(&admin)?.get("/healthz")?.expect(200)?;
    Ok(())
}

/// A sleep of 200 ms holds a loop for no less; where there is no loop, or a thread beside it, nothing is held.
fn held(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &[])?;
    let mut client = server.connect()?;
    client.get("/")?.expect(200)?;
    let counted = || -> anyhow::Result<[f64; 2]> {
        let page = metrics(&admin)?;
        let count = page.value("turnstile_loop_held_total")?;
        Ok([count, page.value("turnstile_loop_held_seconds_total")?])
    };
    let before = counted()?;
    ensure!(before == [0.0, 0.0], "of quick requests: {before:?}");
    client.get("/sleep/200000")?.expect(200)?;
    client.get("/")?.expect(200)?;
    let after = counted()?;
    let is_loop = matches!(column.own.workers.calls, Calls::Loop | Calls::Task)
        && column.own.needs.aside.is_none();
    let is_right = match is_loop {
        true => after[0] == 1.0 && after[1] >= 0.2,
        false => after == [0.0, 0.0],
    };
    ensure!(is_right, "a loop: {is_loop}, held: {after:?}");
    Ok(())
}

fn in_a_drain(column: &Column) -> anyhow::Result<()> {
    let (mut server, admin) = serve(column, &["--drain-idle-ms", "100"])?;
    let mut client = server.connect()?;
    // Long enough for a page to be asked three times beside eleven other cells.
    client.ask("/sleep/2000000")?;
    shows(&admin, "a request in flight", |page| {
        value(page, "turnstile_requests_in_flight") >= 1.0
    })?;
    server.signal(Signal::TERM);
    shows(&admin, "a server that drains", |page| {
        value(page, "turnstile_draining") == 1.0 && value(page, "turnstile_ready") == 0.0
    })?;
    let reply = Client::connect(&admin)?.get("/readyz")?.expect(503)?;
    ensure!(reply.body == b"draining\n", "{reply}");
    Client::connect(&admin)?.get("/healthz")?.expect(200)?;
    client.reply()?.expect(200)?;
    server.ends_well(PATIENCE)?;
    Ok(())
}

/// Sends everything at once, and hears everything: how many bytes went, and how many came.
fn exchange(server: &Server, requests: &str) -> anyhow::Result<(usize, usize)> {
    let mut client = server.connect()?;
    client.send(requests)?;
    Ok((requests.len(), client.rest()?.len()))
}

fn agree(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &[])?;
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
    let body = "x".repeat(1_000);
    let post = format!("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{body}");
    let good = [
        get("/json", "").repeat(5),
        get("/nothing", "").repeat(2),
        post,
        get("/bytes/100000", "Connection: close\r\n"),
    ];
    let (mut sent, mut received) = exchange(&server, &good.concat())?;
    let bad = exchange(&server, "BAD\r\n\r\n")?;
    (sent, received) = (sent + bad.0, received + bad.1);
    server.connect()?.finish_writing()?;
    let page = shows(&admin, "three connections that have ended", |page| {
        value(page, "turnstile_connections_accepted_total") == 3.0
            && value(page, "turnstile_connections_open") == 0.0
    })?;
    let class = |class| page.with("turnstile_requests_total", "status_class", class);
    let code = |code| page.with("turnstile_responses_total", "code", code);
    for (what, found, expected) in [
        ("2xx", class("2xx"), 7.0),
        ("4xx", class("4xx"), 3.0),
        ("5xx", class("5xx"), 0.0),
        ("200", code("200"), 7.0),
        ("404", code("404"), 2.0),
        ("400", code("400"), 1.0),
        ("all statuses", page.sum("turnstile_responses_total"), 10.0),
        (
            "refused",
            page.with("turnstile_errors_total", "class", "refused"),
            1.0,
        ),
        (
            "broken",
            page.with("turnstile_errors_total", "class", "broken"),
            0.0,
        ),
        ("shed", value(&page, "turnstile_requests_shed_total"), 0.0),
        (
            "received bytes",
            value(&page, "turnstile_received_bytes_total"),
            sent as f64,
        ),
        (
            "sent bytes",
            value(&page, "turnstile_sent_bytes_total"),
            received as f64,
        ),
        (
            "response times",
            value(&page, "turnstile_response_seconds_count"),
            10.0,
        ),
        (
            "requests by worker",
            page.sum("turnstile_worker_requests_total"),
            9.0,
        ),
        (
            "connections by worker",
            page.sum("turnstile_worker_connections_total"),
            3.0,
        ),
        (
            "in flight",
            value(&page, "turnstile_requests_in_flight"),
            0.0,
        ),
        ("idle", value(&page, "turnstile_connections_idle"), 0.0),
        ("queue", value(&page, "turnstile_queue_length"), 0.0),
    ] {
        ensure!(found == expected, "{what}: {found}, not {expected}: {page}");
    }
    Ok(())
}

/// Not while clients come and go, and not when a worker process ends with all that it has used.
fn never_fall(column: &Column) -> anyhow::Result<()> {
    let (server, admin) = serve(column, &column.workers("2"))?;
    let over = AtomicBool::new(false);
    let addr = server.addrs[0].as_str();
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for path in ["/cpu/2000", "/json", "/nothing"] {
                    // One whose worker was killed is not answered.
                    let _ = Client::connect(addr).and_then(|mut client| client.get(path));
                }
            }
        });
        let looked = look_repeatedly(column, &server, &admin);
        over.store(true, Ordering::Relaxed);
        clients.join().expect("it does not panic");
        looked
    })
}

fn look_repeatedly(column: &Column, server: &Server, admin: &str) -> anyhow::Result<()> {
    let mut before = metrics(admin)?.counters();
    for round in 0..40 {
        if round % 10 == 5 && column.serves_in_children() {
            // The first child is the helper, which has the metrics.
            let workers = process::children(server.pid()).into_iter().skip(1);
            workers.for_each(|pid| process::signal(pid, Signal::KILL));
        }
        std::thread::sleep(ms(10));
        let now = metrics(admin)?.counters();
        for (name, value) in &before {
            let later = now.get(name).copied();
            // A status that was not seen yet has no sample; once it has one, it stays.
            ensure!(
                later.is_some_and(|later| later >= *value),
                "{name} has fallen from {value} to {later:?}"
            );
        }
        before = now;
    }
    ensure!(
        before
            .iter()
            .any(|(name, value)| { name.starts_with("process_cpu_seconds_total") && *value > 0.0 }),
        "it has used no CPU time"
    );
    Ok(())
}

/// Two dozen clients ask for far more than there is, until the page says so.
fn overload(column: &Column) -> anyhow::Result<()> {
    // With a worker or a thread for each, requests would wait in their calls for the CPU, and not before.
    let few = [&["--threads-max", "2"][..], &column.workers("2")].concat();
    let flags = [&["--queue-delay-ms", "5"][..], &few].concat();
    let (server, admin) = serve(column, &flags)?;
    let over = AtomicBool::new(false);
    let addr = server.addrs[0].as_str();
    let ask = || {
        while !over.load(Ordering::Relaxed) {
            // One that is refused asks again, too.
            let _ = Client::connect(addr).and_then(|mut client| client.get("/cpu/5000"));
        }
    };
    std::thread::scope(|scope| {
        (0..24).for_each(|_| drop(scope.spawn(ask)));
        let seen = shows(&admin, "an overload", |page| {
            value(page, "turnstile_overloaded") == 1.0
                && value(page, "turnstile_requests_shed_total") >= 1.0
        });
        over.store(true, Ordering::Relaxed);
        seen
    })?;
    let page = shows(&admin, "its end", |page| {
        value(page, "turnstile_overloaded") == 0.0
    })?;
    // What was shed is among the 5xx, and nothing else is.
    let failed = page.with("turnstile_requests_total", "status_class", "5xx");
    let shed = page.value("turnstile_requests_shed_total")?;
    ensure!(failed == shed, "{failed} 5xx, {shed} shed");
    Ok(())
}

fn restarts(column: &Column) -> anyhow::Result<()> {
    let file = socket_path().with_extension("pid");
    let name = file.to_str().context("a path of text")?;
    let flags = ["--pid-file", name, "--drain-idle-ms", "50"];
    let (mut server, admin) = serve(column, &flags)?;
    ensure!(
        metrics(&admin)?.value("turnstile_restarts_total")? == 0.0,
        "it was restarted before"
    );
    let read = || -> Option<u32> { std::fs::read_to_string(&file).ok()?.trim().parse().ok() };
    let mut pid = server.pid();
    for count in [1.0, 2.0] {
        process::signal(pid, Signal::USR2);
        eventually("another process", PATIENCE, || {
            read().is_some_and(|new| new != pid)
        })?;
        let old = pid;
        pid = read().context("another process")?;
        eventually("the end of the old one", PATIENCE, || {
            !process::is_alive(old)
        })?;
        shows(&admin, "a restart", |page| {
            value(page, "turnstile_restarts_total") == count
        })?;
    }
    process::signal(pid, Signal::TERM);
    server.ends_well(PATIENCE)?;
    Ok(())
}
