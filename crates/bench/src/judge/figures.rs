//! The figures of a window, from the generator's result, the counters, and the rest of the visit.

use report::data::Figures;

use crate::judge::fairness::Shares;
use crate::judge::phases;
use crate::observe::measured::{Measured, Sample};
use crate::observe::tree::Footprint;
use crate::plan::visit::{Visit, Window};

/// The figures of a window without those of the whole visit.
pub fn load_figures(sample: &Sample) -> Figures {
    let load = &sample.load;
    Figures {
        scheduled: load.scheduled,
        requests: load.requests,
        throughput_rps: load.rate_achieved,
        response_us: load.response_us,
        service_us: load.service_us,
        slip_us: load.slip_us,
        connect_us: load.connect_us,
        errors: load.errors.clone(),
        silent_connections: load.silent_connections,
        server_cpu_us_per_request: sample.cpu_us(),
        machine_cpu_us_per_request: sample.per_request(sample.machine.busy_us),
        generator_cpu_us_per_request: load.generator.cpu_us_per_request,
        generator_cpu_share: load.generator.busy_share(),
        generator_late_p99_us: load.generator.late_p99_us,
        steal_share: Some(sample.machine.used.stolen_share()),
        ..Figures::default()
    }
}

/// All figures of a window.
pub fn figures(visit: &Visit, window: &Window, sample: &Sample, measured: &Measured) -> Figures {
    let load = &sample.load;
    // Where tasks ended within the window, their switches are known for the whole visit only.
    let switches = match (sample.usage.switches, measured.drained.exit) {
        (Some(_), _) => sample.switches(),
        // Opening the idle connections would make up the greater part of those of the whole visit.
        (None, Some(exit)) if sample.usage.cpu_us.is_some() && visit.idle == 0 => {
            Some(exit.switches as f64 / measured.replies as f64)
        }
        _ => None,
    };
    let objective = visit.scenario.objective;
    let stepped = !window.steps.is_empty();
    let changes = stepped || visit.scenario.poison.is_some();
    let warm_up = &measured.warm_up;
    let loaded = sample.with_idle.or(warm_up.loaded);
    let served = Shares::of_requests(&warm_up.served, &measured.served, measured.workers);
    Figures {
        context_switches_per_request: switches,
        drain_ms: measured.drained.drain_ms,
        phases: phases::phases(load, &window.steps, objective),
        timeline: if changes {
            phases::timeline(load)
        } else {
            Vec::new()
        },
        kinds: phases::kinds(load),
        recovery_ms: objective.and_then(|o| phases::recovery_ms(load, &window.steps, o)),
        workers_served: served.counts,
        jain: served.jain,
        poison: load.poison.filter(|_| visit.scenario.poison.is_some()),
        slow: load.slow.filter(|_| visit.scenario.slow > 0),
        idle: load.idle.filter(|_| visit.idle > 0),
        ..with_memory([warm_up.unloaded, loaded], load_figures(sample))
    }
}

/// The figures with the memory of a server that is idle, and of one that is loaded.
pub fn with_memory([idle, loaded]: [Option<Footprint>; 2], figures: Figures) -> Figures {
    Figures {
        pss_kib: loaded.map(|footprint| footprint.pss_kib),
        private_kib: loaded.map(|footprint| footprint.private_kib),
        pss_idle_kib: idle.map(|footprint| footprint.pss_kib),
        tasks: loaded.map(|footprint| footprint.tasks),
        ..figures
    }
}
