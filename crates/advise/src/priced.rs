//! What a profile makes of a variant: the costs with which it is simulated.

use schema::profile::{
    LOW_RPS, PAUSE_US, PROCESS_KERNEL_KIB, Profile, SOON_RPS, StallsOf, TASK_KERNEL_KIB,
    VariantCosts,
};
use schema::random::SplitMix64;
use simulate::{Costs, STAGES, STALL_PARTS, Scheduler, Stalls};

use crate::facts::{Count, Facts, Holds, Topology};
use crate::profile::{measured, middle};

/// How late a timer of a thread may be that has not asked for another slack (prctl(2)), µs.
const TIMER_SLACK_US: f64 = 50.0;
/// For how long Linux gives a deadline, on one CPU, µs (kernel/sched/fair.c, `sysctl_sched_base_slice`). It is
/// that much longer for each doubling of the CPUs up to eight (`SCHED_TUNABLESCALING_LOG`).
const BASE_SLICE_US: f64 = 700.0;

/// A profile says this, or 0, where no thread that woke up was let wait for the one that ran. A sleeper beside one
/// that computes is always owed time, and one that is owed time does not wait on a kernel that asks first
/// whether the running thread has had more than its part (`pick_eevdf`): how long a deadline is given for
/// cannot be seen there.
const PROTECT_UNSEEN_US: f64 = 1.0;

/// One that uses this share of a core at the low rate never sleeps.
const SPINS_SHARE: f64 = 0.9;

/// How often a profile is drawn again.
const DRAWS: usize = 200;

/// Costs of the variants of a profile.
#[derive(Debug, Clone)]
pub(crate) struct Priced<'a> {
    profile: &'a Profile,
    /// The least CPU of a request in a loop: what a staged server costs more is the hand-over.
    loop_us: f64,
    /// The CPU of a request in a loop that waits for readiness, in the middle of those that do.
    ready_us: f64,
    /// How fast a core falls asleep, µs.
    asleep_after_us: f64,
    /// What a KiB in and out costs in the middle of all variants: most of it is the kernel's copy, which all share.
    kib_us: [f64; 2],
    /// What a response takes beside the server's CPU, in the middle of all variants.
    base_us: f64,
    /// What going on costs a thread that has slept, where a variant's own figure is not told.
    paused_us: Vec<f64>,
}

