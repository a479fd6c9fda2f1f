//! A concurrency model, as a value.

use crate::{Limits, Listeners, Server};

/// One server concurrency model: a name, and the ways in which it runs.
#[derive(Debug)]
pub struct Model {
    /// The field's name for it: `prefork`, `single-reactor`.
    pub name: &'static str,
    /// Its variants; the first is the default.
    pub variants: &'static [Variant],
}

/// One way of running a model: what it claims, what its workers are, what it needs, and its `run`.
#[derive(Debug)]
pub struct Variant {
    /// Name as `--variant` takes it, `-` where the model has one way only.
    pub name: &'static str,
    /// Who does what.
    pub roles: Roles,
    /// The idea in one sentence.
    pub summary: &'static str,
    /// When to pick it.
    pub pick_when: &'static str,
    /// What breaks it.
    pub breaks_when: &'static str,
    /// How many workers it has, and what they hold.
    pub workers: Workers,
    /// What is to be there before it runs.
    pub needs: Needs,
    /// Serves until drained. Errors are failures of set-up or of the model itself; a peer's error
    /// never gets here.
    pub run: fn(&'static Server) -> anyhow::Result<()>,
}

/// Who accepts, reads, computes and writes: the four columns of every table of models.
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
    /// One worker of this kind does everything but accept.
    pub const fn accepted_by(accepts: &'static str, serves: &'static str) -> Roles {
        Roles {
            accepts,
            reads: serves,
            computes: serves,
            writes: serves,
        }
    }
}

/// The workers of a variant: whoever sizes a server, or says what it cannot do, reads this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// How many there are.
    pub count: Count,
    /// Who is kept busy by an open connection.
    pub holds: Holds,
    /// Whether each is a process of its own. If not, it is a thread.
    pub processes: bool,
    /// Whether any worker may serve any connection, so that one which blocks delays others only
    /// when no worker is free.
    pub shares: bool,
    /// More connections than this are ruled out by the design.
    pub connections_max: Option<usize>,
}

impl Workers {
    /// A loop for each CPU, which holds its connections in a table.
    pub const LOOPS: Workers = Workers {
        count: Count::PerCpu,
        holds: Holds::Many,
        processes: false,
        shares: false,
        connections_max: None,
    };

    /// One loop.
    pub const ONE_LOOP: Workers = Workers {
        count: Count::One,
        ..Workers::LOOPS
    };

    /// So many threads, each of which serves one connection at a time.
    pub const fn threads(count: Count) -> Workers {
        Workers {
            count,
            holds: Holds::Workers,
            ..Workers::LOOPS
        }
    }

    /// So many processes, each of which serves one connection at a time.
    pub const fn processes(count: Count) -> Workers {
        Workers {
            processes: true,
            ..Workers::threads(count)
        }
    }

    /// Loops, each in a process.
    pub const fn in_processes(self) -> Workers {
        Workers {
            processes: true,
            ..self
        }
    }

    /// Threads that serve each other's connections.
    pub const fn sharing(count: Count) -> Workers {
        Workers {
            count,
            shares: true,
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
    /// A pool of this size, unless told.
    Pool(usize),
    /// As many as there are clients, up to this bound.
    UpTo(usize),
}

impl Count {
    /// The number for this machine, or what is wrong with the number asked for.
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

/// More workers than this are a typing error.
const WORKERS_MAX: usize = 65_536;

/// Who is kept busy by an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The whole server: it serves one connection at a time.
    One,
    /// A worker: as many connections are served at once as there are workers.
    Workers,
    /// Nobody: connections are held in a table.
    Many,
}

/// What a variant needs beyond the usual: one set of listeners, and a block of the scoreboard for
/// each worker.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Whose the listeners are.
    pub listeners: Listeners,
    /// Sockets for datagrams at the same addresses.
    pub datagrams: bool,
    /// Most threads that serve beside the workers, each with a block of the scoreboard: the loop
    /// before a pool of workers, or what serves behind loops that are the workers.
    pub extra_threads: fn(&Limits) -> usize,
    /// Whether this kernel, as this process is confined, has what the variant is made of: asked
    /// before anything listens. What is missing, in one line.
    pub kernel: fn() -> Result<(), String>,
}

impl Needs {
    /// Nothing more.
    pub const USUAL: Needs = Needs {
        listeners: Listeners::Shared,
        datagrams: false,
        extra_threads: |_| 0,
        kernel: || Ok(()),
    };

    /// A listener for each worker.
    pub const OWN_LISTENERS: Needs = Needs {
        listeners: Listeners::PerWorker,
        ..Needs::USUAL
    };
}

impl Model {
    /// The variant called `name`, or the default one.
    ///
    /// # Errors
    /// One line that names the variants there are.
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
