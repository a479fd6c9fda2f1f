//! What a variant is like, as far as the bench has to know: who its workers are, and what they hold.
//!
//! The server says it in `models --json`; no model is known here by its name. The rules that follow
//! from it are here and nowhere else: how large a pool must be for a scenario, and what a variant
//! cannot do by design.

use std::fs;

use rustix::process::{Resource, getrlimit};
use schema::{Code, Effect, Reason};
use serde::Deserialize;

/// How many workers a variant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One.
    One,
    /// One per CPU.
    PerCpu,
    /// A pool of a fixed size, and that size unless told, where it is known.
    Pool(Option<u32>),
    /// One per client, up to a bound, where it is known.
    UpTo(Option<u32>),
}

/// Who is kept busy by a connection that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// The server: it serves one connection at a time.
    One,
    /// A worker: there are as many connections as workers.
    Workers,
    /// Nobody: connections are held in a table.
    Many,
}

/// The workers of a variant, and what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nature {
    /// How many workers.
    pub workers: Workers,
    /// What they hold.
    pub holds: Holds,
    /// `true` where a worker is a process, `false` where it is a thread.
    pub processes: bool,
    /// `true` where workers share all connections, and one that blocks in a call keeps the others'
    /// work waiting only when there is no further worker.
    pub shares: bool,
    /// More connections than this are ruled out by the design.
    pub connections_max: Option<u32>,
}

/// What the server says of a variant in `models --json`, as it stands there.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Told {
    workers: Option<Count>,
    workers_default: Option<u32>,
    holds: Option<Holds>,
    processes: Option<bool>,
    shares: Option<bool>,
    connections_max: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Count {
    One,
    PerCpu,
    Pool,
    UpTo,
}

/// More worker processes than this are not asked for: a process costs hundreds of KiB.
const PROCESSES_MAX: u32 = 1_000;
/// More worker threads than this are not asked for.
const THREADS_MAX: u32 = 12_000;

impl Nature {
    /// A loop, or several: connections in a table, workers of its own.
    pub const LOOP: Self = Self {
        workers: Workers::PerCpu,
        holds: Holds::Many,
        processes: false,
        shares: false,
        connections_max: None,
    };

