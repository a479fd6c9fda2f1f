//! Worker processes that end by themselves: at a bound, or in a crash loop.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use turnstile::Holds;

use super::metrics::{serve, shows};
use super::row;
use crate::harness::process::{self, Signal};
use crate::harness::{Client, Column, PATIENCE, Page, ms};
use crate::runner::{Moot, Row};

pub const ROWS: &[Row] = &[
    row("--worker-requests-max", requests_max),
    row("--worker-rss-max", rss_max),
    row("a crash loop backs off", crash_loop),
];

const NO_PROCESSES: Moot = Moot("its workers are no processes");

/// A worker process ends after so many requests; its last reply says close, and another takes its place.
fn requests_max(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(NO_PROCESSES.into());
    }
    let flags = ["--worker-requests-max", "10", "--drain-idle-ms", "100"];
    let mut server = column.serve(&[&flags[..], &column.workers("2")].concat())?;
    let mut processes = HashSet::new();
    let mut bystanders = Vec::new();
    for number in 0..8 {
        let mut client = server.connect()?;
        let (mut requests, mut pid) = (0, 0);
        loop {
            let reply = client.get("/whoami").and_then(|reply| reply.expect(200));
            let reply = reply.with_context(|| format!("request {requests} of client {number}"))?;
            pid = super::routes::pid_of(&reply)?.max(pid);
            requests += 1;
            if reply.closes() {
                client.end()?;
                break;
            }
            if column.front && requests == 12 {
                break; // The connection is the front's, and stays.
            }
            ensure!(requests < 40, "no reply says close");
        }
        processes.insert(pid);
        // One is idle meanwhile, which must not keep a loop that ends. Where the kernel chooses the process,
        // it could choose the one that has this connection.
        if number == 0
            && !(column.has_own_listeners() && column.own.workers.holds == Holds::Workers)
        {
            let mut idle = server.connect()?;
            idle.get("/")?.expect(200)?;
            bystanders.push(idle);
        }
    }
    ensure!(processes.len() >= 4, "{} processes served", processes.len());
    drop(bystanders);
    let exit = server.drain(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 workers replaced"), "{exit:?}");
    ensure!(!exit.stderr.contains("ended:"), "{exit:?}");
    Ok(())
}

/// Every worker process is too large, so each is replaced once its size was looked at. Clients that ask all the
/// while get every reply.
fn rss_max(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(NO_PROCESSES.into());
    }
    if column.forks_for_clients() {
        return Err(Moot("its processes end with their clients, and none is replaced").into());
    }
    let flags = ["--worker-rss-max", "1", "--drain-idle-ms", "100"];
    let (mut server, admin) = serve(column, &[&flags[..], &column.workers("2")].concat())?;
    let (over, addr) = (AtomicBool::new(false), server.addrs[0].as_str());
    let visit = || -> anyhow::Result<usize> {
        let mut served = 0;
        while !over.load(Ordering::Relaxed) {
            let mut client = Client::connect(addr)?;
            // Some stay for so many requests, unless they are told to go.
            for request in 0..50 {
                let reply = client.get("/json").and_then(|reply| reply.expect(200));
                let reply = reply.with_context(|| format!("lost: request {request}"))?;
                served += 1;
                if reply.closes() {
                    client.end()?;
                    break;
                }
                std::thread::sleep(ms(2)); // The pace of a visitor.
            }
        }
        Ok(served)
    };
    let retired = |page: &Page| page.value("turnstile_workers_retired_total");
    let page = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..2).map(|_| scope.spawn(visit)).collect();
        let seen = shows(&admin, "two workers that were replaced", |page| {
            retired(page).is_ok_and(|count| count >= 2.0)
        });
        over.store(true, Ordering::Relaxed);
        for visitor in visitors {
            let served = visitor.join().expect("visitors return their errors")?;
            ensure!(served > 0, "a visitor was not served");
        }
        seen
    })?;
    ensure!(
        page.value("turnstile_workers_replaced_total")? == 0.0,
        "they have ended as planned: {page:?}"
    );
    server.connect()?.get("/")?.expect(200)?;
    let exit = server.drain(PATIENCE)?;
    ensure!(exit.stderr.contains(" 0 workers replaced"), "{exit:?}");
    ensure!(!exit.stderr.contains("ended:"), "{exit:?}");
    Ok(())
}

/// Every child is killed as soon as it is seen. Without a pause the parent would fork without end.
fn crash_loop(column: &Column) -> anyhow::Result<()> {
    if !column.serves_in_children() {
        return Err(NO_PROCESSES.into());
    }
    if column.forks_for_clients() {
        return Err(Moot("it forks for clients, and replaces none").into());
    }
    let mut server = column.serve_with_workers(2, &["--drain-idle-ms", "100"])?;
    server.connect()?.get("/")?.expect(200)?;
    let mut killed = HashSet::new();
    let start = Instant::now();
    while start.elapsed() < ms(3_000) {
        for pid in process::children(server.pid()) {
            process::signal(pid, Signal::KILL);
            killed.insert(pid);
        }
        std::thread::sleep(ms(1)); // As fast as they come, and no busier than that.
    }
    ensure!(killed.len() >= 4, "{} were killed", killed.len());
    ensure!(killed.len() <= 40, "{} were forked in 3 s", killed.len());
    server.recovers()?;
    server.drain(PATIENCE)?;
    Ok(())
}
