//! What a visit leaves behind, as it was read: nothing in it has been judged.

use schema::load::LoadResult;
use schema::{Reason, Reasons};

use crate::observe::connections::ByWorker;
use crate::observe::machine;
use crate::observe::others::Others;
use crate::observe::sys::Exit;
use crate::observe::tree::{Footprint, Usage};
use crate::observe::whoami::Served;

/// All that was read in a visit.
#[derive(Debug)]
pub struct Measured {
    /// The server, before and in its warm-up.
    pub warm_up: WarmUp,
    /// A sample per window, or why there is none.
    pub samples: Vec<Result<Sample, Reason>>,
    /// Correct replies of the whole visit, warm-up included.
    pub replies: u64,
    /// Workers that the server is known to have, 0 where that is not known.
    pub workers: u32,
    /// The requests that its workers had served when the last window was over.
    pub served: Served,
    /// How many of the connections that were opened after it each worker served.
    pub fresh: ByWorker,
    /// Connections that were open when it was told to stop.
    pub held: u32,
    /// How the server ended.
    pub drained: Drained,
}

/// A server that has been verified and warmed up, as it was then.
#[derive(Debug)]
pub struct WarmUp {
    /// Its memory before the first connection, where it can be read.
    pub unloaded: Option<Footprint>,
    /// Its memory and tasks in the middle of the warm-up.
    pub loaded: Option<Footprint>,
    /// The requests that its workers had served before the warm-up.
    pub served: Served,
    /// Correct replies so far.
    pub replies: u64,
    /// Correct replies per second in the closed loop of the warm-up.
    pub rps: f64,
}

/// What was read in one window.
#[derive(Debug)]
pub struct Sample {
    /// The result of the generator.
    pub load: LoadResult,
    /// What the server's tree used, where that can be read.
    pub usage: Usage,
    /// What the whole machine used.
    pub machine: machine::Window,
    /// What others used of the CPUs.
    pub others: Others,
    /// Its memory and tasks with the idle connections of the scenario open, if it has any.
    pub with_idle: Option<Footprint>,
    /// The generator's command line.
    pub command: String,
}

impl Sample {
    /// A total of the window, per correct reply, if there was any.
    pub fn per_request(&self, total: f64) -> Option<f64> {
        let requests = self.load.requests;
        (requests > 0).then(|| total / requests as f64)
    }

    /// CPU of the server per request, µs, where it is known.
    pub fn cpu_us(&self) -> Option<f64> {
        self.per_request(self.usage.cpu_us?)
    }

    /// Context switches of the server per request, where they are known.
    pub fn switches(&self) -> Option<f64> {
        self.per_request(self.usage.switches? as f64)
    }

    /// Times per request that a task of the server waited, where they are known.
    pub fn waits(&self) -> Option<f64> {
        self.per_request(self.usage.waits? as f64)
    }
}

/// How a server ended.
#[derive(Debug, Default)]
pub struct Drained {
    /// From SIGTERM to the end of the last process of its tree, ms; a target is not stopped.
    pub drain_ms: Option<f64>,
    /// What the kernel tells of the root.
    pub exit: Option<Exit>,
    /// What was wrong with it.
    pub problems: Reasons,
}
