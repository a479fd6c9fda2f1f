//! What a server's process tree has used: CPU, context switches, memory, tasks.
//!
//! A tree is a root, its descendants by parent, and whatever is in the root's process group: a child
//! whose parent has ended keeps its group when it changes its parent.
//!
//! **CPU** is the sum of two parts. For each living process, its CPU clock: nanoseconds, with the
//! threads that have ended. For children that have ended *and were waited for*, `cutime + cstime` of
//! the living: the kernel keeps them in nanoseconds but prints ticks of 10 ms, each of the two rounded
//! down, so that a difference is off by 20 ms at most and by 6 ms as a rule. Where nothing ends
//! within a window (every model but fork-per-client), both printed values stay as they are and the
//! difference is exact. A child that ends between two readings moves from the first part to the
//! second and is counted once.
//!
//! The CPU of children that are not waited for, because SIGCHLD is ignored, is lost; where that is so, no
//! CPU is given at all.
//!
//! **Context switches** are kept by the kernel for living tasks, and for ended ones only in what
//! wait4(2) returns at the very end. [`Snapshot::since`] therefore gives none for a window in which
//! a task has ended; the trial then takes the average over the whole visit.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::Signal;

use crate::observe::sys;

/// A tick of `/proc/PID/stat`: USER_HZ is 100 on every architecture Linux runs servers on.
const TICK_NS: u64 = 10_000_000;
/// SIGCHLD in the masks of `/proc/PID/status`, which count from bit 0.
const SIGCHLD_BIT: u64 = 1 << (signal_hook::consts::SIGCHLD - 1);
/// A thread uses more CPU than this from its start to its end, and two readings of a quiet process
/// differ by less.
const LOST_THREAD_NS: u64 = 50_000;

/// How often what is forked while a tree is killed is looked for, and when that is given up.
const KILL_EVERY: Duration = Duration::from_millis(5);
const KILL_ROUNDS_MAX: u32 = 400;

/// What describes a task in the kernel, KiB: `task_struct` (6 to 10, by the registers of the CPU), its pid and
/// credentials (/proc/slabinfo, which only root may read).
const TASK_SLAB_KIB: u64 = 8;
/// What describes a process beside its tasks, KiB: `mm_struct` 1.6, `sighand` 2.1, `signal` 1.2, files 0.7, and
/// some thirty mappings of 0.36 each with their reverse maps.
const PROCESS_SLAB_KIB: u64 = 16;
/// A kernel stack where the kernel does not tell, KiB (`THREAD_SIZE` of x86-64 and arm64).
const STACK_KIB: u64 = 16;

/// The fields of `/proc/PID/stat` that are used here.
#[derive(Debug, Clone, Copy)]
struct Stat {
    pid: u32,
    parent: u32,
    group: u32,
    zombie: bool,
    /// Minor faults of the children waited for: it grows with each of them, since no process runs
    /// without a page fault.
    children_faults: u64,
    children_ticks: u64,
}

/// What a tree had used at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    cpu_ns: u64,
    switches: u64,
    /// Those of `switches` with which a task waited for something.
    waits: u64,
    tasks: BTreeSet<(u32, u32)>,
    children_faults: u64,
    ended_threads_ns: u64,
    ignores_sigchld: bool,
}

/// What a tree used between two moments; by default that of one that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time, µs; `None` where children may have ended that were not waited for.
    pub cpu_us: Option<f64>,
    /// Context switches; `None` when a task has ended, whose counters are lost.
    pub switches: Option<u64>,
    /// Those with which a task waited for something, each of which ends with a wake-up.
    pub waits: Option<u64>,
}

/// Memory and tasks of a tree at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Proportional set size, KiB.
    pub pss_kib: u64,
    /// What no process outside of this one has mapped, KiB.
    pub private_kib: u64,
    /// Resident set size, KiB: what processes share counts once for each.
    pub rss_kib: u64,
    /// Processes and threads.
    pub tasks: u32,
    /// What the kernel keeps for them, KiB: page tables (`VmPTE`), a stack for each task, and what describes
    /// tasks and processes.
    pub kernel_kib: u64,
}

