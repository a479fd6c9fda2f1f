//! Closed forms: what no schedule can exceed. They only ever say that something is impossible.

use simulate::{Costs, Scheduler, Server, Stalls, Topology};
use workload::{Class, Workload};

use crate::facts::{Count, Facts, Topology as Arranged};

/// CPU of the mean request beside what saturation saves, µs.
pub(crate) fn cpu_us(server: &Server, workload: &Workload) -> f64 {
    let costs = &server.costs;
    let each = workload.classes.iter().map(|class| {
        let bytes = class.request_bytes as f64 / 1024.0 * costs.kib_in_us
            + class.reply_bytes as f64 / 1024.0 * costs.kib_out_us;
        class.share * (class.cpu_us.mean() * costs.cpu_factor + bytes)
    });
    costs.request_us + each.sum::<f64>() + workload.churn * costs.connection_us
}

/// How long the mean request holds a worker beside waiting for a core, µs.
pub(crate) fn held_us(server: &Server, workload: &Workload) -> f64 {
    let [_, blocked, wait] = workload.means_us();
    let awaited = match server.topology {
        Topology::Seats { .. } => wait,
        _ => 0.0,
    };
    cpu_us(server, workload) + blocked + awaited
}

/// The highest rate that the server could serve if it never waited: utilisation, and Little's law for
/// what a request holds. Requests per second.
pub(crate) fn rate_max(server: &Server, workload: &Workload) -> f64 {
    let by_cores = server.cores as f64 * 1e6 / cpu_us(server, workload).max(1e-3);
    let held = held_us(server, workload).max(1e-3);
    let workers = match server.topology {
        Topology::Loops { loops, .. } => Some(loops),
        Topology::Shared { threads } => Some(threads),
        Topology::Staged { workers, .. } => Some(workers),
        Topology::Seats { seats, .. } => Some(seats),
    };
    let by_workers = workers.map_or(f64::INFINITY, |n| n as f64 * 1e6 / held);
    let locked = |class: &Class| !class.lock.is_empty();
    let mut by_locks = f64::INFINITY;
    for class in workload.classes.iter().filter(|c| locked(c)) {
        let same = workload.classes.iter().filter(|c| c.lock == class.lock);
        let us: f64 = same
            .map(|c| c.share * c.cpu_us.mean() * server.costs.cpu_factor)
            .sum();
        by_locks = by_locks.min(1e6 / us.max(1e-3));
    }
    // A connection carries one request at a time.
    let [_, blocked, wait] = workload.means_us();
    let way = cpu_us(server, workload) + blocked + wait;
    let by_connections = if workload.churn < 1.0 {
        f64::from(workload.active) * 1e6 / way / (1.0 - workload.churn)
    } else {
        f64::INFINITY
    };
    by_cores.min(by_workers).min(by_locks).min(by_connections)
}

/// The highest rate that the handler's own work allows a variant on `cores` cores, if nothing else cost anything:
/// requests per second. A measurement above it is wrong.
pub fn work_bound(workload: &Workload, facts: &Facts, cores: usize) -> f64 {
    let mut workload = workload.clone();
    if workload.rate().is_none() {
        // Of a closed population the number of clients is what is searched.
        workload.active = u32::MAX;
    }
    let loops = if facts.workers == Count::PerCpu {
        cores
    } else {
        1
    };
    let server = Server {
        cores,
        topology: match facts.topology {
            Arranged::Loops => Topology::Loops {
                loops,
                spread: facts.spread,
            },
            // However many workers.
            Arranged::Shared | Arranged::Seats | Arranged::Staged => Topology::Shared {
                threads: u32::MAX as usize,
            },
        },
        costs: Costs {
            cpu_factor: 1.0,
            ..Costs::default()
        },
        scheduler: Scheduler::default(),
        stalls: Stalls::default(),
        client_stalls: Stalls::default(),
        connections: workload.connections as usize,
    };
    rate_max(&server, &workload)
}

/// The percentile of the objective if nothing ever waited, µs, by a thousand quantiles of each class's
/// longest phase: no server is faster than the work itself.
pub(crate) fn least_us(workload: &Workload, cpu_factor: f64) -> f64 {
    let one = workload.objective_class();
    let mut times: Vec<(f64, f64)> = Vec::new();
    for (at, class) in workload.classes.iter().enumerate() {
        if one.is_some_and(|one| one != at) {
            continue;
        }
        for step in 0..1_000 {
            let q = (f64::from(step) + 0.5) / 1_000.0;
            let phases = [
                class.cpu_us.quantile(q) * cpu_factor,
                class.blocked_us.quantile(q),
                class.wait_us.quantile(q),
            ];
            // The sum is at least each of its phases.
            times.push((phases.into_iter().fold(0.0, f64::max), class.share));
        }
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = times.iter().map(|t| t.1).sum();
    let mut seen = 0.0;
    for (us, share) in &times {
        seen += share;
        if seen >= total * workload.objective.percentile / 100.0 {
            return *us;
        }
    }
    0.0
}
