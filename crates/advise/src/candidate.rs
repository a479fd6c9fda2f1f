//! A variant with its workers, ready to be simulated.

use simulate::{Costs, Server, Topology};
use workload::{Offered, Workload};

use crate::bounds;
use crate::facts::{Count, Facts, Holds, Topology as Arranged};
use crate::priced::Priced;

/// Most processes that are proposed, and threads.
pub(crate) const PROCESSES_MAX: u32 = 1_000;
pub(crate) const THREADS_MAX: u32 = 12_000;
/// Threads of a pool behind several loops, which has a flag of its own.
const POOL: usize = 64;

/// A variant with its workers.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What it is.
    pub facts: Facts,
    /// What is simulated.
    pub server: Server,
    /// What `--workers` would be; `None` for the variant's default.
    pub workers: Option<u32>,
    /// Memory with all connections open, MiB: its own, and what the kernel keeps for its tasks.
    pub memory_mib: f64,
}

impl Candidate {
    /// The variant for a workload on `cores` cores; `None` where the profile has no costs of it.
    pub(crate) fn of(
        facts: &Facts,
        priced: &Priced<'_>,
        workload: &Workload,
        cores: usize,
    ) -> Option<Self> {
        let costs = priced.costs(facts)?;
        let (stalls, client_stalls) = priced.stalls();
        let mut candidate = Self {
            facts: facts.clone(),
            server: Server {
                cores,
                topology: Topology::Shared { threads: cores },
                costs,
                scheduler: priced.scheduler(),
                stalls,
                client_stalls,
                connections: workload.connections as usize,
            },
            workers: None,
            memory_mib: 0.0,
        };
        let fixed = facts.topology == Arranged::Shared && !candidate.is_sized();
        let workers = if fixed {
            cores as u32
        } else {
            candidate.workers_for(workload)
        };
        candidate.sized(workers, priced, workload);
        Some(candidate)
    }

    /// The same with so many workers, where it has a choice.
    pub(crate) fn sized(&mut self, workers: u32, priced: &Priced<'_>, workload: &Workload) {
        let n = workers.max(1) as usize;
        let spread = self.facts.spread;
        let cores = self.server.cores;
        let loops = match self.facts.workers {
            Count::PerCpu => cores,
            Count::One | Count::Pool | Count::UpTo => 1,
        };
        self.server.topology = match (self.facts.topology, self.facts.holds) {
            (Arranged::Loops, _) => Topology::Loops { loops, spread },
            (Arranged::Shared, _) => Topology::Shared {
                threads: n + self.aside(workload),
            },
            (Arranged::Seats, Holds::One) => Topology::Seats { seats: 1, spread },
            (Arranged::Seats, _) => Topology::Seats { seats: n, spread },
            (Arranged::Staged, _) => Topology::Staged { loops, workers: n },
        };
        self.workers = self.is_sized().then_some(workers);
        let held = match self.facts.holds {
            Holds::One => 1.0,
            Holds::Workers | Holds::Many => f64::from(workload.connections),
        };
        let pool = if self.is_sized() {
            f64::from(workers)
        } else {
            0.0
        };
        let kib = priced.memory_kib(&self.facts, pool, held);
        self.memory_mib = kib.unwrap_or(0.0) / 1024.0;
    }

    /// Threads that serve requests beside the workers: none where every request is quick.
    fn aside(&self, workload: &Workload) -> usize {
        let slow = |c: &workload::Class| !(c.cpu_us.is_zero() && c.blocked_us.is_zero());
        let threads = self.facts.aside_threads.unwrap_or(0) as usize;
        if workload.classes.iter().any(slow) {
            threads
        } else {
            0
        }
    }

    /// Whether the number of its workers is a choice.
    pub fn is_sized(&self) -> bool {
        match (self.facts.topology, self.facts.workers) {
            (Arranged::Loops, _) | (_, Count::One) => false,
            (Arranged::Shared, Count::PerCpu) => self.facts.shares,
            _ => true,
        }
    }

