//! A profile as it would be at another moment: a machine that others use, too, is faster in one hour than in another.

use schema::profile::{Moment, Profile, VariantCosts, WORK_US};

use crate::facts::{Facts, Holds, Topology};
use crate::profile::{measured, middle};

/// No machine becomes so many times as fast or as slow from one hour to the next: beyond, something else is wrong.
const SPEED_MAX: f64 = 3.0;

/// The variants by which a moment is told: a loop, and threads that have a connection each. Between them lie a
/// saving of system calls and a switch of threads for each request, which a slow hour may hit differently.
pub fn probed(facts: &[Facts]) -> Vec<(String, String)> {
    let plain = |f: &&Facts| f.default && f.listens && !f.processes && !f.io_uring && !f.superseded;
    let first = |of: &dyn Fn(&Facts) -> bool| facts.iter().filter(plain).find(|f| of(f));
    let both = [
        first(&|f| f.topology == Topology::Loops),
        first(&|f| f.topology == Topology::Seats && f.holds == Holds::Workers),
    ];
    let named = |f: &Facts| (f.model.clone(), f.variant.clone());
    both.into_iter().flatten().map(named).collect()
}

/// How many times as much as in the profile a request costs at a moment; 1 where the moment does not tell.
pub fn slowness(profile: &Profile, facts: &[Facts], moment: &Moment) -> f64 {
    let factor = middle(&profile.cpu_factor).unwrap_or(1.0);
    let ratio = |(model, variant): (String, String)| {
        let plain = if variant == "-" { "" } else { variant.as_str() };
        let same = |p: &&schema::profile::Probe| p.model == model && p.variant == plain;
        let probe = moment.probes.iter().find(same)?;
        let now = middle(&probe.saturated_us)? - WORK_US * factor;
        let known = facts
            .iter()
            .find(|f| f.model == model && f.variant == variant)?;
        let then = middle(&measured(profile, known)?.request_us)?;
        (now > 0.0 && then > 0.0).then(|| (now / then).ln())
    };
    let told: Vec<f64> = probed(facts).into_iter().filter_map(ratio).collect();
    if told.is_empty() {
        return 1.0;
    }
    let mean = told.iter().sum::<f64>() / told.len() as f64;
    mean.exp().clamp(1.0 / SPEED_MAX, SPEED_MAX)
}

/// The profile as it would be at a moment: what costs CPU is scaled by what the probes cost then, and the CPUs are
/// away as often as they were. The handler's own times stay: they are the workload's.
pub fn at(profile: &Profile, facts: &[Facts], moment: &Moment) -> Profile {
    let by = slowness(profile, facts, moment);
    let mut now = profile.clone();
    for v in &mut now.variants {
        for list in costs_of(v) {
            list.iter_mut().for_each(|us| *us *= by);
        }
    }
    for (stalls, seen) in [
        (&mut now.stalls, &moment.stalls),
        (&mut now.client_stalls, &moment.client_stalls),
    ] {
        if seen.watched_s > 0.0 {
            *stalls = Some(seen.clone());
        }
    }
    now
}

/// What is CPU, or grows as CPU does.
fn costs_of(v: &mut VariantCosts) -> [&mut Vec<f64>; 10] {
    [
        &mut v.request_us,
        &mut v.wake_us,
        &mut v.wake_soon_us,
        &mut v.connection_us,
        &mut v.resume_us,
        &mut v.unblock_us,
        &mut v.scan_us,
        &mut v.kib_in_us,
        &mut v.kib_out_us,
        &mut v.base_us,
    ]
}
