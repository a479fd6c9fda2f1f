//! A machine's profile: read, held against this machine, and turned into costs.

use schema::profile::{
    MachineOf, PROCESS_KERNEL_KIB, Profile, SOON_RPS, StallsOf, TASK_KERNEL_KIB, VERSION,
    VariantCosts,
};
use schema::random::SplitMix64;
use simulate::{Costs, STALL_PARTS, Scheduler, Stalls};

use crate::facts::{Count, Facts, Holds, Topology};

/// How late a timer of a thread may be that has not asked for another slack (prctl(2)), µs.
const TIMER_SLACK_US: f64 = 50.0;
/// For how long Linux gives a deadline, on one CPU, µs (kernel/sched/fair.c, `sysctl_sched_base_slice`). It is
/// that much longer for each doubling of the CPUs up to eight (`SCHED_TUNABLESCALING_LOG`).
const BASE_SLICE_US: f64 = 700.0;

/// How often a profile is drawn again.
const DRAWS: usize = 200;

/// In what a profile is another machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign(pub Vec<String>);

/// Reads a profile.
///
/// # Errors
/// It is none, or of another version.
pub fn read(json: &str) -> Result<Profile, String> {
    let profile: Profile =
        serde_json::from_str(json).map_err(|error| format!("it is no profile: {error}"))?;
    if profile.version != VERSION {
        return Err(format!(
            "it is of version {}, and this command reads version {VERSION}: measure it anew",
            profile.version
        ));
    }
    let good = |list: &Vec<f64>| list.iter().all(|n| n.is_finite() && *n >= 0.0);
    let usable = good(&profile.cpu_factor)
        && profile.variants.iter().all(|v| {
            let lists = [
                &v.request_us,
                &v.wake_us,
                &v.wake_soon_us,
                &v.connection_us,
                &v.resume_us,
                &v.unblock_us,
                &v.blocked_late_us,
                &v.awaited_late_us,
                &v.scan_us,
                &v.kib_in_us,
                &v.kib_out_us,
                &v.base_us,
            ];
            lists.into_iter().all(good)
        });
    let away = [&profile.stalls, &profile.client_stalls];
    let usable = usable
        && away
            .into_iter()
            .flatten()
            .all(|s| s.watched_s > 0.0 && s.watched_s.is_finite() && good(&s.lengths_us));
    if !(usable && profile.slice_us > 0.0 && profile.preempt_us > 0.0) {
        return Err("a figure in it is negative or no number".into());
    }
    if profile.machine.server_cpus == 0 || profile.cpu_factor.is_empty() {
        return Err("it names no CPUs, or measured nothing".into());
    }
    Ok(profile)
}

/// Whether a profile may be used for `here` and this version.
///
/// # Errors
/// In what it is foreign.
pub fn suits(profile: &Profile, here: &MachineOf, version: &str) -> Result<(), Foreign> {
    let was = &profile.machine;
    let mut differs = Vec::new();
    for (what, then, now) in [
        ("CPU", &was.cpu, &here.cpu),
        ("kernel", &was.kernel, &here.kernel),
    ] {
        if then != now {
            differs.push(format!("its {what} is {then:?}, this one's {now:?}"));
        }
    }
    if was.cpus != here.cpus {
        differs.push(format!(
            "it had {} CPUs, this machine has {}",
            was.cpus, here.cpus
        ));
    }
    if profile.turnstile != version {
        differs.push(format!(
            "it is of turnstile {}, this is {version}",
            profile.turnstile
        ));
    }
    if differs.is_empty() {
        Ok(())
    } else {
        Err(Foreign(differs))
    }
}

/// Costs of the variants of a profile.
#[derive(Debug, Clone)]
pub(crate) struct Priced<'a> {
    profile: &'a Profile,
    /// The least CPU of a request in a loop: what a staged server costs more is the hand-over.
    loop_us: f64,
    /// How fast a core falls asleep, µs.
    asleep_after_us: f64,
    /// What a KiB in and out costs in the middle of all variants: most of it is the kernel's copy, which all share.
    kib_us: [f64; 2],
    /// What going on costs a thread that has slept, where a variant's own figure is not told: threads that
    /// occupy themselves with one connection sleep for an awaited time, too.
    asleep_us: Vec<f64>,
}

