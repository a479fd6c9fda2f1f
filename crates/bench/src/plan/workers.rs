//! The workers of a variant: how many there are, and what an open connection keeps busy.
//!
//! The server says it in `models --json`; no model is known here by its name. The rules that follow
//! from it are here and nowhere else: how large a pool must be for a scenario, and which load a variant
//! cannot serve by design.

use std::fs;

use rustix::process::{Resource, getrlimit};
use schema::{Code, Effect, Reason};
use serde::Deserialize;

/// How many workers a variant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// One.
    One,
    /// One per CPU.
    PerCpu,
    /// A pool of a fixed size; its default size, where it is known.
    Pool(Option<u32>),
    /// One per client, up to a bound; its default, where it is known.
    UpTo(Option<u32>),
}

/// Who is kept busy by an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// The server: it serves one connection at a time.
    One,
    /// A worker: there are as many connections as workers.
    Workers,
    /// No worker: connections are held in a table.
    Many,
}

/// The workers of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// How many there are.
    pub count: Count,
    /// Who is kept busy by an open connection.
    pub holds: Holds,
    /// `true` where a worker is a process, `false` where it is a thread.
    pub processes: bool,
    /// `true` where any worker may serve any connection, so that one which blocks delays others only
    /// when no worker is free.
    pub shares: bool,
    /// The design rules out more connections than this.
    pub connections_max: Option<u32>,
}

/// What the server says of a variant in `models --json`, as it stands there.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Told {
    workers: Option<CountName>,
    workers_default: Option<u32>,
    holds: Option<Holds>,
    processes: Option<bool>,
    shares: Option<bool>,
    connections_max: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CountName {
    One,
    PerCpu,
    Pool,
    UpTo,
}

/// More worker processes than this are not asked for: a process costs hundreds of KiB.
const PROCESSES_MAX: u32 = 1_000;
/// More worker threads than this are not asked for.
const THREADS_MAX: u32 = 12_000;

impl Workers {
    /// A loop for each CPU, which holds its connections in a table.
    pub const LOOP: Self = Self {
        count: Count::PerCpu,
        holds: Holds::Many,
        processes: false,
        shares: false,
        connections_max: None,
    };

    /// The workers as the server describes them.
    pub fn told(told: &Told) -> Result<Self, &'static str> {
        let Told {
            workers_default,
            connections_max,
            ..
        } = *told;
        let count = match told.workers.ok_or("how many workers it has")? {
            CountName::One => Count::One,
            CountName::PerCpu => Count::PerCpu,
            CountName::Pool => Count::Pool(workers_default),
            CountName::UpTo => Count::UpTo(workers_default),
        };
        Ok(Self {
            count,
            holds: told.holds.ok_or("what an open connection keeps busy")?,
            processes: told.processes.ok_or("whether its workers are processes")?,
            shares: told.shares.ok_or("whether its workers share connections")?,
            connections_max,
        })
    }

    /// Whether it is a single loop that holds its connections in a table.
    pub fn is_one_loop(&self) -> bool {
        self.count == Count::One && self.holds == Holds::Many
    }

    /// The number of workers to ask for so that all `connections` can be held; `None` where the
    /// variant's default is right.
    ///
    /// A pool in which a worker holds a connection is sized to hold every connection: a smaller one
    /// starves the rest while its throughput looks fine. Loops keep their default, one per CPU.
    /// Workers that share all connections lie between: where the load blocks, as many are asked for as
    /// may block at once, and else one more than there are CPUs.
    pub fn asked_for(
        &self,
        connections: u32,
        blocks_worker: bool,
        server_cpus: usize,
    ) -> Option<u32> {
        match (self.holds, self.count) {
            (Holds::Workers, Count::Pool(_)) => Some(connections.max(1)),
            (Holds::Workers, Count::UpTo(Some(bound))) if bound >= connections => None,
            (Holds::Workers, Count::UpTo(_)) => Some(connections),
            _ if self.shares && blocks_worker => Some(connections),
            (_, Count::PerCpu) if self.shares => {
                Some(u32::try_from(server_cpus + 1).unwrap_or(u32::MAX))
            }
            _ => None,
        }
    }

    /// Why `connections` at once cannot be held by design, when they cannot.
    pub fn cannot_hold(&self, connections: u32) -> Option<Reason> {
        let (most, text) = if self.holds == Holds::One {
            let others = connections.saturating_sub(1);
            let text = format!(
                "serves one client at a time: the other {others} of {connections} keep-alive connections would never be served"
            );
            (1, text)
        } else if let Some(most) = self.connections_max.filter(|&most| connections > most) {
            let text = format!("holds {most} connections at most, not {connections}");
            (most, text)
        } else {
            let most = self.most()?;
            let what = if self.processes { "process" } else { "thread" };
            let text = format!(
                "a {what} per connection: {connections} are more than the {most} that are tried"
            );
            (most, text)
        };
        (connections > most).then(|| {
            Reason::new(Code::BlocksByDesign, Effect::Excuses, text)
                .with("connections", connections.into())
                .with("connections_max", most.into())
        })
    }

    /// The most workers that are asked for, where a connection takes one.
    fn most(&self) -> Option<u32> {
        let most = if self.processes {
            PROCESSES_MAX
        } else {
            THREADS_MAX
        };
        (self.holds == Holds::Workers).then(|| most.min(tasks_allowed() / 2))
    }
}

/// Tasks that this machine, user and control group allow.
fn tasks_allowed() -> u32 {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let settings = [
        number("/proc/sys/kernel/threads-max"),
        number("/proc/sys/kernel/pid_max"),
        own_group().and_then(|group| number(&format!("/sys/fs/cgroup{group}/pids.max"))),
        getrlimit(Resource::Nproc).current,
    ];
    let least = settings.into_iter().flatten().min();
    least.map_or(u32::MAX, |least| u32::try_from(least).unwrap_or(u32::MAX))
}

/// The control group of this process, under cgroup v2.
fn own_group() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(group.trim_end_matches('/').to_owned())
}

/// Workers as the models have them, for tests.
#[cfg(test)]
pub mod examples {
    use super::{Count, Holds, Workers};

    pub const ONE_CLIENT: Workers = Workers {
        count: Count::One,
        holds: Holds::One,
        ..Workers::LOOP
    };
    pub const ONE_LOOP: Workers = Workers {
        count: Count::One,
        ..Workers::LOOP
    };
    pub const THREADS: Workers = Workers {
        count: Count::Pool(Some(64)),
        holds: Holds::Workers,
        ..Workers::LOOP
    };
    pub const PROCESSES: Workers = Workers {
        processes: true,
        ..THREADS
    };
    pub const THREAD_PER_CLIENT: Workers = Workers {
        count: Count::UpTo(Some(4_096)),
        ..THREADS
    };
    pub const PROCESS_PER_CLIENT: Workers = Workers {
        count: Count::UpTo(Some(512)),
        ..PROCESSES
    };
    /// A pool behind a reactor.
    pub const STAGED: Workers = Workers {
        count: Count::Pool(Some(8)),
        shares: true,
        ..Workers::LOOP
    };
    /// Threads that serve each other's connections.
    pub const SHARING: Workers = Workers {
        shares: true,
        ..Workers::LOOP
    };
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