    /// From what the server says.
    ///
    /// # Errors
    /// What it does not say.
    pub fn told(told: &Told) -> Result<Self, &'static str> {
        let Told {
            workers_default,
            connections_max,
            ..
        } = *told;
        let workers = match told.workers.ok_or("how many workers it has")? {
            Count::One => Workers::One,
            Count::PerCpu => Workers::PerCpu,
            Count::Pool => Workers::Pool(workers_default),
            Count::UpTo => Workers::UpTo(workers_default),
        };
        Ok(Self {
            workers,
            holds: told.holds.ok_or("what an open connection keeps busy")?,
            processes: told.processes.ok_or("whether its workers are processes")?,
            shares: told.shares.ok_or("whether its workers share connections")?,
            connections_max,
        })
    }

    /// Whether it is a single loop that holds its connections in a table.
    pub fn is_one_loop(&self) -> bool {
        self.workers == Workers::One && self.holds == Holds::Many
    }

    /// Workers to ask for so that `connections` can all be held, `None` where the model's own number
    /// is right.
    ///
    /// A pool in which a worker holds a connection is sized to hold every connection: a smaller one
    /// starves the rest while its throughput looks fine. Loops keep their own, one worker per CPU.
    /// Leader/followers and the pool behind a reactor lie between: their threads share all
    /// connections, but they need one more than run at once, and as many as block at once.
    pub fn workers_for(
        &self,
        connections: u32,
        blocks_worker: bool,
        server_cpus: usize,
    ) -> Option<u32> {
        match (self.holds, self.workers) {
            (Holds::Workers, Workers::Pool(_)) => Some(connections.max(1)),
            (Holds::Workers, Workers::UpTo(Some(bound))) if bound >= connections => None,
            (Holds::Workers, Workers::UpTo(_)) => Some(connections),
            _ if self.shares && blocks_worker => Some(connections),
            (_, Workers::PerCpu) if self.shares => {
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
                "serves one client at a time: the other {others} of {connections} keep-alive connections would wait for ever"
            );
            (1, text)
        } else if let Some(most) = self.connections_max.filter(|&most| connections > most) {
            let text = format!("holds {most} connections at most, not {connections}");
            (most, text)
        } else {
            let most = self.workers_max()?;
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

    /// Most workers that are asked for, where a connection takes one.
    fn workers_max(&self) -> Option<u32> {
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

/// Natures as the models have them, for tests.
#[cfg(test)]
pub mod examples {
    use super::{Holds, Nature, Workers};

    pub const ONE_CLIENT: Nature = Nature {
        workers: Workers::One,
        holds: Holds::One,
        ..Nature::LOOP
    };
    pub const ONE_LOOP: Nature = Nature {
        workers: Workers::One,
        ..Nature::LOOP
    };
    pub const THREADS: Nature = Nature {
        workers: Workers::Pool(Some(64)),
        holds: Holds::Workers,
        ..Nature::LOOP
    };
    pub const PROCESSES: Nature = Nature {
        processes: true,
        ..THREADS
    };
    pub const THREAD_PER_CLIENT: Nature = Nature {
        workers: Workers::UpTo(Some(4_096)),
        ..THREADS
    };
    pub const PROCESS_PER_CLIENT: Nature = Nature {
        workers: Workers::UpTo(Some(512)),
        ..PROCESSES
    };
    /// The pool behind a reactor.
    pub const STAGED: Nature = Nature {
        workers: Workers::Pool(Some(8)),
        shares: true,
        ..Nature::LOOP
    };
    /// Leader/followers.
    pub const SHARING: Nature = Nature {
        shares: true,
        ..Nature::LOOP
    };
}

#[cfg(test)]
mod tests {
    use super::examples::*;
    use super::*;

    #[test]
    fn only_a_server_of_one_client_serves_one() {
        assert!(ONE_CLIENT.cannot_hold(64).is_some());
        assert_eq!(ONE_CLIENT.cannot_hold(1), None);
        for nature in [PROCESSES, ONE_LOOP, Nature::LOOP] {
            assert_eq!(nature.cannot_hold(64), None, "{nature:?}");
        }
    }

    #[test]
    fn ten_thousand_connections_are_too_many_for_processes_and_for_a_small_table() {
        let select = Nature {
            connections_max: Some(1_000),
            ..ONE_LOOP
        };
        for (nature, says) in [
            (PROCESSES, "a process per connection: 10064"),
            (PROCESS_PER_CLIENT, "a process per connection: 10064"),
            (select, "holds 1000 connections at most"),
        ] {
            let reason = nature.cannot_hold(10_064).expect(says);
            assert!(reason.text.starts_with(says), "{reason}");
            assert_eq!(reason.figures["connections"], 10_064.0);
        }
        for nature in [ONE_LOOP, Nature::LOOP, STAGED, SHARING] {
            assert_eq!(nature.cannot_hold(10_064), None, "{nature:?}");
        }
    }

    #[test]
    fn pools_hold_the_connections_and_loops_keep_their_own() {
        let of = |nature: Nature, blocks| nature.workers_for(64, blocks, 1);
        assert_eq!(of(PROCESSES, false), Some(64));
        assert_eq!(of(THREADS, true), Some(64));
        assert_eq!(of(ONE_LOOP, true), None);
        assert_eq!(of(Nature::LOOP, false), None);
        assert_eq!(of(Nature::LOOP, true), None);
        assert_eq!(of(SHARING, true), Some(64));
        assert_eq!(of(SHARING, false), Some(2));
        assert_eq!(of(STAGED, true), Some(64));
        assert_eq!(of(STAGED, false), None);
    }

    #[test]
    fn a_bound_that_is_enough_is_left_alone() {
        assert_eq!(PROCESS_PER_CLIENT.workers_for(64, true, 1), None);
        assert_eq!(PROCESS_PER_CLIENT.workers_for(1_000, false, 1), Some(1_000));
    }

    #[test]
    fn what_the_server_does_not_say_is_named() {
        let told = |json: &str| Nature::told(&serde_json::from_str(json).expect("fields"));
        let whole = r#"{"workers": "up-to", "workers_default": 512, "holds": "workers",
            "processes": true, "shares": false, "connections_max": null}"#;
        assert_eq!(told(whole), Ok(PROCESS_PER_CLIENT));
        assert_eq!(told("{}"), Err("how many workers it has"));
        let older = r#"{"workers": "pool", "workers_default": 8}"#;
        assert_eq!(told(older), Err("what an open connection keeps busy"));
        assert!(serde_json::from_str::<Told>(r#"{"workers": "some"}"#).is_err());
    }
}