/// The processes of the tree of `root` that are alive (zombies are not).
pub fn members(root: u32) -> Vec<u32> {
    tree(root)
        .iter()
        .filter(|stat| !stat.zombie)
        .map(|stat| stat.pid)
        .collect()
}

/// Every living task of the tree of `root`: the threads of its processes.
pub fn tasks(root: u32) -> Vec<u32> {
    let tasks = |pid: &u32| numbers(&format!("/proc/{pid}/task"));
    members(root).iter().flat_map(tasks).collect()
}

/// The same without `root` itself.
pub fn below(root: u32) -> Vec<u32> {
    let mut members = members(root);
    members.retain(|&pid| pid != root);
    members
}

/// Whether the process is there and no zombie.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !stat.zombie)
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let all = numbers("/proc").into_iter().filter_map(stat);
    let own = all.filter(|stat| stat.parent == pid && !stat.zombie);
    own.map(|stat| stat.pid).collect()
}

/// The names of the processes below `root`.
pub fn names_below(root: u32) -> Vec<String> {
    below(root).into_iter().filter_map(name).collect()
}

/// The name of a process, as the kernel cuts it off.
pub(super) fn name(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Kills what is below `root`, and what that has forked meanwhile; gives up after a while.
pub fn kill_below(root: u32) {
    for _ in 0..KILL_ROUNDS_MAX {
        let below = below(root);
        if below.is_empty() {
            return;
        }
        for pid in below {
            let _ended_by_itself = sys::send(pid, Signal::KILL);
        }
        std::thread::sleep(KILL_EVERY);
    }
}

/// CPU time of the living processes, ns: a cheap way to see whether a tree is quiet.
pub fn living_cpu_ns(pids: &[u32]) -> u64 {
    pids.iter()
        .filter_map(|&pid| sys::process_cpu_ns(pid).ok())
        .sum()
}

/// Whether every task of the process `pid` has a tracer; one that has ended needs none.
pub fn traced(pid: u32) -> bool {
    let traced = |tid| {
        fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"))
            .map_or(true, |status| field(&status, "TracerPid:") != Some(0))
    };
    numbers(&format!("/proc/{pid}/task"))
        .into_iter()
        .all(traced)
}

impl Snapshot {
    /// Reads the tree of `root`. What ends while it is read is left out.
    pub fn take(root: u32) -> io::Result<Self> {
        let mut snapshot = Self::default();
        let tree = tree(root);
        if !tree.iter().any(|stat| stat.pid == root && !stat.zombie) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the server has ended",
            ));
        }
        for stat in tree {
            let cpu_ns = sys::process_cpu_ns(stat.pid).unwrap_or(0);
            snapshot.cpu_ns += cpu_ns + stat.children_ticks * TICK_NS;
            snapshot.children_faults += stat.children_faults;
            let living_ns = snapshot.add_tasks(stat.pid);
            snapshot.ended_threads_ns += cpu_ns.saturating_sub(living_ns);
        }
        Ok(snapshot)
    }

    /// The processes of the tree.
    pub fn pids(&self) -> BTreeSet<u32> {
        self.tasks.iter().map(|&(pid, _)| pid).collect()
    }

    /// Adds the tasks of a process and their switches; returns the run time of the living, ns.
    fn add_tasks(&mut self, pid: u32) -> u64 {
        let mut living_ns = 0;
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let file = |name| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}"));
            let Ok(status) = file("status") else { continue };
            self.tasks.insert((pid, tid));
            self.ignores_sigchld |= ignores_sigchld(&status);
            let waits = field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            self.waits += waits;
            self.switches += waits + field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
            let first = |text: String| text.split_whitespace().next().and_then(|n| n.parse().ok());
            living_ns += file("schedstat").ok().and_then(first).unwrap_or(0_u64);
        }
        living_ns
    }

    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Usage {
        let ended = !before.tasks.is_subset(&self.tasks)
            || self.children_faults != before.children_faults
            || self.ended_threads_ns > before.ended_threads_ns + LOST_THREAD_NS;
        Usage {
            cpu_us: (!self.ignores_sigchld)
                .then(|| self.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e3),
            switches: (!ended).then(|| self.switches.saturating_sub(before.switches)),
            waits: (!ended).then(|| self.waits.saturating_sub(before.waits)),
        }
    }
}

