//! What cannot serve a workload at all, with the figure that says so.

use workload::Workload;

use crate::candidate::{Candidate, PROCESSES_MAX, THREADS_MAX};
use crate::facts::{Count, Facts, Holds, Topology};

/// Why a variant is out before anything is known of its costs.
pub(crate) fn by_design(facts: &Facts, workload: &Workload) -> Option<String> {
    let needs = workload.needs;
    let one = facts.workers == Count::One;
    if !facts.listens {
        return Some("it serves a connection that it inherits, and has no listener".into());
    }
    if needs.shared_memory && facts.processes && !one {
        return Some("needs.shared_memory: its workers are processes".into());
    }
    if needs.crash_isolation && !(facts.processes && facts.holds != Holds::Many) {
        let what = if facts.processes { "process" } else { "thread" };
        return Some(format!(
            "needs.crash_isolation: a {what} of it serves many connections, or shares its memory with those that do"
        ));
    }
    if facts.io_uring && !workload.machine.io_uring {
        return Some("machine.io_uring is false: it needs io_uring".into());
    }
    let connections = workload.connections;
    if let Some(most) = facts.connections_max.filter(|&most| connections > most) {
        return Some(format!(
            "connections: {connections} are more than the {most} that it holds"
        ));
    }
    let stay = workload.churn < 1.0;
    if facts.holds == Holds::One && stay && connections > 1 {
        return Some(format!(
            "connections: it serves one at a time, and the other {} of {connections} would never be served",
            connections - 1
        ));
    }
    if facts.topology == Topology::Seats && facts.holds == Holds::Workers && stay {
        let most = if facts.processes {
            PROCESSES_MAX
        } else {
            THREADS_MAX
        };
        if connections > most {
            let what = if facts.processes { "process" } else { "thread" };
            return Some(format!(
                "connections: {connections} at a {what} each are more than {most}"
            ));
        }
        if facts.spread == simulate::Spread::Hashed && connections > 1 {
            // Of n connections hashed to n seats, so many share theirs.
            let n = f64::from(connections);
            let served = 1.0 - (1.0 - 1.0 / n).powf(n);
            return Some(format!(
                "connections: hashed to {connections} seats, {:.0} % would wait behind one that stays open",
                (1.0 - served) * 100.0
            ));
        }
    }
    None
}

/// Why a candidate is out by its memory.
pub(crate) fn by_memory(candidate: &Candidate, workload: &Workload) -> Option<String> {
    let most = workload.machine.memory_mib?;
    (candidate.memory_mib > most as f64).then(|| {
        format!(
            "memory: {:.0} MiB with {} connections are more than {most}",
            candidate.memory_mib, workload.connections
        )
    })
}