impl<'a> Priced<'a> {
    pub(crate) fn new(profile: &'a Profile, facts: &[Facts]) -> Self {
        let loops = facts.iter().filter(|f| f.topology == Topology::Loops);
        let costs = loops.filter_map(|f| measured(profile, f));
        let least = costs.filter_map(|v| middle(&v.request_us)).reduce(f64::min);
        let ready = facts
            .iter()
            .filter(|f| f.topology == Topology::Loops && f.default && !f.io_uring && !f.superseded);
        let ready = ready.filter_map(|f| measured(profile, f).and_then(|v| middle(&v.request_us)));
        let ready: Vec<f64> = ready.collect();
        let seats = facts.iter().filter(|f| f.topology == Topology::Seats);
        let paused = seats.filter_map(|f| measured(profile, f));
        let paused = paused.flat_map(paused_us);
        Self {
            profile,
            loop_us: least.unwrap_or(0.0),
            ready_us: middle(&ready).unwrap_or(0.0),
            asleep_after_us: asleep_after_us(profile, facts),
            kib_us: [
                shared(profile, |v| &v.kib_in_us),
                shared(profile, |v| &v.kib_out_us),
            ],
            base_us: shared(profile, |v| &v.base_us),
            paused_us: paused.collect(),
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
                // Not seen: what Linux has unless its administrator says otherwise.
                us if us <= PROTECT_UNSEEN_US => {
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
        let soon_us = by(&v.wake_soon_us);
        let mut of = |list: &[f64]| by(list).unwrap_or(0.0);
        let request_us = match facts.topology {
            // It does all that such a loop does, and hands over. What is measured as less is the closed loop of the
            // profile: a loop that sends many replies one behind the other wakes the client once, and at any other
            // load replies come apart.
            Topology::Staged => of(&v.request_us).max(self.ready_us),
            Topology::Loops | Topology::Shared | Topology::Seats => of(&v.request_us),
        };
        // Of the hand-over there and back, half is the worker's.
        let handover_us = match facts.topology {
            Topology::Staged => (request_us - self.loop_us).max(0.0) / 2.0,
            Topology::Loops | Topology::Shared | Topology::Seats => 0.0,
        };
        // A thread that occupies itself with one connection sleeps for an awaited time as for a blocked one.
        let paused = paused_us(v);
        let (resume_us, unblock_us) = match (facts.topology, v.unblock_us.is_empty()) {
            (Topology::Seats, _) => (&paused, &paused),
            (_, false) => (&v.resume_us, &v.unblock_us),
            (_, true) => (&v.resume_us, &self.paused_us),
        };
        let wake_us = of(&v.wake_us);
        let (sleep_us, wake_us) = match facts.topology {
            // Nothing has to wake it up.
            _ if spins(v) => (0.0, 0.0),
            // It sleeps after each request, saturated or not.
            Topology::Seats => (0.0, self.asleep_us(request_us, wake_us)),
            Topology::Loops | Topology::Shared | Topology::Staged => {
                self.slept_and_asleep_us(request_us, wake_us, soon_us)
            }
        };
        // A pause leaves the core idle where no other thread computes meanwhile: always in a loop that blocks, and in
        // every server at the low rate, by which is told how late timers are. The simulator knows what waking a core
        // costs, so that it must not be in these figures, too.
        let woken_us = wake_us
            * match self.asleep_after_us {
                t if t > 0.0 => -(-PAUSE_US / t).exp_m1(),
                _ => 1.0,
            };
        let resume_us = of(resume_us);
        let unblock_us = match facts.topology {
            Topology::Loops if !v.unblock_us.is_empty() => (of(unblock_us) - woken_us).max(0.0),
            _ => of(unblock_us),
        };
        let late_us = |measured: f64, cpu_us: f64| (measured - cpu_us - woken_us).max(0.0);
        // What goes on in a staged server passes its loop alone.
        let slept_us = match facts.topology {
            Topology::Staged => sleep_us / STAGES,
            _ => sleep_us,
        };
        Some(Costs {
            request_us,
            wake_us,
            sleep_us,
            asleep_after_us: self.asleep_after_us,
            connection_us: of(&v.connection_us),
            resume_us,
            unblock_us,
            blocked_late_us: match v.blocked_late_us.is_empty() {
                true => TIMER_SLACK_US,
                false => late_us(of(&v.blocked_late_us), unblock_us),
            },
            awaited_late_us: late_us(of(&v.awaited_late_us), resume_us + slept_us),
            handover_us,
            scan_us: scan(&v.scan_us),
            // One may copy more than others do, and none less than the kernel: what is below is noise, being a
            // difference of two windows, and would decide where messages are large.
            kib_in_us: of(&v.kib_in_us).max(self.kib_us[0]),
            kib_out_us: of(&v.kib_out_us).max(self.kib_us[1]),
            // What is left of a response beside the CPU of a request is not told where that is the whole core.
            base_us: match spins(v) {
                true => self.base_us,
                false => of(&v.base_us),
            },
            cpu_factor: of(&self.profile.cpu_factor).max(0.1),
        })
    }

    /// What waking a core costs that has been idle for very long, where a request costs `wake_us` more at the low
    /// rate for nothing else.
    fn asleep_us(&self, request_us: f64, wake_us: f64) -> f64 {
        match self.asleep_after_us {
            // Not told: every wake-up costs what it costs at the low rate.
            t if t <= 0.0 => wake_us,
            t => {
                let each = wake_us / idle_share(LOW_GAP_US, request_us + wake_us);
                each / asleep_share(LOW_GAP_US, t)
            }
        }
    }

    /// What it costs that a thread had to be woken up, and that its core slept, from what a request costs more at
    /// the low rate and at the one at which cores hardly sleep.
    fn slept_and_asleep_us(
        &self,
        request_us: f64,
        wake_us: f64,
        soon_us: Option<f64>,
    ) -> (f64, f64) {
        let whole = self.asleep_us(request_us, wake_us);
        let t = self.asleep_after_us;
        let Some(soon_us) = soon_us.filter(|_| t > 0.0) else {
            return (0.0, whole);
        };
        let low = wake_us / idle_share(LOW_GAP_US, request_us + wake_us);
        let soon = soon_us / idle_share(SOON_GAP_US, request_us + soon_us);
        let shares = asleep_share(LOW_GAP_US, t) - asleep_share(SOON_GAP_US, t);
        // Neither is below nothing.
        let asleep = ((low - soon) / shares).clamp(0.0, whole);
        (low - asleep * asleep_share(LOW_GAP_US, t), asleep)
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

/// The share of its time for which a CPU is away at most in a simulation.
///
/// A window in which it is away for more than the gates allow is left out of every measurement (in a full 1 % no
/// 99th percentile could be kept, at any rate), and those that count lie anywhere below.
pub(crate) const AWAY_SHARE_MAX: f64 = schema::gates::STEAL_SHARE_MAX / 2.0;

/// What was seen of a CPU, as the simulator has it: how often, and the middles of equal parts of the lengths. One
/// that is away for longer than measurements allow is away less often.
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
    let fewer = AWAY_SHARE_MAX / seen.away_share().max(AWAY_SHARE_MAX);
    Stalls {
        per_s: lengths.len() as f64 / seen.watched_s * fewer,
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

/// Whether it uses a whole core however few requests there are, looking for the next one.
pub(crate) fn spins(v: &VariantCosts) -> bool {
    let low_us = middle(&v.request_us).unwrap_or(0.0) + middle(&v.wake_us).unwrap_or(0.0);
    low_us * LOW_RPS / 1e6 >= SPINS_SHARE
}

/// What going on costs a thread that has slept, for a blocked time or for an awaited one.
fn paused_us(v: &VariantCosts) -> Vec<f64> {
    v.unblock_us.iter().chain(&v.resume_us).copied().collect()
}

/// How much of the cost of a sleeping core a request pays in the mean at random arrivals `gap_us` apart, if that
/// cost grows as `1 - exp(-idle / t)`: a core that is idle stays so for the mean gap in the mean.
fn asleep_share(gap_us: f64, t: f64) -> f64 {
    gap_us / (gap_us + t)
}

/// The share of requests that find the core idle, where each takes `cpu_us`.
fn idle_share(gap_us: f64, cpu_us: f64) -> f64 {
    (1.0 - cpu_us / gap_us).max(0.05)
}

const LOW_GAP_US: f64 = 1e6 / LOW_RPS;
const SOON_GAP_US: f64 = 1e6 / SOON_RPS;

/// How fast a core falls asleep, µs: the median of what the variants tell in which a thread occupies itself with
/// one connection; 0 where none does.
///
/// Such a thread sleeps after each request, whether the server is saturated or not: what it costs more at a low
/// rate is the waking of the core, and nothing else. The two rates at which that is measured tell `t`.
fn asleep_after_us(profile: &Profile, facts: &[Facts]) -> f64 {
    let seats = |f: &&Facts| f.topology == Topology::Seats && f.holds == Holds::Workers;
    let of = |v: &VariantCosts| {
        let (request, whole) = (middle(&v.request_us)?, middle(&v.wake_us)?);
        let soon = middle(&v.wake_soon_us)?;
        let whole_each = whole / idle_share(LOW_GAP_US, request + whole);
        let ratio = soon / idle_share(SOON_GAP_US, request + soon) / whole_each.max(1e-3);
        // At once, or never within the gap of the low rate: nothing beyond can be told.
        let ratio = ratio.clamp(2.0 * SOON_GAP_US / LOW_GAP_US, 1.0);
        // asleep_share(SOON_GAP_US, t) = ratio * asleep_share(LOW_GAP_US, t), solved for t.
        let t = SOON_GAP_US * LOW_GAP_US * (1.0 - ratio) / (LOW_GAP_US * ratio - SOON_GAP_US);
        // One that costs nothing more is not asleep after any while that matters.
        (whole > 1.0).then_some(t)
    };
    let told = facts.iter().filter(seats);
    let told: Vec<f64> = told.filter_map(|f| of(measured(profile, f)?)).collect();
    middle(&told).unwrap_or(0.0)
}

/// A difference of two windows below a hundredth of a µs per connection is noise: what a selector costs
/// that looks at every connection is above it.
fn scan(list: &[f64]) -> f64 {
    middle(list).filter(|us| *us > 0.01).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::profile::{MachineOf, VERSION};

    const MODELS: &str = r#"[
 {"model":"threads","variant":"-","default":true,"workers":"pool","workers_default":64,"holds":"workers","listens":true,"processes":false,"shares":false,"connections_max":null,"topology":"seats","spread":"even","io_uring":false},
 {"model":"loop","variant":"-","default":true,"workers":"one","workers_default":1,"holds":"many","listens":true,"processes":false,"shares":false,"connections_max":null,"topology":"loops","spread":"even","io_uring":false},
 {"model":"ring","variant":"-","default":true,"workers":"one","workers_default":1,"holds":"many","listens":true,"processes":false,"shares":false,"connections_max":null,"topology":"loops","spread":"even","io_uring":true},
 {"model":"staged","variant":"-","default":true,"workers":"pool","workers_default":64,"holds":"many","listens":true,"processes":false,"shares":true,"connections_max":null,"topology":"staged","spread":"even","io_uring":false}
]"#;

    /// A profile as it would be measured of requests of 10 µs, where a sleeping core costs `wake` and grows so with
    /// `t`, and a sleeping loop costs `sleep`.
    fn measured_of(sleep: f64, wake: f64, t: f64) -> Profile {
        let costs = |model: &str, sleep: f64| {
            // Only those that find the core idle pay, and what they pay makes it busier.
            let more = |gap: f64| {
                let each = sleep + wake * asleep_share(gap, t);
                (1.0 - 10.0 / gap) * each / (1.0 + each / gap)
            };
            VariantCosts {
                model: model.into(),
                request_us: vec![10.0],
                wake_us: vec![more(LOW_GAP_US)],
                wake_soon_us: vec![more(SOON_GAP_US)],
                resume_us: vec![20.0, 12.0],
                unblock_us: vec![8.0, 10.0],
                ..VariantCosts::default()
            }
        };
        Profile {
            version: VERSION,
            machine: MachineOf {
                server_cpus: 1,
                cpus: 2,
                ..MachineOf::default()
            },
            slice_us: 4_000.0,
            preempt_us: 64.0,
            cpu_factor: vec![1.0],
            variants: vec![costs("threads", 0.0), costs("loop", sleep)],
            ..Profile::default()
        }
    }

    #[test]
    fn what_a_sleeping_thread_costs_is_told_apart_from_a_sleeping_core() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        for (sleep, wake, t) in [(0.0, 30.0, 400.0), (9.0, 30.0, 400.0), (15.0, 20.0, 100.0)] {
            let profile = measured_of(sleep, wake, t);
            let priced = Priced::new(&profile, &facts);
            let near = |what: &str, found: f64, real: f64| {
                assert!((found - real).abs() < 0.2, "{what} {found}, not {real}");
            };
            for (at, slept) in [(0, 0.0), (1, sleep)] {
                let costs = priced.costs(&facts[at]).expect("measured");
                assert!((costs.asleep_after_us / t - 1.0).abs() < 0.02, "{costs:?}");
                near("sleep", costs.sleep_us, slept);
                near("wake", costs.wake_us, wake);
            }
        }
        // A profile of one rate only has the whole for each.
        let mut old = measured_of(9.0, 30.0, 400.0);
        for v in &mut old.variants {
            v.wake_soon_us.clear();
        }
        let costs = Priced::new(&old, &facts)
            .costs(&facts[1])
            .expect("measured");
        let whole = middle(&old.variants[1].wake_us).expect("told");
        assert_eq!((costs.sleep_us, costs.asleep_after_us), (0.0, 0.0));
        assert!((costs.wake_us - whole).abs() < 1e-9, "{costs:?}");
    }

    #[test]
    fn a_thread_with_one_connection_sleeps_alike_for_both_kinds_of_pause() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        let profile = measured_of(0.0, 30.0, 400.0);
        let priced = Priced::new(&profile, &facts);
        let of = |at: usize| {
            priced
                .costs(&facts[at])
                .map(|c| (c.resume_us, c.unblock_us))
        };
        assert_eq!(of(0), Some((11.0, 11.0)));
        assert_eq!(of(1), Some((16.0, 0.0)));
    }

    /// What waking the core costs is charged where it happens, and so is in no other figure.
    #[test]
    fn a_pause_that_leaves_the_core_idle_costs_no_wake_up_twice() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        let mut profile = measured_of(9.0, 30.0, 400.0);
        let woken = 30.0 * (1.0 - (-PAUSE_US / 400.0_f64).exp());
        profile.variants[1].unblock_us = vec![6.0 + woken];
        profile.variants[1].resume_us = vec![2.0];
        profile.variants[1].blocked_late_us = vec![55.0 + 6.0 + woken];
        profile.variants[1].awaited_late_us = vec![70.0 + 2.0 + 9.0 + woken];
        let costs = Priced::new(&profile, &facts).costs(&facts[1]);
        let costs = costs.expect("measured");
        for (found, real) in [
            (costs.unblock_us, 6.0),
            (costs.blocked_late_us, 55.0),
            (costs.awaited_late_us, 70.0),
        ] {
            assert!((found - real).abs() < 1.0, "{found}, not {real}");
        }
    }

    #[test]
    fn what_never_sleeps_is_not_woken_up() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        let mut profile = measured_of(9.0, 30.0, 400.0);
        profile.variants[0].base_us = vec![60.0];
        profile.variants[1].base_us = vec![0.0];
        profile.variants[1].wake_us = vec![1e6 / LOW_RPS - 10.0];
        profile.variants[1].wake_soon_us = vec![1e6 / SOON_RPS - 10.0];
        let priced = Priced::new(&profile, &facts);
        let spun = priced.costs(&facts[1]).expect("measured");
        assert_eq!((spun.sleep_us, spun.wake_us), (0.0, 0.0));
        assert_eq!(spun.base_us, 30.0, "the middle of both");
        assert!(spins(&profile.variants[1]) && !spins(&profile.variants[0]));
        let slept = priced.costs(&facts[0]).expect("measured");
        assert!(slept.wake_us > 25.0, "{slept:?}");
    }

