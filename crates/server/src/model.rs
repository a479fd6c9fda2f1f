//! A concurrency model, as a value.

use crate::{Limits, Server};

/// One server concurrency model: what it is called, what it claims, and how it runs.
#[derive(Debug)]
pub struct Model {
    /// The field's name for it: `prefork`, `single-reactor`.
    pub name: &'static str,
    /// Its variants; the first is the default.
    pub variants: &'static [Variant],
    /// How many workers it has unless told.
    pub workers: Workers,
    /// Serves until drained. Errors are failures of set-up or of the model itself; a peer's error
    /// never gets here.
    pub run: fn(&'static Server) -> anyhow::Result<()>,
}

/// One way of running a model.
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
    /// What is to be there before it runs.
    pub needs: Needs,
}

/// What a variant needs beyond the usual: one set of listeners, and a block of the scoreboard for
/// each worker.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Whose the listeners are.
    pub doors: Doors,
    /// Sockets for datagrams at the same addresses.
    pub datagrams: bool,
    /// Most threads that serve beside the workers, each with a block of the scoreboard: the loop
    /// before a pool of workers, or what serves behind loops that are the workers.
    pub beside: fn(&Limits) -> usize,
    /// Whether this kernel, as this process is confined, has what the variant is made of: asked
    /// before anything listens. What is missing, in one line.
    pub kernel: fn() -> Result<(), String>,
}

impl Needs {
    /// Nothing more.
    pub const USUAL: Needs = Needs {
        doors: Doors::Shared,
        datagrams: false,
        beside: |_| 0,
        kernel: || Ok(()),
    };
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

/// Whose the listeners are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// All workers share them.
    Shared,
    /// Each worker has its own, on the same addresses (`SO_REUSEPORT`).
    Each,
    /// There are none: a super-server has accepted, and descriptor 0 is the connection.
    Elsewhere,
}

/// How many workers a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Exactly one; `--workers` may only say so.
    One,
    /// One for each CPU allowed to the process.
    PerCpu,
    /// A pool of this size, which bounds the connections served at once.
    Pool(usize),
    /// As many as there are clients, up to this bound.
    UpTo(usize),
    /// Different in these variants, the first of which is the default.
    ByVariant(&'static [(&'static str, Workers)]),
}

impl Workers {
    /// Those of `variant`.
    ///
    /// # Panics
    /// On [`ByVariant`](Self::ByVariant) that leaves it out.
    pub fn of(self, variant: &Variant) -> Workers {
        let Workers::ByVariant(each) = self else {
            return self;
        };
        let found = each.iter().find(|(name, _)| *name == variant.name);
        found.expect("a model lists all its variants").1
    }

    /// The number for this machine, or what is wrong with the number asked for.
    pub(crate) fn resolve(self, asked: Option<usize>) -> Result<usize, String> {
        match (self, asked) {
            (Workers::ByVariant(_), _) => unreachable!("Workers::of has chosen a variant's"),
            (_, Some(0)) => Err("--workers must be at least 1".into()),
            (_, Some(many)) if many > WORKERS_MAX => {
                Err(format!("--workers {many} is above {WORKERS_MAX}"))
            }
            (Workers::One, Some(many)) if many > 1 => {
                Err(format!("this model has one worker by design, not {many}"))
            }
            (_, Some(many)) => Ok(many),
            (Workers::One, None) => Ok(1),
            (Workers::PerCpu, None) => Ok(os::cpu::allowed()),
            (Workers::Pool(many) | Workers::UpTo(many), None) => Ok(many),
        }
    }
}

/// More workers than this are a typing error.
const WORKERS_MAX: usize = 65_536;

impl Model {
    /// The variant called `name`, or the default one.
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
