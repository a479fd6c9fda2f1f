//! What a run leaves behind: the environment, and one line per trial.
//!
//! `bench` writes these, `report` reads them; nothing else knows their shape. Fields are only ever
//! added, so that old runs stay readable.

use std::collections::BTreeMap;

use schema::{About, Code, Reason};
use serde::{Deserialize, Serialize};

mod detail;
mod env;
mod kinds;
mod scenario;

use detail::nothing;
pub use detail::{Capacity, CapacityStep, KindFigures, MemoryStep, PhaseFigures, Slice};
pub use env::{Env, Sequential};
pub use kinds::{Pass, Role, Validity};
pub use scenario::{Advice, Deciding, Objective, ScenarioInfo};
pub use schema::load::{IdleFigures, Latency, Mode, PoisonFigures, SlowClients, SlowFigures};

/// The shape of the load of one trial.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shape {
    /// Closed or open loop.
    pub mode: Mode,
    /// Offered requests per second (open loop).
    pub rate: Option<f64>,
    /// Connections held, or in flight at once when each carries one request.
    pub connections: u32,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// `false`: a new connection for each request.
    pub keep_alive: bool,
    /// Where connections are kept: the share of requests that have one of their own all the same.
    #[serde(default, skip_serializing_if = "nothing")]
    pub churn: f64,
    /// How long the clients of a closed loop think after each reply, ms.
    #[serde(default, skip_serializing_if = "nothing")]
    pub think_ms: f64,
    /// A percentile that the generator is asked for beside the usual ones: `95`, or `95@0..3` of kinds of
    /// the mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<String>,
    /// Route asked for; of a mix, its first.
    pub path: String,
    /// Measured window, seconds.
    pub duration_s: f64,
    /// A mix, as the generator takes it: `90:GET:/kv/{n:1000}`; empty where all requests are alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<String>,
    /// Bytes of the bodies of the POST requests in it.
    #[serde(default, skip_serializing_if = "nothing")]
    pub body_bytes: u64,
    /// Header fields that every request has in addition, `NAME: VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// A load in steps, as the generator takes it; [`Shape::rate`] is then the highest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Connections held beside these without a request.
    #[serde(default, skip_serializing_if = "nothing")]
    pub idle: u32,
    /// Clients beside these that send their request a byte at a time.
    #[serde(default, skip_serializing_if = "nothing")]
    pub slow_senders: u32,
    /// Clients beside these that read their reply a byte at a time.
    #[serde(default, skip_serializing_if = "nothing")]
    pub slow_readers: u32,
    /// The path of the one request that blocks a worker, sent beside the good ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poison: Option<String>,
}

/// What was measured in one window, beside each other. `None` means not measured, never zero.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Requests scheduled: the sum of all outcomes.
    pub scheduled: u64,
    /// Requests answered correctly.
    pub requests: u64,
    /// Correct answers per second.
    pub throughput_rps: f64,
    /// Intended start to done.
    pub response_us: Latency,
    /// Actual send to done.
    pub service_us: Latency,
    /// Intended to actual send.
    pub slip_us: Latency,
    /// Connection set-up.
    pub connect_us: Latency,
    /// Outcomes other than a correct answer, by class.
    pub errors: BTreeMap<String, u64>,
    /// Connections that got no reply at all in the window.
    pub silent_connections: Option<u64>,
    /// CPU of the server's process tree, dead children included, µs per correct answer.
    pub server_cpu_us_per_request: Option<f64>,
    /// CPU of the server's process tree per second without load, its connections open, µs; on the line
    /// of a drain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_cpu_us_per_s: Option<f64>,
    /// The same at ten requests per second, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trickle_cpu_us_per_s: Option<f64>,
    /// CPU of the whole machine, µs per correct answer: the kernel's work for the loopback is charged
    /// to the sender.
    pub machine_cpu_us_per_request: Option<f64>,
    /// Voluntary and involuntary context switches of the server's tree per correct answer.
    pub context_switches_per_request: Option<f64>,
    /// Proportional set size of the server's tree under load, KiB.
    pub pss_kib: Option<u64>,
    /// The same before any connection, KiB.
    pub pss_idle_kib: Option<u64>,
    /// Memory under load that only one process has mapped, summed over the server's tree, KiB: unlike
    /// the proportional set size it does not depend on who else runs the same program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_kib: Option<u64>,
    /// Processes and threads of the server under load.
    pub tasks: Option<u32>,
    /// CPU of the generator, µs per request.
    pub generator_cpu_us_per_request: Option<f64>,
    /// CPU of the generator, share of its window (1.0 is one CPU full).
    pub generator_cpu_share: Option<f64>,
    /// How late the generator itself sent what was due, p99, µs.
    pub generator_late_p99_us: Option<f64>,
    /// CPU time stolen by the hypervisor in the window, share.
    pub steal_share: Option<f64>,
    /// Time from SIGTERM to the exit of the server's tree, ms.
    pub drain_ms: Option<f64>,
    /// The phases of a load in steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseFigures>,
    /// The window in slices, kept where it changes within itself (steps, poison).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Slice>,
    /// The kinds of a mix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindFigures>,
    /// Overload: from the end of the phase above capacity until the objective is kept again, for
    /// good and without errors, ms; `None` in a trial with phases: not within the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_ms: Option<f64>,
    /// System calls of the server's tree per correct answer ([`Pass::SystemCalls`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_calls_per_request: Option<f64>,
    /// The same by name, most frequent ones; a name that is missing is below 0.001.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub system_calls: BTreeMap<String, f64>,
    /// How often tasks of the server's tree waited and were woken up per correct answer, with a single
    /// client that waits for each ([`Pass::SystemCalls`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wakeups_per_request: Option<f64>,
    /// Requests served by each worker that could be asked, over the visit up to then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers_served: Vec<u64>,
    /// Jain's index of these: 1 is even, 1/n is one worker doing everything; `None` when not every
    /// worker could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jain: Option<f64>,
    /// The request that blocks its worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poison: Option<PoisonFigures>,
    /// The slow clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowFigures>,
    /// The idle connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdleFigures>,
}

