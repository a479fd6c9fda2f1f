//! Who else used the CPUs while a server was measured.
//!
//! Two accounts are kept. *By process*, exact: what every process of the machine that can be seen has
//! used according to its CPU clock, in nanoseconds, attributed to the CPUs on which its tasks ran last.
//! *By CPU*, coarse: what of the CPUs' time was neither idle nor stolen nor the kernel's for interrupts
//! nor used by those who are measured. The second sees processes that ended in between or cannot be
//! seen from here, but it counts in ticks of 10 ms, and what waking up from idle costs is in it.

use std::collections::BTreeMap;
use std::fs;

use schema::gates::OTHERS_SHARE_MAX;

use crate::observe::cpus::CpuList;
use crate::observe::machine::{TICK_US, Ticks};
use crate::observe::{sys, tree};

/// A process that used less is left out: what sleeps uses as much for its timers.
const USED_NS_MIN: u64 = 200_000;
/// The most processes that are looked at.
const LOOKED_AT_MAX: usize = 64;
/// Above this share the coarse account is believed, and above this many ticks.
const COARSE_SHARE_MIN: f64 = 0.25;
const COARSE_TICKS_MIN: f64 = 4.0;
/// The kernel's thread for interrupts that are handled late: part of what is measured.
const SOFTIRQ: &str = "ksoftirqd/";

/// What each process had used at one moment, ns.
#[derive(Debug, Clone, Default)]
pub struct Reading(BTreeMap<u32, u64>);

/// What others used in a window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Others {
    /// On the server's CPUs.
    pub server: Used,
    /// On the generator's.
    pub load: Used,
    /// The process of another bench on the same CPUs.
    pub bench: Option<u32>,
}

/// What others used of a list of CPUs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Used {
    /// The share of their time.
    pub share: f64,
    /// The process that used most of it, where it is known, and its share.
    pub most: Option<(String, f64)>,
    /// Of a slice, by how much more they usually use while this server is loaded than while that one
    /// beside it is with which they use least; `None` for a whole trial.
    pub beyond: Option<f64>,
}

/// A list of CPUs, and what was measured on it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The CPUs.
    pub cpus: &'a CpuList,
    /// What they did.
    pub ticks: Ticks,
    /// What those who are measured used of them, ns; `None` where that is not known.
    pub own_ns: Option<u64>,
}

impl Reading {
    /// Reads the CPU clock of every process.
    pub fn take() -> Self {
        let clocks = tree::numbers("/proc").into_iter();
        Self(
            clocks
                .filter_map(|pid| Some((pid, sys::process_cpu_ns(pid).ok()?)))
                .collect(),
        )
    }

    /// What `pid` has used since `before`, ns.
    pub fn used_ns(&self, before: &Self, pid: u32) -> Option<u64> {
        let (now, then) = (self.0.get(&pid)?, before.0.get(&pid).copied());
        Some(now.saturating_sub(then.unwrap_or(0)))
    }

    /// The processes without `own` that used most since `before`.
    fn others(&self, before: &Self, own: &[u32]) -> Vec<(u32, u64)> {
        let used = |(&pid, _): (&u32, &u64)| Some((pid, self.used_ns(before, pid)?));
        let mut used: Vec<(u32, u64)> = self
            .0
            .iter()
            .filter(|(pid, _)| !own.contains(pid))
            .filter_map(used)
            .filter(|&(_, ns)| ns >= USED_NS_MIN)
            .collect();
        used.sort_unstable_by_key(|&(_, ns)| std::cmp::Reverse(ns));
        used.truncate(LOOKED_AT_MAX);
        used
    }
}