impl<'a> Priced<'a> {
    pub(crate) fn new(profile: &'a Profile, facts: &[Facts]) -> Self {
        let loops = facts.iter().filter(|f| f.topology == Topology::Loops);
        let costs = loops.filter_map(|f| measured(profile, f));
        let least = costs.filter_map(|v| middle(&v.request_us)).reduce(f64::min);
        let seats = facts.iter().filter(|f| f.topology == Topology::Seats);
        let asleep = seats.filter_map(|f| measured(profile, f));
        let asleep = asleep.flat_map(|v| v.resume_us.iter().copied());
        Self {
            profile,
            loop_us: least.unwrap_or(0.0),
            asleep_after_us: asleep_after_us(profile),
            kib_us: [
                shared(profile, |v| &v.kib_in_us),
                shared(profile, |v| &v.kib_out_us),
            ],
            asleep_us: asleep.collect(),
        }
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        let Profile {
            slice_us,
            preempt_us,
            protect_us,
            ..
        } = *self.profile;
        Scheduler {
            slice_us,
            // It was measured with a sleeper, whose own timer is late by the slack.
            preempt_us: (preempt_us - TIMER_SLACK_US).clamp(1.0, slice_us),
            protect_us: match protect_us {
                // Not told: what Linux has unless its administrator says otherwise.
                0.0 => {
                    let doublings = self.profile.machine.cpus.clamp(1, 8).ilog2();
                    slice_us.min(BASE_SLICE_US * f64::from(1 + doublings))
                }
                us => us.min(slice_us),
            },
        }
    }

    /// How often cores are away, and the client's CPU.
    pub(crate) fn stalls(&self) -> (Stalls, Stalls) {
        let of =
            |stalls: &Option<StallsOf>| stalls.as_ref().map_or_else(Stalls::default, stalls_of);
        (of(&self.profile.stalls), of(&self.profile.client_stalls))
    }

    /// Memory with `workers` in a pool and `connections` open, KiB: the server's own, and what the kernel keeps
    /// for its processes and threads.
    pub(crate) fn memory_kib(&self, facts: &Facts, workers: f64, connections: f64) -> Option<f64> {
        let v = self.measured(facts)?;
        let own = v.rest_kib + v.worker_kib * workers + v.connection_kib * connections;
        let task = if facts.processes {
            PROCESS_KERNEL_KIB
        } else {
            TASK_KERNEL_KIB
        };
        // Where a profile does not tell, the workers of a pool are there at rest, and those of clients with them.
        let (of_pool, of_client) = match (facts.workers, facts.holds) {
            (Count::UpTo, Holds::Workers) => (0.0, task),
            _ => (task, 0.0),
        };
        let kernel = v.rest_kernel_kib.unwrap_or(PROCESS_KERNEL_KIB)
            + v.worker_kernel_kib.unwrap_or(of_pool) * workers
            + v.connection_kernel_kib.unwrap_or(of_client) * connections;
        Some(own + kernel)
    }

    pub(crate) fn measured(&self, facts: &Facts) -> Option<&'a VariantCosts> {
        measured(self.profile, facts)
    }

    /// The costs of a variant, each list by its median; `None` where it was not measured.
    pub(crate) fn costs(&self, facts: &Facts) -> Option<Costs> {
        self.costs_by(facts, &mut |list| middle(list))
    }

    /// The same, each list by what `of` makes of it; `None` for an empty one.
    fn costs_by(&self, facts: &Facts, by: &mut dyn FnMut(&[f64]) -> Option<f64>) -> Option<Costs> {
        let v = self.measured(facts)?;
        let mut of = |list: &[f64]| by(list).unwrap_or(0.0);
        let request_us = of(&v.request_us);
        // Of the hand-over there and back, half is the worker's.
        let handover_us = match facts.topology {
            Topology::Staged => (request_us - self.loop_us).max(0.0) / 2.0,
            Topology::Loops | Topology::Shared | Topology::Seats => 0.0,
        };
        let unblock_us = match (v.unblock_us.is_empty(), facts.topology) {
            (false, _) => &v.unblock_us,
            (true, Topology::Seats) => &v.resume_us,
            (true, _) => &self.asleep_us,
        };
        Some(Costs {
            request_us,
            wake_us: of(&v.wake_us),
            asleep_after_us: self.asleep_after_us,
            connection_us: of(&v.connection_us),
            resume_us: of(&v.resume_us),
            unblock_us: of(unblock_us),
            blocked_late_us: match v.blocked_late_us.is_empty() {
                true => TIMER_SLACK_US,
                false => of(&v.blocked_late_us),
            },
            awaited_late_us: of(&v.awaited_late_us),
            handover_us,
            scan_us: scan(&v.scan_us),
            // One may copy more than others do, and none less than the kernel: what is below is noise, being a
            // difference of two windows, and would decide where messages are large.
            kib_in_us: of(&v.kib_in_us).max(self.kib_us[0]),
            kib_out_us: of(&v.kib_out_us).max(self.kib_us[1]),
            base_us: of(&v.base_us),
            cpu_factor: of(&self.profile.cpu_factor).max(0.1),
        })
    }

    /// By which factors the CPU of a request may be less or more than by the medians, at 90 %: the profile is
    /// drawn again from its own measurements, with replacement, and `cpu` tells what a request then costs
    /// (Efron, *Bootstrap Methods*, 1979).
    pub(crate) fn bootstrap(
        &self,
        facts: &Facts,
        seed: u64,
        cpu: impl Fn(&Costs) -> f64,
    ) -> (f64, f64) {
        let mut random = SplitMix64::new(seed).fork(DRAWS as u64);
        let mut again = |list: &[f64]| {
            let many = u32::try_from(list.len()).unwrap_or(u32::MAX);
            let drawn: Vec<f64> = (0..many)
                .map(|_| list[random.below(many) as usize])
                .collect();
            middle(&drawn)
        };
        let Some(usual) = self.costs(facts).map(|costs| cpu(&costs).max(1e-3)) else {
            return (1.0, 1.0);
        };
        let drawn = (0..DRAWS).filter_map(|_| self.costs_by(facts, &mut again));
        let mut factors: Vec<f64> = drawn.map(|costs| cpu(&costs) / usual).collect();
        factors.sort_by(f64::total_cmp);
        let twentieth = DRAWS / 20;
        match (
            factors.get(twentieth),
            factors.get(factors.len().saturating_sub(twentieth + 1)),
        ) {
            (Some(low), Some(high)) => (low.min(1.0), high.max(1.0)),
            _ => (1.0, 1.0),
        }
    }
}

