//! The workers of a variant: who does what, how many there are, what a connection keeps busy.

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
    /// connection up but those that wait for a worker: gateways need it. Where connections occupy threads
    /// that only read and write, a loop calls the service, and may not.
    pub fn may_wait(&self) -> bool {
        self.holds != Holds::Many && self.calls != Calls::Loop
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
            (_, Some(many)) | (Count::Pool(many) | Count::UpTo(many), None) => Ok(many),
            (Count::One, None) => Ok(1),
            (Count::PerCpu, None) => Ok(os::cpu::allowed()),
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
