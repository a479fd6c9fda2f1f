//! Families about the processes of the server.

use std::sync::atomic::Ordering;

use super::page::Page;
use crate::observe::process;
use crate::observe::view::View;

/// Of the main process and the worker processes together, under the names of Prometheus' own
/// collectors. Pages that processes share count in each.
pub(super) fn processes(view: &View, page: &mut Page) {
    let Some(main) = process::usage(view.main) else {
        return;
    };
    let (mut all, mut descriptors) = (main, process::descriptors(view.main));
    if view.processes {
        let ids = view
            .blocks
            .iter()
            .map(|block| block.id.load(Ordering::Relaxed));
        for id in ids.filter(|id| *id != 0 && *id != view.main) {
            let worker = process::usage(id).filter(|usage| usage.parent == view.main);
            let Some(worker) = worker else { continue };
            all.cpu_ticks += worker.cpu_ticks;
            all.threads += worker.threads;
            all.virtual_bytes += worker.virtual_bytes;
            all.resident_bytes += worker.resident_bytes;
            descriptors += process::descriptors(id);
        }
    }
    let per_second = os::process::ticks_per_second() as f64;
    // The kernel adds what a worker has used to the main process when that reaps it. In between it was
    // seen in neither, if the main process was read before, and a counter must not fall.
    let ticks = view
        .observed
        .shared
        .cpu_ticks
        .fetch_max(all.cpu_ticks, Ordering::Relaxed);
    page.counter(
        "process_cpu_seconds_total",
        "CPU time of all processes of the server, the ended ones included.",
        ticks.max(all.cpu_ticks) as f64 / per_second,
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        all.resident_bytes,
    );
    page.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        all.virtual_bytes,
    );
    page.gauge("process_threads", "Threads.", all.threads);
    page.gauge("process_open_fds", "Open descriptors.", descriptors);
    if let Some(limit) = os::process::descriptor_limit() {
        page.gauge(
            "process_max_fds",
            "The limit of descriptors of each process.",
            limit,
        );
    }
    if let Some(boot) = process::boot_seconds() {
        let started = boot as f64 + main.started_ticks as f64 / per_second;
        page.gauge(
            "process_start_time_seconds",
            "When the main process was started, seconds since 1970.",
            started,
        );
    }
}