    #[test]
    fn a_staged_request_costs_no_less_than_one_in_a_loop() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        let mut profile = measured_of(9.0, 30.0, 400.0);
        for (model, request) in [("ring", 3.0), ("staged", 5.0)] {
            let mut costs = profile.variants[1].clone();
            costs.model = model.into();
            costs.request_us = vec![request];
            profile.variants.push(costs);
        }
        for (staged, cost) in [(5.0, 10.0), (14.0, 14.0)] {
            profile.variants[3].request_us = vec![staged];
            let priced = Priced::new(&profile, &facts);
            let of = |at: usize| priced.costs(&facts[at]).map(|c| c.request_us);
            assert_eq!(of(2), Some(3.0), "a ring's batches are its own");
            assert_eq!(of(3), Some(cost), "{staged}");
        }
    }

    #[test]
    fn a_term_that_could_not_be_seen_is_the_kernels() {
        let facts = Facts::read(MODELS).expect("a catalogue");
        let mut profile = measured_of(0.0, 30.0, 400.0);
        for (seen, term) in [
            (0.0, 1_400.0),
            (1.0, 1_400.0),
            (900.0, 900.0),
            (9e9, 4_000.0),
        ] {
            profile.protect_us = seen;
            let scheduler = Priced::new(&profile, &facts).scheduler();
            assert_eq!(scheduler.protect_us, term, "{seen}");
        }
    }
}
