//! A profile: what a machine's variants cost, measured once, from which any workload is predicted.

use serde::{Deserialize, Serialize};

/// What the kernel keeps for a thread where a profile does not tell, KiB: a stack of 16 (`THREAD_SIZE` of
/// x86-64 and arm64), and 8 of `task_struct` and its kin.
pub const TASK_KERNEL_KIB: f64 = 24.0;
/// The same for a process of one thread, KiB: beside that, page tables of 48 (a static program with a heap and
/// a stack has a dozen pages of them), and 16 of mappings, signals and files.
pub const PROCESS_KERNEL_KIB: f64 = 88.0;

/// The rate at which [`VariantCosts::wake_us`] is measured, requests per second: every server is nearly idle.
pub const LOW_RPS: f64 = 500.0;
/// The rate at which [`VariantCosts::wake_soon_us`] is measured, requests per second.
pub const SOON_RPS: f64 = 8_000.0;

/// CPU of the requests by which [`VariantCosts::request_us`] is told, µs: they keep the server busier than the
/// generator.
pub const WORK_US: f64 = 20.0;

/// How long a request blocks, or awaits, by which is told what going on costs and how late it is, µs.
pub const PAUSE_US: f64 = 500.0;

/// The version of this shape of file.
pub const VERSION: u32 = 1;

/// What `turnstile profile` leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`VERSION`].
    pub version: u32,
    /// Version of `turnstile` that was measured.
    pub turnstile: String,
    /// Commit of the build when known, else empty.
    #[serde(default)]
    pub commit: String,
    /// When it was measured, RFC 3339, UTC.
    pub measured: String,
    /// Whether it was measured beside other work, so that a better one should take its place.
    #[serde(default)]
    pub provisional: bool,
    /// What a reader must know of it.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The machine.
    pub machine: MachineOf,
    /// How long a running thread keeps its core while others wait, µs, and after another has woken up.
    pub slice_us: f64,
    /// How long a running thread keeps its core when another wakes up, µs.
    pub preempt_us: f64,
    /// How long a thread that has begun to run keeps its core when another wakes up, µs; 0 in profiles that
    /// do not tell.
    #[serde(default)]
    pub protect_us: f64,
    /// How often a CPU of the server was away while a thread computed on it; `None` in profiles that do not
    /// tell, which are taken for a machine on which that never happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalls: Option<StallsOf>,
    /// The same of a CPU of the load generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_stalls: Option<StallsOf>,
    /// CPU really used for a µs of `/work`'s CPU, once for each variant that told.
    pub cpu_factor: Vec<f64>,
    /// The variants.
    pub variants: Vec<VariantCosts>,
    /// Logarithms of measured over predicted capacity, of workloads that were tried with this profile.
    #[serde(default)]
    pub residuals: Vec<f64>,
    /// Of each of these, whether its workload blocks or awaits; empty where that was not written down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residuals_paused: Vec<bool>,
    /// Where the residuals come from; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// The workloads by which a profile's residuals were told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Seed of `pick --validate`. A run that is to show how good predictions are has another.
    pub seed: u64,
    /// Workloads.
    pub workloads: usize,
    /// When the last of them was measured, seconds since 1970.
    pub at_s: u64,
    /// By how much measurements of workloads that only compute lay above what was predicted for their moment, in the
    /// middle, a logarithm; `None` where too few were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computing_off: Option<f64>,
    /// The same of workloads that block or await.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pausing_off: Option<f64>,
    /// The CPU of the machine whose profile was held to these workloads, where they are lent by another profile;
    /// `None` in a profile's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lent_by: Option<String>,
}

/// When a CPU was away: its hypervisor or the system took it from a thread that computed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StallsOf {
    /// How long it was watched, s.
    pub watched_s: f64,
    /// How long each of the stalls was, µs.
    pub lengths_us: Vec<f64>,
}

impl StallsOf {
    /// The share of its time for which it was away.
    pub fn away_share(&self) -> f64 {
        self.lengths_us.iter().sum::<f64>() / 1e6 / self.watched_s.max(1e-3)
    }
}

/// How fast the machine is at some moment, and how often its CPUs are away then: what differs from hour to hour
/// on a machine that others use, too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// How often a CPU of the server was away.
    pub stalls: StallsOf,
    /// The same of a CPU of the load generator.
    pub client_stalls: StallsOf,
    /// What a few variants cost.
    pub probes: Vec<Probe>,
}

/// What a variant costs at a [`Moment`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// Model name.
    pub model: String,
    /// Variant name.
    pub variant: String,
    /// CPU of a request that computes for [`WORK_US`], saturated, once for each window, µs.
    pub saturated_us: Vec<f64>,
}

/// The machine of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineOf {
    /// CPU model, as `/proc/cpuinfo` names it.
    pub cpu: String,
    /// CPUs that the server had.
    pub server_cpus: u32,
    /// CPUs of the machine.
    pub cpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
}

/// What a variant costs. A list has a figure for each time that it was measured, µs of CPU where
/// nothing else is said; it is empty where the variant cannot do what would have been measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariantCosts {
    /// Model name.
    pub model: String,
    /// Variant name, as `models --json` has it.
    pub variant: String,
    /// A small request, saturated.
    pub request_us: Vec<f64>,
    /// What a request costs more when it wakes an idle core.
    pub wake_us: Vec<f64>,
    /// The same at a rate at which the core has been idle for a short while only; empty in profiles that do not
    /// tell, where every wake-up costs the whole.
    pub wake_soon_us: Vec<f64>,
    /// A connection that is opened for a request and closed after it.
    pub connection_us: Vec<f64>,
    /// Going on after an awaited time.
    pub resume_us: Vec<f64>,
    /// Going on after a blocked time. Profiles that do not tell have [`resume_us`](Self::resume_us).
    pub unblock_us: Vec<f64>,
    /// How much longer than asked for a handler blocks, µs of time: what the kernel's timers add.
    pub blocked_late_us: Vec<f64>,
    /// How much later than asked for an awaited request goes on, µs of time: timers of kernel and server.
    pub awaited_late_us: Vec<f64>,
    /// What each idle connection adds to a wait.
    pub scan_us: Vec<f64>,
    /// A KiB received.
    pub kib_in_us: Vec<f64>,
    /// A KiB sent.
    pub kib_out_us: Vec<f64>,
    /// What the median response takes beside the server's CPU at a low rate.
    pub base_us: Vec<f64>,
    /// Memory of the server at rest, without workers where they can be told apart, KiB.
    pub rest_kib: f64,
    /// Memory of a worker, KiB.
    pub worker_kib: f64,
    /// Memory of an idle connection, KiB.
    pub connection_kib: f64,
    /// What the kernel keeps for the server at rest, KiB: page tables, kernel stacks, and what describes its
    /// tasks. Profiles that do not tell leave this and the next two out; [`TASK_KERNEL_KIB`] and
    /// [`PROCESS_KERNEL_KIB`] take their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest_kernel_kib: Option<f64>,
    /// The same for a worker, KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_kernel_kib: Option<f64>,
    /// The same for an idle connection, with the thread or process that it occupies where that comes with
    /// it, KiB. Its socket is not in it: that is the same in every model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_kernel_kib: Option<f64>,
    /// Why it could not be measured; empty where it was.
    pub failed: String,
}
