//! Families about workers, together and each.

use std::sync::atomic::Ordering;

use os::signal::monotonic_ns;

use super::page::{Page, families, seconds};
use super::sums::{read, sum};
use crate::Block;
use crate::observe::figures::Figures;
use crate::observe::view::View;

pub(super) fn workers(view: &View, page: &mut Page) {
    let (board, shared) = (view.board, view.observed.shared);
    let busy = view.parts();
    let busy = busy.filter(|(_, block, figures)| is_busy(block, figures));
    families! { page:
        gauge "turnstile_workers" = view.workers, "Workers that the server may have.";
        gauge "turnstile_workers_busy" = busy.count(),
            "Workers that serve a request, or a connection between two bytes of one.";
        gauge "turnstile_workers_stuck" = view.stuck_now(),
            "Workers that have been in one call of the service for longer than --stuck-ms.";
        counter "turnstile_workers_stuck_total" = read(&shared.stuck),
            "Calls of the service that were longer than --stuck-ms.";
        counter "turnstile_workers_killed_total" = read(&shared.killed), "Workers killed for that.";
        counter "turnstile_workers_replaced_total" = read(&board.respawned),
            "Workers that have ended unexpectedly and were replaced.";
        counter "turnstile_workers_retired_total" = read(&board.retired),
            "Workers replaced by --worker-requests-max or --worker-rss-max.";
        counter "turnstile_loop_held_total" = sum(view, |block| read(&block.held)),
            "Requests declared as computing or blocking that were served in a loop, whose connections waited.";
        counter "turnstile_loop_held_seconds_total" = seconds(sum(view, |block| read(&block.held_ns))),
            "For how long.";
    }
    per_worker(view, page);
}

fn is_busy(block: &Block, figures: &Figures) -> bool {
    block.is_busy() || read(&figures.call_began_ns) != 0
}

/// Workers that have never been are left out: fork-per-client may have hundreds.
fn per_worker(view: &View, page: &mut Page) {
    let known = || {
        view.parts().filter(|(_, block, _)| {
            block.id.load(Ordering::Relaxed) != 0
                || block.has_ended.load(Ordering::Relaxed)
                || read(&block.connections) + read(&block.requests) > 0
        })
    };
    let now_ns = monotonic_ns();
    let in_call_ns = |figures: &Figures| match read(&figures.call_began_ns) {
        0 => 0,
        began_ns => now_ns.saturating_sub(began_ns),
    };
    families! { page:
        counter "turnstile_worker_connections_total" by "worker" =
            known().map(|(number, block, _)| (number, read(&block.connections))),
            "Connections accepted, by worker.";
        counter "turnstile_worker_requests_total" by "worker" =
            known().map(|(number, block, _)| (number, read(&block.requests))),
            "Requests served, by worker.";
        gauge "turnstile_worker_connections_open" by "worker" =
            known().map(|(number, block, _)| (number, block.open())),
            "Connections that are open, by the worker that has accepted them.";
        gauge "turnstile_worker_busy" by "worker" =
            known().map(|(number, block, figures)| (number, u8::from(is_busy(block, figures)))),
            "1 for a worker that serves a request, or a connection between two bytes of one.";
        counter "turnstile_worker_held_seconds_total" by "worker" =
            known().map(|(number, _, figures)| (number, seconds(read(&figures.held_ns)))),
            "Time for which calls of the service have held a worker, or its loop.";
        gauge "turnstile_worker_held_seconds_max" by "worker" =
            known().map(|(number, _, figures)| (number, seconds(read(&figures.held_ns_max)))),
            "The longest of these calls.";
        gauge "turnstile_worker_call_seconds" by "worker" =
            known().map(|(number, _, figures)| (number, seconds(in_call_ns(figures)))),
            "For how long the present call of the service has held a worker; 0 outside of calls.";
    }
}
