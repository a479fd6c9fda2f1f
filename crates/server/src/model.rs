//! A concurrency model, as a value.

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

/// Which process or thread accepts, reads, computes and writes: the four columns of the table of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Who calls accept.
    pub accepts: &'static str,
    /// Who receives.
    pub reads: &'static str,
    /// Who calls the service.
    pub computes: &'static str,
    /// Who sends.
    pub writes: &'static str,
}

impl Roles {
    /// Roles in which one worker, `serves`, does everything but accept.
    pub const fn accepted_by(accepts: &'static str, serves: &'static str) -> Roles {
        Roles {
            accepts,
            reads: serves,
            computes: serves,
            writes: serves,
        }
    }
}

/// The workers of a variant. The bench chooses sizes of a server by this, and the report says by it what a
/// variant cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// How many there are.
    pub count: Count,
    /// What an open connection keeps busy.
    pub holds: Holds,
    /// Whether each worker is a process of its own. If not, it is a thread.
    pub processes: bool,
    /// Who calls the service, and whether it may wait there.
    pub calls: Calls,
    /// Whether every worker may serve every connection. Then a worker that blocks delays other connections
    /// only if no worker is free.
    pub shares: bool,
    /// By design, the variant cannot have more connections than this.
    pub connections_max: Option<usize>,
    /// Which worker serves a request.
    pub topology: Topology,
    /// What a request on a warm connection takes beside one receive and one send, as the fidelity test
    /// counts it. `None`: receives and sends are no calls of the server's own.
    pub request: Option<RequestCalls>,
}

/// What a request on a warm connection takes beside one receive and one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestCalls {
    /// Rounds of a loop, the least and the most: a reply that is sent before the loop waits shares its
    /// round with what comes next.
    pub rounds: [usize; 2],
    /// Calls of `epoll_ctl` on its connection.
    pub epoll_ctls: usize,
    /// Whether another thread has a part in it.
    pub handover: Handover,
}

/// Whether a request is handed to another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// The thread that learns of it serves it.
    None,
    /// To a thread that is there, and may have to be woken.
    Woken,
    /// To a thread that is started for it, and ends with it.
    Started,
}

impl RequestCalls {
    /// The receive and the send, and nothing else.
    pub const NONE: RequestCalls = RequestCalls {
        rounds: [0, 0],
        epoll_ctls: 0,
        handover: Handover::None,
    };

    /// One round of a loop.
    pub const ROUND: RequestCalls = RequestCalls {
        rounds: [1, 1],
        ..RequestCalls::NONE
    };

    /// One round of a loop, and a thread that serves or goes on in its place.
    pub const ROUND_AND_THREAD: RequestCalls = RequestCalls {
        handover: Handover::Woken,
        ..RequestCalls::ROUND
    };

    /// One round hands it over; the thread is soon back, or only later.
    pub const STAGED: RequestCalls = RequestCalls {
        rounds: [1, 2],
        ..RequestCalls::ROUND_AND_THREAD
    };
}

/// Which worker serves a request: what a prediction needs to know of a variant beside its costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// The loop that holds its connection.
    Loops,
    /// Whichever worker is free; one that blocks is not.
    Shared,
    /// The worker that its connection occupies.
    Seats,
    /// A loop reads and writes, and a worker of a pool behind it computes.
    Staged,
}

impl Workers {
    /// A loop for each CPU, which holds its connections in a table.
    pub const LOOPS: Workers = Workers {
        count: Count::PerCpu,
        holds: Holds::Many,
        processes: false,
        calls: Calls::Loop,
        shares: false,
        connections_max: None,
        topology: Topology::Loops,
        request: Some(RequestCalls::ROUND),
    };

    /// One loop.
    pub const ONE_LOOP: Workers = Workers {
        count: Count::One,
        ..Workers::LOOPS
    };

    /// Threads, each of which serves one connection at a time.
    pub const fn threads(count: Count) -> Workers {
        Workers {
            count,
            holds: Holds::Workers,
            calls: Calls::Worker,
            topology: Topology::Seats,
            request: Some(RequestCalls::NONE),
            ..Workers::LOOPS
        }
    }

    /// Processes, each of which serves one connection at a time.
    pub const fn processes(count: Count) -> Workers {
        Workers {
            processes: true,
            ..Workers::threads(count)
        }
    }

    /// The same workers, of which a request reaches another one.
    pub const fn arranged(self, topology: Topology) -> Workers {
        Workers { topology, ..self }
    }

    /// The same workers, whose requests take other calls.
    pub const fn calling(self, request: Option<RequestCalls>) -> Workers {
        Workers { request, ..self }
    }

    /// Whether they try every socket all the time, and wait nowhere.
    pub fn never_rest(&self) -> bool {
        self.holds == Holds::Many && self.request.is_some_and(|calls| calls.rounds == [0, 0])
    }

    /// Whether a service may wait inside its call for as long as it likes, since that holds no other
    /// connection up but those that wait for a worker: gateways need it.
    pub fn may_wait(&self) -> bool {
        self.holds != Holds::Many
    }

    /// The same workers, each in a process of its own.
    pub const fn in_processes(self) -> Workers {
        Workers {
            processes: true,
            ..self
        }
    }

    /// Threads, each of which may serve every connection.
    pub const fn sharing(count: Count) -> Workers {
        Workers {
            count,
            calls: Calls::Worker,
            shares: true,
            topology: Topology::Shared,
            request: Some(RequestCalls::ROUND_AND_THREAD),
            ..Workers::LOOPS
        }
    }
}

/// How many workers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Exactly one; `--workers` may only say so.
    One,
    /// One for each CPU allowed to the process.
    PerCpu,
    /// This many, unless `--workers` says another number.
    Pool(usize),
    /// One for each client, up to this bound.
    UpTo(usize),
}

impl Count {
    /// The number of workers, or what is wrong with the number that was asked for.
    pub(crate) fn resolve(self, asked: Option<usize>) -> Result<usize, String> {
        match (self, asked) {
            (_, Some(0)) => Err("--workers must be at least 1".into()),
            (_, Some(many)) if many > WORKERS_MAX => {
                Err(format!("--workers {many} is above {WORKERS_MAX}"))
            }
            (Count::One, Some(many)) if many > 1 => {
                Err(format!("this model has one worker by design, not {many}"))
            }
            (_, Some(many)) => Ok(many),
            (Count::One, None) => Ok(1),
            (Count::PerCpu, None) => Ok(os::cpu::allowed()),
            (Count::Pool(many) | Count::UpTo(many), None) => Ok(many),
        }
    }
}

/// A larger number of workers must be a typing error.
const WORKERS_MAX: usize = 65_536;

/// Who calls the service, and whether it may wait there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// A worker, which may wait: it has no other connection meanwhile, or others serve its connections.
    Worker,
    /// A worker that is a loop, which serves no other connection meanwhile.
    Loop,
    /// A thread beside the workers, which may wait.
    ExtraThread,
    /// A task, which may await.
    Task,
}

/// What an open connection keeps busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The server: it serves one connection at a time.
    One,
    /// A worker: the server serves as many connections at once as it has workers.
    Workers,
    /// Nothing: connections are entries in a table.
    Many,
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
        self.variants
            .iter()
            .find(|variant| variant.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = self.variants.iter().map(|variant| variant.name).collect();
                format!(
                    "{} has no variant {name:?}; it has {}",
                    self.name,
                    known.join(", ")
                )
            })
    }
}