    /// Threads or processes that serve: loops and workers.
    pub fn threads(&self) -> usize {
        match self.server.topology {
            Topology::Loops { loops, .. } => loops,
            Topology::Shared { threads } => threads,
            Topology::Seats { seats, .. } => seats,
            Topology::Staged { loops, workers } => loops + workers,
        }
    }

    /// Seats for connections, or workers for what the requests hold at the highest rate that the cores
    /// allow (Little), with half as many again.
    fn workers_for(&self, workload: &Workload) -> u32 {
        let cores = self.server.cores;
        if self.facts.topology == Arranged::Seats {
            return self.seats_for(workload);
        }
        if self.facts.topology == Arranged::Staged && self.facts.workers == Count::PerCpu {
            return POOL as u32;
        }
        let [_, blocked, _] = workload.means_us();
        let cpu = bounds::cpu_us(&self.server, workload);
        if blocked == 0.0 && workload.classes.iter().all(|c| c.lock.is_empty()) {
            // As many as there are cores, and one that is woken meanwhile; more where long requests must
            // not keep short ones waiting.
            let varied = workload.classes.iter().any(|c| c.cpu_us.mean() > 4.0 * cpu);
            let extra = if varied { 16 * cores } else { 1 };
            return (cores + extra) as u32;
        }
        let rate = cores as f64 * 1e6 / cpu.max(1e-3);
        let held = rate * (cpu + blocked) / 1e6 * 1.5 + 2.0;
        let flying = match workload.offered {
            Offered::Open { .. } if workload.churn > 0.0 => f64::INFINITY,
            Offered::Open { .. } => f64::from(workload.active),
            Offered::Closed { population, .. } => f64::from(population),
        };
        let most = if self.facts.processes {
            PROCESSES_MAX
        } else {
            THREADS_MAX
        };
        held.min(flying)
            .min(f64::from(most))
            .max(cores as f64 + 1.0)
            .ceil() as u32
    }

    /// A seat for each connection that stays, and for those that come and go what Little's law asks for.
    fn seats_for(&self, workload: &Workload) -> u32 {
        let kept = if workload.churn < 1.0 {
            workload.connections
        } else {
            0
        };
        let own = if workload.churn > 0.0 {
            let [_, blocked, wait] = workload.means_us();
            let cpu = bounds::cpu_us(&self.server, workload);
            let rate = self.server.cores as f64 * 1e6 / cpu.max(1e-3) * workload.churn;
            (rate * (cpu * 4.0 + blocked + wait) / 1e6 * 1.5).ceil() + 2.0
        } else {
            0.0
        };
        let most = if self.facts.processes {
            PROCESSES_MAX
        } else {
            THREADS_MAX
        };
        let most = match self.facts.workers {
            Count::UpTo => self.facts.workers_default.unwrap_or(most).max(kept),
            Count::One | Count::PerCpu | Count::Pool => most,
        };
        (f64::from(kept) + own).min(f64::from(most.max(kept))) as u32
    }

    /// The highest rate that bounds allow.
    pub(crate) fn rate_max(&self, workload: &Workload) -> f64 {
        bounds::rate_max(&self.server, workload)
    }

    /// The same with its costs multiplied by `factor`, and the length of a µs, too.
    pub(crate) fn costing(&self, factor: f64) -> Self {
        let costs = &self.server.costs;
        let costs = Costs {
            request_us: costs.request_us * factor,
            connection_us: costs.connection_us * factor,
            resume_us: costs.resume_us * factor,
            unblock_us: costs.unblock_us * factor,
            handover_us: costs.handover_us * factor,
            kib_in_us: costs.kib_in_us * factor,
            kib_out_us: costs.kib_out_us * factor,
            cpu_factor: costs.cpu_factor * factor,
            ..*costs
        };
        let server = Server {
            costs,
            ..self.server
        };
        Self {
            server,
            ..self.clone()
        }
    }
}