/// The place of a server in the grid of sizes that its file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// The server's name, which all its sizes share.
    pub name: String,
    /// Its workers, where the grid has several numbers of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Its threads per worker, where the grid has several numbers of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

/// One line of `trials.ndjson`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// Counts up through the run; the key by which a resumed run knows what it has.
    pub id: String,
    /// Model name, as `turnstile models` prints it (`null` for the null server).
    pub model: String,
    /// Variant of the model.
    pub variant: String,
    /// What the report calls this row: `prefork`, `prefork:flock`, `single-reactor (A/A)`.
    pub label: String,
    /// Model, placebo, null server or target.
    pub role: Role,
    /// What the trial is there for.
    #[serde(default, skip_serializing_if = "Pass::is_measure")]
    pub pass: Pass,
    /// Address of a server that was running already, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The model that a target is to be shown beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Its size, for a server of which several are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// Scenario name, as `turnstile bench --scenarios` takes it.
    pub scenario: String,
    /// `smoke`, `quick` or `full`.
    pub size: String,
    /// Block, from 0. Models are compared within a block.
    pub block: u32,
    /// Place in the block's shuffled order, from 0.
    pub order: u32,
    /// Seed of this trial's arrivals; the same for every model of a block and scenario.
    pub seed: u64,
    /// Where it belongs, when it is a slice; `None` for a whole trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<schema::slice::Slice>,
    /// The response times of a slice as a histogram of nanoseconds: HdrHistogram version 2, deflated,
    /// base 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_hdr: Option<String>,
    /// Workers the server was given, when the scenario sizes them.
    pub workers: Option<u32>,
    /// The load.
    pub shape: Shape,
    /// The verdict of the gates.
    pub validity: Validity,
    /// Why it is not simply valid: the gates that it did not pass, or why the model blocks.
    #[serde(flatten)]
    pub reasons: schema::Reasons,
    /// The server's command line, without paths (`turnstile serve --model prefork --workers 64`).
    pub server_command: String,
    /// The generator's command line, without paths.
    pub load_command: String,
    /// The figures; `None` when nothing was measured.
    pub figures: Option<Figures>,
    /// The bracket that was found ([`Pass::Capacity`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Memory at growing numbers of connections ([`Pass::Memory`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_steps: Vec<MemoryStep>,
    /// Connections that were open, each served once, when the server was asked to stop; `None` when
    /// it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_connections: Option<u32>,
    /// How many of the scenario's connections, opened afresh, each worker serves; empty where the
    /// workers are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers_connections: Vec<u64>,
    /// Jain's index of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jain_connections: Option<f64>,
}

impl Figures {
    /// Of a load in steps, the phase with the highest offered rate: the overload.
    pub fn overload(&self) -> Option<&PhaseFigures> {
        self.phases.iter().max_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

impl Trial {
    /// Why it did not pass, as far as that is the server's doing.
    pub fn faults(&self) -> impl Iterator<Item = &Reason> {
        let failed = matches!(self.validity, Validity::Invalid | Validity::Limited);
        self.reasons.about(About::Server).filter(move |_| failed)
    }

    /// `true` when it was not made because its server, which is not of this collection, has no such
    /// route; a model that cannot do a shape blocks by design.
    pub fn lacks_route(&self) -> bool {
        self.validity == Validity::Blocks && self.reasons.has(Code::NotOffered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as runs wrote it before there were passes, phases and targets.
    const OLD: &str = r#"{"id":"00002","model":"null","variant":"","label":"null","role":"null",
        "scenario":"tiny-keepalive","size":"quick","block":0,"order":0,"seed":7,"workers":null,
        "shape":{"mode":"open","rate":5000.0,"connections":64,"pipeline":1,"keep_alive":true,
        "path":"/plaintext","duration_s":0.8},"validity":"VALID","reasons":[],
        "server_command":"s","load_command":"l","figures":{"scheduled":4,"requests":4}}"#;

    #[test]
    fn old_lines_are_read_and_written_without_what_they_lack() {
        let trial: Trial = serde_json::from_str(OLD).expect("an old line");
        assert_eq!(trial.pass, Pass::Measure);
        assert!(trial.capacity.is_none() && trial.memory_steps.is_empty());
        let written = serde_json::to_string(&trial).expect("it serializes");
        for name in [
            "pass",
            "target",
            "capacity",
            "phases",
            "mix",
            "idle",
            "jain",
            "slice",
            "response_hdr",
            "private_kib",
            "idle_cpu_us_per_s",
            "drain_connections",
            "workers_connections",
        ] {
            assert!(
                !written.contains(&format!("\"{name}\"")),
                "{name}: {written}"
            );
        }
    }

    #[test]
    fn a_step_with_an_infinite_percentile_survives_the_file() {
        let capacity = Capacity {
            lowest_failed_rps: Some(4000.0),
            steps: vec![CapacityStep {
                rate: 4000.0,
                p50_us: Some(80.0),
                p99_us: None,
                errors_share: 0.02,
                ok: false,
                validity: Validity::Valid,
            }],
            ..Capacity::default()
        };
        let text = serde_json::to_string(&capacity).expect("it serializes");
        let read: Capacity = serde_json::from_str(&text).expect("it is read");
        assert_eq!(read, capacity);
    }
}