/// What was seen of a CPU, as the simulator has it: how often, and the middles of equal parts of the lengths.
fn stalls_of(seen: &StallsOf) -> Stalls {
    let mut lengths = seen.lengths_us.clone();
    lengths.sort_by(f64::total_cmp);
    let Some(last) = lengths.len().checked_sub(1) else {
        return Stalls::default();
    };
    // The mean of each part, so that the time that the CPU is away stays what it was.
    let part = |at: usize| {
        let of = |step: usize| {
            let share = (at as f64 + (step as f64 + 0.5) / 16.0) / STALL_PARTS as f64;
            lengths[((share * lengths.len() as f64) as usize).min(last)]
        };
        (0..16).map(of).sum::<f64>() / 16.0
    };
    Stalls {
        per_s: lengths.len() as f64 / seen.watched_s,
        lengths_us: std::array::from_fn(part),
    }
}

/// The median over all variants of the medians of a list.
fn shared(profile: &Profile, list: impl Fn(&VariantCosts) -> &Vec<f64>) -> f64 {
    let each: Vec<f64> = profile
        .variants
        .iter()
        .filter_map(|v| middle(list(v)))
        .collect();
    middle(&each).unwrap_or(0.0)
}

/// How fast a core falls asleep, µs: the median of what the variants tell; 0 where none does.
///
/// At a rate of random arrivals a core that is idle stays so for the mean gap `m` in the mean, and waking it
/// costs a share `m / (m + t)` of the whole in the mean, if what it costs grows as `1 - exp(-idle / t)`. Only
/// requests that find it idle pay.
fn asleep_after_us(profile: &Profile) -> f64 {
    let gap = 1e6 / SOON_RPS;
    let of = |v: &VariantCosts| {
        let (whole, soon) = (middle(&v.wake_us)?, middle(&v.wake_soon_us)?);
        let busy = (middle(&v.request_us)? + soon) / gap;
        let share = soon / (whole * (1.0 - busy).max(0.05)).max(1e-3);
        // One that costs nothing more is not asleep after any while that matters.
        (whole > 1.0).then(|| gap * (1.0 / share.clamp(0.01, 1.0) - 1.0))
    };
    let told: Vec<f64> = profile.variants.iter().filter_map(of).collect();
    middle(&told).unwrap_or(0.0)
}

/// A difference of two windows below a hundredth of a µs per connection is noise: what a selector costs
/// that looks at every connection is above it.
fn scan(list: &[f64]) -> f64 {
    middle(list).filter(|us| *us > 0.01).unwrap_or(0.0)
}

fn measured<'a>(profile: &'a Profile, facts: &Facts) -> Option<&'a VariantCosts> {
    let plain = |name: &str| {
        if name == "-" {
            String::new()
        } else {
            name.to_owned()
        }
    };
    let same =
        |v: &&VariantCosts| v.model == facts.model && plain(&v.variant) == plain(&facts.variant);
    profile
        .variants
        .iter()
        .find(same)
        .filter(|v| !v.request_us.is_empty())
}

/// The median.
pub(crate) fn middle(list: &[f64]) -> Option<f64> {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[n / 2]),
        n => Some(f64::midpoint(sorted[n / 2 - 1], sorted[n / 2])),
    }
}
