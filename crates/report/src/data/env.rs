//! What a run depends on beside its servers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario::{Objective, ScenarioInfo};

/// `env.json`: the machine, the kernel, the limits, the build and the seeds. No host name, no path.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Env {
    /// Version of `turnstile` that ran the bench.
    pub turnstile: String,
    /// Commit of the build when known, else empty.
    pub commit: String,
    /// `smoke`, `quick` or `full`.
    pub size: String,
    /// Start of the run, RFC 3339, UTC.
    pub started: String,
    /// Wall time of the whole run so far, seconds.
    pub duration_s: f64,
    /// `true` when every planned trial was run.
    pub complete: bool,
    /// Trials planned.
    pub trials_planned: u64,
    /// CPU model as `/proc/cpuinfo` names it.
    pub cpu: String,
    /// CPUs allowed to the bench.
    pub cpus: u32,
    /// CPUs given to the server, as a list (`0`, `0-3`).
    pub server_cpus: String,
    /// CPUs given to the load generator.
    pub load_cpus: String,
    /// Memory of the machine, MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// `true` when a hypervisor is present.
    pub virtual_machine: bool,
    /// Limits and settings that shape the figures: `nofile`, `somaxconn`, `port_range`, governor...
    pub limits: BTreeMap<String, String>,
    /// Compiler and profile of the build.
    pub build: BTreeMap<String, String>,
    /// The seed that everything random in this run derives from.
    pub seed: u64,
    /// What the reader must know before the first figure (for example: "2 CPUs, shared").
    pub remarks: Vec<String>,
    /// The scenarios in the order in which they are run and shown; empty in runs recorded before
    /// this was kept.
    pub scenarios: Vec<ScenarioInfo>,
    /// Scenario name to its purpose; read where [`Env::scenarios`] is empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub purposes: BTreeMap<String, String>,
    /// Scenario name to its objective; read where [`Env::scenarios`] is empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub objectives: BTreeMap<String, Objective>,
    /// Wall time announced before the run, seconds; 0 in runs that did not keep it.
    pub announced_s: f64,
    /// How a run goes on until its verdicts are settled; `None` for one of a fixed length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,
}

/// How a run in rounds goes on where verdicts are open and stops where they are settled. What a
/// round adds, and when verdicts are looked at, follows from [`rotations_max`](Self::rotations_max)
/// alone: see [`rounds`](crate::stats::sequential::rounds).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequential {
    /// A verdict is settled when a server is shown to be no more than so many per cent worse than the
    /// best, or to be behind.
    pub until_percent: f64,
    /// The most rotations of a load window that a pair of servers is judged by.
    pub rotations_max: u32,
    /// The time for all of it, minutes; `None` is as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}