impl Footprint {
    /// Reads the tree of `root`; what ends while it is read is left out.
    pub fn take(root: u32) -> Self {
        Self::of(&members(root))
    }

    /// The same without the root itself, where that only keeps the server.
    pub fn take_below(root: u32) -> Self {
        Self::of(&below(root))
    }

    fn of(pids: &[u32]) -> Self {
        let mut footprint = Self::default();
        let stack_kib = kernel_stack_kib();
        for &pid in pids {
            let Ok(memory) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
                continue;
            };
            footprint.pss_kib += field(&memory, "Pss:").unwrap_or(0);
            let private = ["Private_Clean:", "Private_Dirty:"];
            let private = private.map(|name| field(&memory, name).unwrap_or(0));
            footprint.private_kib += private.iter().sum::<u64>();
            footprint.rss_kib += field(&memory, "Rss:").unwrap_or(0);
            let tasks = numbers(&format!("/proc/{pid}/task")).len();
            footprint.tasks += u32::try_from(tasks).unwrap_or(u32::MAX);
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            footprint.kernel_kib += field(&status, "VmPTE:").unwrap_or(0)
                + PROCESS_SLAB_KIB
                + tasks as u64 * (stack_kib + TASK_SLAB_KIB);
        }
        footprint
    }
}

/// The tree of `root`, zombies included, root first.
fn tree(root: u32) -> Vec<Stat> {
    let all: Vec<Stat> = numbers("/proc").into_iter().filter_map(stat).collect();
    let mut tree: Vec<Stat> = all.iter().filter(|s| s.pid == root).copied().collect();
    let mut known: BTreeSet<u32> = BTreeSet::from([root]);
    loop {
        let found: Vec<Stat> = all
            .iter()
            .filter(|s| !known.contains(&s.pid) && (known.contains(&s.parent) || s.group == root))
            .copied()
            .collect();
        if found.is_empty() {
            return tree;
        }
        known.extend(found.iter().map(|s| s.pid));
        tree.extend(found);
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses: fields are counted from the last one on.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok());
    let id = |n: usize| number(n).and_then(|id| u32::try_from(id).ok());
    Some(Stat {
        pid,
        parent: id(4)?,
        group: id(5)?,
        zombie: matches!(fields.first(), Some(&"Z" | &"X")),
        children_faults: number(11)?,
        children_ticks: number(16)? + number(17)?,
    })
}

/// The numeric names in a folder of /proc.
pub(super) fn numbers(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether the process ignores SIGCHLD: its children are then gone without having been waited for.
fn ignores_sigchld(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & SIGCHLD_BIT != 0)
}

/// The stack that the kernel keeps for each task, KiB: all of them (proc_meminfo(5)) by the number of tasks
/// (proc_loadavg(5)).
fn kernel_stack_kib() -> u64 {
    let all = fs::read_to_string("/proc/meminfo").ok();
    let all = all.and_then(|text| field(&text, "KernelStack:"));
    let tasks = fs::read_to_string("/proc/loadavg").ok().and_then(|text| {
        let entities = text.split_whitespace().nth(3)?;
        entities.split_once('/')?.1.parse::<u64>().ok()
    });
    match (all, tasks) {
        (Some(all), Some(tasks)) if tasks > 0 => ((all + tasks / 2) / tasks).clamp(4, 64),
        _ => STACK_KIB,
    }
}

/// The number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
