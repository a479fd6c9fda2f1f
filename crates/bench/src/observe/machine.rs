//! What the whole machine did in a window: busy time, and time the hypervisor gave to others.
//!
//! Loopback traffic is delivered in the sender's softirq, so the kernel charges part of what a server
//! costs to the generator. For that reason there is a figure of the machine beside the server's.

use std::fs;
use std::io;

use crate::observe::cpus::CpuList;

/// A tick of `/proc/stat`, µs (USER_HZ is 100).
pub const TICK_US: u64 = 10_000;

/// The counters of `/proc/stat` at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    busy_ticks: u64,
    used: [Ticks; 2],
}

/// Time of a list of CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    /// All of it, stolen included.
    pub all: u64,
    /// What tasks used, the kernel's work for interrupts left out.
    pub tasks: u64,
    /// What the hypervisor took.
    pub stolen: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// CPU time that all processes of the machine used, µs.
    pub busy_us: f64,
    /// Time of the server's CPUs.
    pub server: Ticks,
    /// Time of the generator's CPUs.
    pub load: Ticks,
    /// Time of the CPUs that the trial uses; one that both use counts twice.
    pub used: Ticks,
}

impl Reading {
    /// Reads the counters for the CPUs of the server and those of the generator.
    pub fn take(cpus: [&CpuList; 2]) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/stat")?, cpus))
    }

    fn parse(text: &str, cpus: [&CpuList; 2]) -> Self {
        let mut reading = Self::default();
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let Some(cpu) = fields.next().and_then(|name| name.strip_prefix("cpu")) else {
                continue;
            };
            // user nice system idle iowait irq softirq steal; guest time is within user.
            let ticks: Vec<u64> = fields
                .take(8)
                .filter_map(|field| field.parse().ok())
                .collect();
            let [user, nice, system, idle, iowait, irq, softirq, stolen] = ticks[..] else {
                continue;
            };
            let tasks = user + nice + system;
            let busy = tasks + irq + softirq;
            let Ok(cpu) = cpu.parse::<usize>() else {
                // The line of all CPUs has no number.
                reading.busy_ticks = busy;
                continue;
            };
            for (used, list) in reading.used.iter_mut().zip(cpus) {
                if list.has(cpu) {
                    used.all += busy + idle + iowait + stolen;
                    used.tasks += tasks;
                    used.stolen += stolen;
                }
            }
        }
        reading
    }

    /// What happened since `before`. A counter of the kernel may go back by a tick: that counts as
    /// zero.
    pub fn since(&self, before: &Self) -> Window {
        let [server, load] = [0, 1].map(|list| self.used[list].since(before.used[list]));
        Window {
            busy_us: (self.busy_ticks.saturating_sub(before.busy_ticks) * TICK_US) as f64,
            server,
            load,
            used: server.and(load),
        }
    }
}

impl Ticks {
    fn since(self, before: Self) -> Self {
        Self {
            all: self.all.saturating_sub(before.all),
            tasks: self.tasks.saturating_sub(before.tasks),
            stolen: self.stolen.saturating_sub(before.stolen),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            tasks: self.tasks + other.tasks,
            stolen: self.stolen + other.stolen,
        }
    }

    /// Stolen time as a share; zero when nothing passed.
    pub fn stolen_share(&self) -> f64 {
        self.stolen as f64 / self.all.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_the_machines_and_steal_is_of_the_used_cpus() {
        let cpus = CpuList::allowed().expect("the kernel tells");
        let first = cpus.iter().next().expect("one CPU at least");
        let one = CpuList::parse(&first.to_string(), "--cpus", &cpus).expect("allowed");
        let stat = |stolen: u64, user: u64| {
            let text = format!(
                "cpu {user} 0 10 100 5 1 2 99 7 0\ncpu{first} {user} 0 0 50 0 0 0 {stolen} 0 0\n\
                 cpu9999 0 0 0 0 0 0 0 77 0 0\nintr 1 2 3\n"
            );
            Reading::parse(&text, [&one, &one])
        };
        let window = stat(3, 120).since(&stat(1, 100));
        assert_eq!(window.busy_us, 200_000.0);
        let (all, tasks, stolen) = (22, 20, 2);
        let ticks = Ticks { all, tasks, stolen };
        assert_eq!((window.server, window.load), (ticks, ticks));
        assert!((window.used.stolen_share() - 2.0 / 22.0).abs() < 1e-9);
    }
}
