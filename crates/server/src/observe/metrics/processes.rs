//! Families about the processes of the server.

use std::sync::atomic::Ordering;

use super::page::{Page, families};
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
        let ids = view.parts();
        let ids = ids.map(|(_, block, _)| block.id.load(Ordering::Relaxed));
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
    let counted = &view.observed.shared.cpu_ticks;
    let ticks = counted.fetch_max(all.cpu_ticks, Ordering::Relaxed);
    families! { page:
        counter "process_cpu_seconds_total" = ticks.max(all.cpu_ticks) as f64 / per_second,
            "CPU time of all processes of the server, the ended ones included.";
        gauge "process_resident_memory_bytes" = all.resident_bytes, "Resident memory.";
        gauge "process_virtual_memory_bytes" = all.virtual_bytes, "Virtual memory.";
        gauge "process_threads" = all.threads, "Threads.";
        gauge "process_open_fds" = descriptors, "Open descriptors.";
    }
    if let Some(limit) = os::process::descriptor_limit() {
        families! { page:
            gauge "process_max_fds" = limit, "The limit of descriptors of each process.";
        }
    }
    if let Some(boot) = process::boot_seconds() {
        let started = boot as f64 + main.started_ticks as f64 / per_second;
        families! { page:
            gauge "process_start_time_seconds" = started,
                "When the main process was started, seconds since 1970.";
        }
    }
}
