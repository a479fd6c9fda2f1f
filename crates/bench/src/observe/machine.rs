//! What the whole machine did in a window: busy time, and time the hypervisor gave to others.
//!
//! Loopback traffic is delivered in the sender's softirq, so the kernel charges part of what a server
//! costs to the generator. For that reason there is a figure of the machine beside the server's.

use std::fs;
use std::io;

use crate::observe::cpus::CpuList;

/// A tick of `/proc/stat`, µs (USER_HZ is 100).
const TICK_US: u64 = 10_000;

/// The counters of `/proc/stat` at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    busy_ticks: u64,
    used: Ticks,
}

/// Time of the CPUs that the trial uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    /// All of it, stolen included.
    pub all: u64,
    /// What the hypervisor took.
    pub stolen: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// CPU time that all processes of the machine used, µs.
    pub busy_us: f64,
    /// Time of the CPUs that the trial uses.
    pub used: Ticks,
}

impl Reading {
    /// Reads the counters; `cpus` are those that steal is judged for.
    ///
    /// # Errors
    /// When `/proc/stat` cannot be read.
    pub fn take(cpus: &[&CpuList]) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/stat")?, cpus))
    }

    fn parse(text: &str, cpus: &[&CpuList]) -> Self {
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
            let busy = user + nice + system + irq + softirq;
            if cpu.is_empty() {
                reading.busy_ticks = busy;
            } else if cpu
                .parse()
                .is_ok_and(|cpu: usize| cpus.iter().any(|list| list.iter().any(|c| c == cpu)))
            {
                reading.used.all += busy + idle + iowait + stolen;
                reading.used.stolen += stolen;
            }
        }
        reading
    }

    /// What happened since `before`. A counter of the kernel may go back by a tick: that counts as
    /// zero.
    pub fn since(&self, before: &Self) -> Window {
        Window {
            busy_us: (self.busy_ticks.saturating_sub(before.busy_ticks) * TICK_US) as f64,
            used: Ticks {
                all: self.used.all.saturating_sub(before.used.all),
                stolen: self.used.stolen.saturating_sub(before.used.stolen),
            },
        }
    }
}

impl Ticks {
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
            Reading::parse(&text, &[&one])
        };
        let window = stat(3, 120).since(&stat(1, 100));
        assert_eq!(window.busy_us, 200_000.0);
        assert_eq!(window.used, Ticks { all: 22, stolen: 2 });
        assert!((window.used.stolen_share() - 2.0 / 22.0).abs() < 1e-9);
    }
}
