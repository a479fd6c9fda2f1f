//! What a model is like, as far as the bench has to know: who its workers are, and what they hold.
//!
//! The rules that depend on the model are here and nowhere else: how large a pool must be for a
//! scenario, and what a model cannot do by design.

use std::fs;

use rustix::process::{Resource, getrlimit};
use schema::{Code, Effect, Reason};

/// How many workers a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One.
    One,
    /// One a CPU.
    PerCpu,
    /// A pool of a fixed size, and that size unless told, where it is known.
    Pool(Option<u32>),
    /// One a client, up to a bound, where it is known.
    UpTo(Option<u32>),
}

/// Who is kept busy by a connection that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The server: it serves one connection at a time.
    One,
    /// A worker: there are as many connections as workers.
    Workers,
    /// Nobody: connections are held in a table.
    Many,
}

/// Workers of a model and variant, and what they hold.
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

/// More worker processes than this are not asked for: a process costs hundreds of KiB.
const PROCESSES_MAX: u32 = 1_000;
/// More worker threads than this are not asked for.
const THREADS_MAX: u32 = 12_000;
/// select(2) knows descriptors below 1,024; some are the server's own.
const SELECT_MAX: u32 = 1_000;

impl Nature {
    /// A loop, or several: connections in a table, workers of its own.
    pub const LOOP: Self = Self {
        workers: Workers::PerCpu,
        holds: Holds::Many,
        processes: false,
        shares: false,
        connections_max: None,
    };

    /// From what the server says of its workers (`one`, `per-cpu`, `pool`, `up-to`) and holdings
    /// (`one`, `workers`, `many`); what it does not say follows from the names, as the literature
    /// uses them.
    pub fn of(
        model: &str,
        variant: &str,
        workers: Option<&str>,
        default: Option<u32>,
        holds: Option<&str>,
    ) -> Self {
        let workers = match workers.unwrap_or_else(|| workers_of(model)) {
            "pool" => Workers::Pool(default),
            "up-to" => Workers::UpTo(default),
            "one" => Workers::One,
            _ => Workers::PerCpu,
        };
        let staged = model == "reactor-pool" || (model == "multi-reactor" && variant == "pool");
        let holds = match (holds, workers) {
            (Some("one"), _) => Holds::One,
            (Some("workers"), _) => Holds::Workers,
            (Some("many"), _) => Holds::Many,
            _ if model == "iterative" => Holds::One,
            (_, Workers::Pool(_) | Workers::UpTo(_)) if !staged && model != "leader-follower" => {
                Holds::Workers
            }
            _ => Holds::Many,
        };
        Self {
            workers,
            holds,
            processes: matches!(model, "prefork" | "fork-per-client"),
            shares: model == "leader-follower" || model == "reactor-pool",
            connections_max: (variant == "select").then_some(SELECT_MAX),
        }
    }

    /// Workers to ask for so that `connections` can all be held, `None` where the model's own number
    /// is right.
    ///
    /// A pool in which a worker holds a connection is sized to hold every connection: a smaller one
    /// starves the rest while its throughput looks fine. Loops keep their own, a worker a CPU.
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
            let text = format!(
                "holds {most} connections at most (select(2) knows 1,024 descriptors), not {connections}"
            );
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

/// The workers of a model whose server does not tell.
fn workers_of(model: &str) -> &'static str {
    match model {
        "prefork" | "thread-pool" | "reactor-pool" => "pool",
        "fork-per-client" | "thread-per-client" => "up-to",
        "iterative" | "single-reactor" | "proactor" | "signal-driven" => "one",
        _ => "per-cpu",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(model: &str, variant: &str) -> Nature {
        Nature::of(model, variant, None, None, None)
    }

    #[test]
    fn only_an_iterative_server_serves_one() {
        assert!(named("iterative", "-").cannot_hold(64).is_some());
        assert_eq!(named("iterative", "-").cannot_hold(1), None);
        for model in ["prefork", "single-reactor", "proactor", "never-heard-of"] {
            assert_eq!(named(model, "").cannot_hold(64), None, "{model}");
        }
    }

    #[test]
    fn ten_thousand_connections_are_too_many_for_processes_and_for_select() {
        for (model, variant, says) in [
            ("prefork", "flock", "a process per connection: 10064"),
            ("fork-per-client", "-", "a process per connection: 10064"),
            ("single-reactor", "select", "holds 1000 connections at most"),
        ] {
            let reason = named(model, variant).cannot_hold(10_064).expect(model);
            assert!(reason.text.starts_with(says), "{reason}");
            assert_eq!(reason.figures["connections"], 10_064.0);
        }
        for (model, variant) in [
            ("single-reactor", "epoll"),
            ("proactor", "io-uring"),
            ("async-tasks", "threads"),
            ("reactor-pool", "return"),
        ] {
            assert_eq!(named(model, variant).cannot_hold(10_064), None, "{model}");
        }
    }

    #[test]
    fn pools_hold_the_connections_and_loops_keep_their_own() {
        let of = |model: &str, variant, blocks| named(model, variant).workers_for(64, blocks, 1);
        assert_eq!(of("prefork", "mutex", false), Some(64));
        assert_eq!(of("thread-pool", "accept", true), Some(64));
        assert_eq!(of("single-reactor", "epoll", true), None);
        assert_eq!(of("multi-reactor", "reuseport", false), None);
        assert_eq!(of("async-tasks", "threads", true), None);
        assert_eq!(of("leader-follower", "-", true), Some(64));
        assert_eq!(of("leader-follower", "-", false), Some(2));
        assert_eq!(of("reactor-pool", "half-sync", true), Some(64));
        assert_eq!(of("reactor-pool", "return", false), None);
    }

    #[test]
    fn a_bound_that_is_enough_is_left_alone() {
        let bounded = Nature::of("thread-per-client", "-", Some("up-to"), Some(512), None);
        assert_eq!(bounded.workers_for(64, true, 1), None);
        assert_eq!(bounded.workers_for(1_000, false, 1), Some(1_000));
    }

    #[test]
    fn what_the_server_says_goes_before_the_names() {
        let told = Nature::of("prefork", "x", Some("pool"), Some(8), Some("many"));
        assert_eq!(told.holds, Holds::Many);
        assert_eq!(told.workers, Workers::Pool(Some(8)));
        let own = Nature::of("new-model", "", Some("pool"), Some(8), None);
        assert_eq!(own.workers_for(10, false, 1), Some(10));
    }
}
