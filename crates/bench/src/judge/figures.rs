//! The figures of a window: what the generator says, what the counters say, what the visit adds.

use report::data::Figures;

use crate::judge::fairness::Shares;
use crate::judge::phases;
use crate::observe::measured::{Measured, Sample};
use crate::plan::visit::{Visit, Window};

/// What the generator and the counters say of a window, without what belongs to the visit.
pub fn load_figures(sample: &Sample) -> Figures {
    let report = &sample.load;
    let each = |total: f64| (report.requests > 0).then(|| total / report.requests as f64);
    Figures {
        scheduled: report.scheduled,
        requests: report.requests,
        throughput_rps: report.rate_achieved,
        response_us: report.response_us,
        service_us: report.service_us,
        slip_us: report.slip_us,
        connect_us: report.connect_us,
        errors: report.errors.clone(),
        silent_connections: report.silent_connections,
        server_cpu_us_per_request: sample.usage.cpu_us.and_then(each),
        machine_cpu_us_per_request: each(sample.machine.busy_us),
        generator_cpu_us_per_request: report.generator.cpu_us_per_request,
        generator_cpu_share: report.generator.busy_share(),
        generator_late_p99_us: report.generator.late_p99_us,
        steal_share: Some(sample.machine.used.stolen_share()),
        ..Figures::default()
    }
}

/// All figures of a window.
pub fn figures(visit: &Visit, window: &Window, sample: &Sample, measured: &Measured) -> Figures {
    let report = &sample.load;
    let each = |total: f64| (report.requests > 0).then(|| total / report.requests as f64);
    // Where tasks ended within the window their switches are known for the whole visit only.
    let switches = match (sample.usage.switches, measured.drained.exit) {
        (Some(switches), _) => each(switches as f64),
        // Of the whole visit, opening the idle connections would be the greater part.
        (None, Some(exit)) if sample.usage.cpu_us.is_some() && visit.idle == 0 => {
            Some(exit.switches as f64 / measured.replies as f64)
        }
        _ => None,
    };
    let objective = visit.scenario.objective;
    let stepped = !window.steps.is_empty();
    let changes = stepped || visit.scenario.poison.is_some();
    let idle = measured.warm_up.unloaded;
    let loaded = sample.with_idle.or(measured.warm_up.loaded);
    let served = Shares::of_requests(&measured.warm_up.served, &measured.served, measured.workers);
    Figures {
        context_switches_per_request: switches,
        pss_kib: loaded.map(|footprint| footprint.pss_kib),
        pss_idle_kib: idle.map(|footprint| footprint.pss_kib),
        tasks: loaded.map(|footprint| footprint.tasks),
        drain_ms: measured.drained.drain_ms,
        phases: phases::phases(report, &window.steps, objective),
        timeline: if changes {
            phases::timeline(report)
        } else {
            Vec::new()
        },
        kinds: phases::kinds(report),
        recovery_ms: objective.and_then(|o| phases::recovery_ms(report, &window.steps, o)),
        workers_served: served.counts,
        jain: served.jain,
        poison: report.poison.filter(|_| visit.scenario.poison.is_some()),
        slow: report.slow.filter(|_| visit.scenario.slow > 0),
        idle: report.idle.filter(|_| visit.idle > 0),
        ..load_figures(sample)
    }
}