impl Others {
    /// What others than `own` used between two readings that lie `window_ns` apart.
    pub fn between(
        before: &Reading,
        after: &Reading,
        own: &[u32],
        window_ns: u64,
        [server, load]: [Side<'_>; 2],
    ) -> Self {
        let others: Vec<Process> = after
            .others(before, own)
            .into_iter()
            .filter_map(|(pid, ns)| Process::look_at(pid, ns))
            .collect();
        let used = |side: Side<'_>| Used::of(&others, window_ns, side);
        Self {
            server: used(server),
            load: used(load),
            bench: None,
        }
    }

    /// Says of a slice how it compares with those of the servers beside it.
    pub fn beside(&mut self, [server, load]: [f64; 2]) {
        self.server.beyond = Some(server);
        self.load.beyond = Some(load);
    }

    /// Whether they used more than is allowed.
    pub fn too_much(&self) -> bool {
        self.server.share.max(self.load.share) > OTHERS_SHARE_MAX
    }
}

impl Used {
    fn of(others: &[Process], window_ns: u64, side: Side<'_>) -> Self {
        let all_ns = (window_ns.max(1) * side.cpus.len() as u64) as f64;
        let shares = others.iter().map(|p| (&p.name, p.on(side.cpus) / all_ns));
        let exact: f64 = shares.clone().map(|(_, share)| share).sum();
        let most = shares.max_by(|a, b| a.1.total_cmp(&b.1));
        let most = most.filter(|(_, share)| *share > 0.0);
        Self {
            share: exact.max(coarse(side).unwrap_or(0.0)).min(1.0),
            most: most.map(|(name, share)| (name.clone(), share)),
            beyond: None,
        }
    }
}

/// What the CPUs did beyond those who are measured, as a share, where that is more than this account
/// can be wrong by.
fn coarse(side: Side<'_>) -> Option<f64> {
    let own = side.own_ns? as f64 / 1e3 / TICK_US as f64;
    let beyond = side.ticks.tasks as f64 - own;
    let share = beyond / side.ticks.all.max(1) as f64;
    (beyond > COARSE_TICKS_MIN && share > COARSE_SHARE_MIN).then_some(share)
}

/// A process that is not measured.
#[derive(Debug)]
struct Process {
    name: String,
    used_ns: u64,
    /// The CPU on which each of its tasks ran last.
    cpus: Vec<usize>,
}

impl Process {
    fn look_at(pid: u32, used_ns: u64) -> Option<Self> {
        let name = tree::name(pid)?;
        let tasks = tree::numbers(&format!("/proc/{pid}/task")).into_iter();
        let cpus = tasks.filter_map(|tid| last_cpu(pid, tid)).collect();
        (!name.starts_with(SOFTIRQ)).then_some(Self {
            name,
            used_ns,
            cpus,
        })
    }

    /// What it used of `cpus`, ns.
    fn on(&self, cpus: &CpuList) -> f64 {
        let there = self.cpus.iter().filter(|cpu| cpus.has(**cpu)).count();
        self.used_ns as f64 * there as f64 / self.cpus.len().max(1) as f64
    }
}

/// Field 39 of `/proc/PID/task/TID/stat`.
fn last_cpu(pid: u32, tid: u32) -> Option<usize> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    // The name may hold spaces and parentheses: fields are counted from the last one on.
    let fields = text.get(text.rfind(')')? + 2..)?;
    fields.split(' ').nth(39 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(text: &str) -> CpuList {
        CpuList::allowed()
            .and_then(|all| {
                let first = all.iter().next().unwrap_or(0).to_string();
                CpuList::parse(if text.is_empty() { &first } else { text }, "--cpus", &all)
                    .map_err(|error| std::io::Error::other(error.to_string()))
            })
            .expect("the kernel tells")
    }

    #[test]
    fn this_process_is_seen_by_name_and_not_when_it_is_what_is_measured() {
        let own = std::process::id();
        let before = Reading::take();
        let mut used = 0;
        let mut after = Reading::take();
        // Work until the clock says that it was enough: nothing here depends on how long that takes.
        while used < 4 * USED_NS_MIN {
            after = Reading::take();
            used = after.used_ns(&before, own).expect("this process");
        }
        let pids = |own: &[u32]| -> Vec<u32> {
            after
                .others(&before, own)
                .into_iter()
                .map(|(pid, _)| pid)
                .collect()
        };
        assert!(pids(&[]).contains(&own) && !pids(&[own]).contains(&own));
        let seen = Process::look_at(own, used).expect("it is there");
        assert!(!seen.name.is_empty() && !seen.cpus.is_empty());
        let all = CpuList::allowed().expect("the kernel tells");
        assert_eq!(seen.on(&all), used as f64);
    }

    #[test]
    fn shares_are_of_the_cpus_and_the_coarse_account_counts_when_it_is_large() {
        let one = cpus("");
        let first = one.iter().next().expect("a CPU");
        let process = |name: &str, used_ns, cpus| Process {
            name: name.to_owned(),
            used_ns,
            cpus,
        };
        let others = [
            process("loop", 90_000_000, vec![first]),
            process("elsewhere", 500_000_000, vec![first + 1]),
        ];
        let ticks = |all, tasks| Ticks {
            all,
            tasks,
            stolen: 0,
        };
        let side = |ticks, own_ns| Side {
            cpus: &one,
            ticks,
            own_ns,
        };
        let seen = Used::of(&others, 200_000_000, side(ticks(20, 20), Some(100_000_000)));
        assert!(
            (seen.share - 0.5).abs() < 1e-9,
            "ten ticks of twenty: {seen:?}"
        );
        assert_eq!(seen.most.map(|most| most.0), Some("loop".to_owned()));
        let none = Used::of(&[], 200_000_000, side(ticks(20, 14), Some(100_000_000)));
        assert_eq!(none, Used::default(), "four ticks may be rounding");
        let unknown = Used::of(&[], 200_000_000, side(ticks(20, 20), None));
        assert_eq!(unknown, Used::default(), "whose it was is not known");
    }
}
