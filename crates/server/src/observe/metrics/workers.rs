//! Families about workers, together and each.

use std::sync::atomic::Ordering;

use os::signal::monotonic_ns;

use super::page::{Page, seconds};
use super::sums::{read, sum};
use crate::Block;
use crate::observe::figures::Figures;
use crate::observe::view::View;

pub(super) fn workers(view: &View, page: &mut Page) {
    let (board, shared) = (view.board, view.observed.shared);
    page.gauge(
        "turnstile_workers",
        "Workers that the server may have.",
        view.workers,
    );
    let busy = view.blocks.iter().zip(view.observed.figures);
    let busy = busy.filter(|(block, figures)| is_busy(block, figures));
    page.gauge(
        "turnstile_workers_busy",
        "Workers that serve a request, or a connection between two bytes of one.",
        busy.count(),
    );
    page.gauge(
        "turnstile_workers_stuck",
        "Workers that have been in one call of the service for longer than --stuck-ms.",
        view.stuck_now(),
    );
    page.counter(
        "turnstile_workers_stuck_total",
        "Calls of the service that were longer than --stuck-ms.",
        read(&shared.stuck),
    );
    page.counter(
        "turnstile_workers_killed_total",
        "Workers killed for that.",
        read(&shared.killed),
    );
    page.counter(
        "turnstile_workers_replaced_total",
        "Workers that have ended unexpectedly and were replaced.",
        read(&board.respawned),
    );
    page.counter(
        "turnstile_workers_retired_total",
        "Workers replaced by --worker-requests-max or --worker-rss-max.",
        read(&board.retired),
    );
    page.counter(
        "turnstile_loop_held_total",
        "Requests declared as computing or blocking that were served in a loop, whose connections waited.",
        sum(view, |block| read(&block.held)),
    );
    page.counter(
        "turnstile_loop_held_seconds_total",
        "For how long.",
        seconds(sum(view, |block| read(&block.held_ns))),
    );
    per_worker(view, page);
}

fn is_busy(block: &Block, figures: &Figures) -> bool {
    block.is_busy() || read(&figures.call_began_ns) != 0
}

/// A figure of a worker.
type Figure = fn(&Block) -> u64;

/// Workers that have never been are left out: fork-per-client may have hundreds.
fn per_worker(view: &View, page: &mut Page) {
    let known = || {
        let all = view.blocks.iter().zip(view.observed.figures).enumerate();
        all.filter(|(_, (block, _))| {
            block.id.load(Ordering::Relaxed) != 0
                || block.has_ended.load(Ordering::Relaxed)
                || read(&block.connections) + read(&block.requests) > 0
        })
    };
    let counters: [(&str, &str, Figure); 2] = [
        (
            "turnstile_worker_connections_total",
            "Connections accepted, by worker.",
            |block| read(&block.connections),
        ),
        (
            "turnstile_worker_requests_total",
            "Requests served, by worker.",
            |block| read(&block.requests),
        ),
    ];
    for (name, help, of) in counters {
        let samples = known().map(|(number, (block, _))| (number, of(block)));
        page.by((name, "counter", help), "worker", samples);
    }
    page.by(
        (
            "turnstile_worker_connections_open",
            "gauge",
            "Connections that are open, by the worker that has accepted them.",
        ),
        "worker",
        known().map(|(number, (block, _))| (number, block.open())),
    );
    page.by(
        (
            "turnstile_worker_busy",
            "gauge",
            "1 for a worker that serves a request, or a connection between two bytes of one.",
        ),
        "worker",
        known().map(|(number, (block, figures))| (number, u8::from(is_busy(block, figures)))),
    );
    page.by(
        (
            "turnstile_worker_held_seconds_total",
            "counter",
            "Time for which calls of the service have held a worker, or its loop.",
        ),
        "worker",
        known().map(|(number, (_, figures))| (number, seconds(read(&figures.held_ns)))),
    );
    page.by(
        (
            "turnstile_worker_held_seconds_max",
            "gauge",
            "The longest of these calls.",
        ),
        "worker",
        known().map(|(number, (_, figures))| (number, seconds(read(&figures.held_ns_max)))),
    );
    let now_ns = monotonic_ns();
    page.by(
        (
            "turnstile_worker_call_seconds",
            "gauge",
            "For how long the present call of the service has held a worker; 0 outside of calls.",
        ),
        "worker",
        known().map(|(number, (_, figures))| {
            let began_ns = read(&figures.call_began_ns);
            let held_ns = if began_ns == 0 {
                0
            } else {
                now_ns.saturating_sub(began_ns)
            };
            (number, seconds(held_ns))
        }),
    );
}
