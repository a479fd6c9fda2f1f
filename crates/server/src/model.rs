//! A concurrency model, as a value.

use crate::workers::{Calls, Count, Handover, Holds, RequestCalls, Roles, Topology, Workers};
use crate::{Limits, Listeners, Server};

/// One server concurrency model: a name, and the ways in which it runs.
#[derive(Debug)]
pub struct Model {
    /// Its name in the literature: `prefork`, `single-reactor`.
    pub name: &'static str,
    /// Its variants; the first is the default.
    pub variants: &'static [Variant],
}

/// One way of running a model: its description, its workers, what it needs, and its `run`.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// Name as `--variant` takes it, `-` if the model has one variant only.
    pub name: &'static str,
    /// Who does what.
    pub roles: Roles,
    /// The idea in one sentence.
    pub summary: &'static str,
    /// When to pick it.
    pub pick_when: &'static str,
    /// Under what load it fails.
    pub breaks_when: &'static str,
    /// How many workers it has, and what connections they keep busy.
    pub workers: Workers,
    /// What must be prepared before it runs.
    pub needs: Needs,
    /// Serves until drained. It returns errors of set-up and of the model itself; an error of a connection
    /// only ends that connection.
    pub run: fn(&'static Server) -> crate::Result,
}

/// What a variant needs besides a block of the scoreboard for each worker.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Whose the listeners are.
    pub listeners: Listeners,
    /// Whether only who holds a lock may accept.
    pub accept_lock: bool,
    /// Whether the kernel must offer io_uring.
    pub io_uring: bool,
    /// Whether it needs UDP sockets on the addresses of the listeners.
    pub datagrams: bool,
    /// How many threads may serve in addition to the workers, each with a block of the scoreboard: a loop
    /// in front of a pool of workers, or threads to which loops hand connections.
    pub extra_threads: fn(&Limits) -> usize,
    /// Whether this process may use the system calls that the variant needs; if not, what is missing, in
    /// one line. Called before the server listens.
    pub kernel: fn() -> Result<(), String>,
    /// How a loop calls what is not quick, so that others go on with its connections meanwhile. `None`: it
    /// cannot. Workers that may wait need nothing.
    pub aside: Option<fn(&mut dyn FnMut())>,
    /// How it runs with a [front](Front) before its workers. `None`: it has none.
    pub front: Option<Front>,
    /// Whether another variant does the same with less, everywhere: it is there to be compared with, and is
    /// chosen only where it is really better.
    pub superseded: bool,
}

/// A front: it holds connections until a request is complete, so that a worker is kept busy by requests
/// and not by connections (`--front poll`). It accepts and reads; what is done with complete requests is
/// the variant's own.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// Who computes and writes.
    pub serves: &'static str,
    /// Whether that is a process, to which requests are passed. The front is one, too.
    pub processes: bool,
    /// How many threads may serve in addition to the workers; see [`Needs::extra_threads`].
    pub extra_threads: fn(&Limits) -> usize,
    /// Serves until drained; see [`Variant::run`].
    pub run: fn(&'static Server) -> crate::Result,
}

impl Needs {
    /// Shared listeners, and nothing else.
    pub const USUAL: Needs = Needs {
        listeners: Listeners::Shared,
        accept_lock: false,
        io_uring: false,
        datagrams: false,
        extra_threads: |_| 0,
        kernel: || Ok(()),
        aside: None,
        front: None,
        superseded: false,
    };

    /// The same of one that is there to be compared with.
    pub const SUPERSEDED: Needs = Needs {
        superseded: true,
        ..Needs::USUAL
    };

    /// A listener for each worker.
    pub const OWN_LISTENERS: Needs = Needs {
        listeners: Listeners::PerWorker,
        ..Needs::USUAL
    };
}

impl Variant {
    /// How many threads a process of it starts before it listens.
    pub(crate) fn threads_at_start(&self, workers: usize, limits: &Limits) -> usize {
        let is_started = |handover| handover == Handover::Started;
        let handover = self.workers.request.map(|request| request.handover);
        let extra = match self.workers.calls {
            // Not those that are started for a request.
            Calls::ExtraThread if !handover.is_some_and(is_started) => {
                (self.needs.extra_threads)(limits)
            }
            Calls::ExtraThread | Calls::Worker | Calls::Loop | Calls::Task => 0,
        };
        match self.workers.count {
            _ if self.workers.processes => extra,
            Count::One | Count::UpTo(_) => extra,
            Count::PerCpu | Count::Pool(_) => extra.saturating_add(workers),
        }
    }

    /// What this variant is with a front before its workers. `None`: it has none.
    pub fn fronted(&self) -> Option<Variant> {
        let Front {
            serves,
            processes,
            extra_threads,
            run,
        } = self.needs.front?;
        Some(Variant {
            roles: Roles {
                accepts: "the front",
                reads: "the front",
                computes: serves,
                writes: serves,
            },
            workers: Workers {
                holds: Holds::Many,
                processes,
                shares: true,
                topology: Topology::Staged,
                request: Some(match self.workers.count {
                    // The thread of a client is the thread of a request.
                    Count::UpTo(_) => RequestCalls {
                        handover: Handover::Started,
                        ..RequestCalls::STAGED
                    },
                    Count::One | Count::PerCpu | Count::Pool(_) => RequestCalls::STAGED,
                }),
                ..self.workers
            },
            needs: Needs {
                listeners: Listeners::Shared,
                accept_lock: false,
                extra_threads,
                ..self.needs
            },
            run,
            ..*self
        })
    }
}

impl Model {
    /// The variant called `name`, or the default one.
    ///
    /// # Errors
    /// There is none of that name; one line that lists the variants.
    pub fn variant(&'static self, name: Option<&str>) -> Result<&'static Variant, String> {
        let Some(name) = name else {
            return Ok(&self.variants[0]);
        };
        let found = self.variants.iter().find(|variant| variant.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.variants.iter().map(|variant| variant.name).collect();
            let (model, known) = (self.name, known.join(", "));
            format!("{model} has no variant {name:?}; it has {known}")
        })
    }
}
