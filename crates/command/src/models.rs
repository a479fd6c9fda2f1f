//! `turnstile models`: the catalogue, for people and for programs.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use turnstile::models::ALL;
use turnstile::{Calls, Count, Holds, Limits, Listeners, Model, Roles, Topology, Variant};

/// Flags of `turnstile models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As a JSON array
    #[arg(long)]
    json: bool,
    /// As the table of docs/models.md
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// A line of `models --json`; its fields are a contract.
#[derive(Debug, Serialize)]
struct Entry {
    model: &'static str,
    variant: &'static str,
    default: bool,
    roles: RoleNames,
    summary: &'static str,
    pick_when: &'static str,
    breaks_when: &'static str,
    /// How many workers it has: `one`, `per-cpu`, `pool` or `up-to`.
    workers: &'static str,
    /// Its workers unless told, where that does not depend on the machine.
    workers_default: Option<usize>,
    /// Who is kept busy by an open connection: `one` (the server), `workers` (one of them), or
    /// `many` (nobody: connections are held in a table).
    holds: &'static str,
    /// Whether it has a listener; if not, it serves an inherited connection.
    listens: bool,
    /// Whether it refuses requests under overload, unless `--queue-delay-ms 0` says not to.
    sheds: bool,
    /// Whether its workers are processes.
    processes: bool,
    /// Who calls the service: a `worker` that may wait, a `loop` that must not, an `extra-thread` that may,
    /// or a `task` that may await.
    calls: &'static str,
    /// Whether any worker may serve any connection.
    shares: bool,
    /// Whether it can stand in front of a back end (`--fastcgi`, `--proxy`, `--exec`): a worker that waits
    /// holds one connection only.
    gateway: bool,
    /// How many threads at most serve requests that compute or block, so that the workers need not; `null`
    /// where the workers serve them.
    aside_threads: Option<usize>,
    /// More connections than this are ruled out by the design.
    connections_max: Option<usize>,
    /// Which worker serves a request: `loops` (the one that holds its connection), `shared` (whichever
    /// is free), `seats` (the one that its connection occupies), or `staged` (one behind a loop).
    topology: &'static str,
    /// How connections are spread over workers: `even`, or `hashed` by the kernel.
    spread: &'static str,
    /// Whether the kernel must offer io_uring.
    io_uring: bool,
    /// Whether it is there to be compared with, since another does the same with less.
    superseded: bool,
    /// Who does what with `--front poll`, if it can have that.
    front: Option<RoleNames>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct RoleNames {
    accepts: &'static str,
    reads: &'static str,
    computes: &'static str,
    writes: &'static str,
}

impl RoleNames {
    fn of(roles: Roles) -> RoleNames {
        RoleNames {
            accepts: roles.accepts,
            reads: roles.reads,
            computes: roles.computes,
            writes: roles.writes,
        }
    }

    fn line(self) -> String {
        format!(
            "accepts: {} · reads: {} · computes: {} · writes: {}",
            self.accepts, self.reads, self.computes, self.writes
        )
    }
}

impl Entry {
    fn of(model: &'static Model, variant: &'static Variant) -> Entry {
        let variant_workers = variant.workers;
        let (workers, workers_default) = match variant_workers.count {
            Count::One => ("one", Some(1)),
            Count::PerCpu => ("per-cpu", None),
            Count::Pool(many) => ("pool", Some(many)),
            Count::UpTo(many) => ("up-to", Some(many)),
        };
        let holds = match variant_workers.holds {
            Holds::One => "one",
            Holds::Workers => "workers",
            Holds::Many => "many",
        };
        let calls = match variant_workers.calls {
            Calls::Worker => "worker",
            Calls::Loop => "loop",
            Calls::ExtraThread => "extra-thread",
            Calls::Task => "task",
        };
        let topology = match variant_workers.topology {
            Topology::Loops => "loops",
            Topology::Shared => "shared",
            Topology::Seats => "seats",
            Topology::Staged => "staged",
        };
        let spread = match variant.needs.listeners {
            Listeners::PerWorker => "hashed",
            _ => "even",
        };
        Entry {
            model: model.name,
            variant: variant.name,
            default: std::ptr::eq(variant, &raw const model.variants[0]),
            roles: RoleNames::of(variant.roles),
            summary: variant.summary,
            pick_when: variant.pick_when,
            breaks_when: variant.breaks_when,
            workers,
            workers_default,
            holds,
            listens: variant.needs.listeners != Listeners::None,
            sheds: true,
            processes: variant_workers.processes,
            calls,
            shares: variant_workers.shares,
            gateway: variant_workers.may_wait(),
            aside_threads: variant
                .needs
                .aside
                .map(|_| (variant.needs.extra_threads)(&Limits::default())),
            connections_max: variant_workers.connections_max,
            topology,
            spread,
            io_uring: variant.needs.io_uring,
            superseded: variant.needs.superseded,
            front: variant.fronted().map(|it| RoleNames::of(it.roles)),
        }
    }

    /// `prefork`, or `prefork:flock` for a variant that is not the default.
    fn label(&self) -> String {
        if self.default {
            self.model.to_owned()
        } else {
            format!("{}:{}", self.model, self.variant)
        }
    }
}

/// The catalogue.
fn entries() -> Vec<Entry> {
    let entries_of = |&model: &&'static Model| {
        let variants = model.variants.iter();
        variants.map(move |variant| Entry::of(model, variant))
    };
    ALL.iter().flat_map(entries_of).collect()
}

/// The models that can be gateways. What their defaults can, all their variants can; a test holds that.
pub fn gateways() -> String {
    let can = ALL.iter().filter(|of| of.variants[0].workers.may_wait());
    can.map(|model| model.name).collect::<Vec<_>>().join(", ")
}

/// What `models --json` prints.
pub fn json() -> String {
    serde_json::to_string_pretty(&entries()).expect("plain strings serialize") + "\n"
}

/// Prints the catalogue.
pub fn main(args: &Args) -> ExitCode {
    let entries = entries();
    let text = match (args.json, args.markdown) {
        (true, _) => json(),
        (_, true) => markdown(&entries),
        _ => plain(&entries),
    };
    // A reader that has seen enough (`| head`) is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn plain(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        text += &format!(
            "{}  ({})\n  {}\n  {}\n",
            entry.label(),
            entry.variant,
            entry.summary,
            entry.roles.line()
        );
        if let Some(roles) = entry.front {
            text += &format!("  with --front: {}\n", roles.line());
        }
        if entry.gateway {
            text += "  a gateway: --fastcgi, --proxy, --exec\n";
        }
        text += &format!(
            "  pick it when {}\n  it breaks when {}\n\n",
            entry.pick_when, entry.breaks_when
        );
    }
    text
}

fn markdown(entries: &[Entry]) -> String {
    let mut text = String::from(
        "| model | accepts | reads | computes | writes | gateway | pick it when | it breaks when |\n|---|---|---|---|---|---|---|---|\n",
    );
    for entry in entries {
        let (label, roles) = (entry.label(), entry.roles);
        let gateway = if entry.gateway { "yes" } else { "no" };
        text += &format!(
            "| `{label}` | {} | {} | {} | {} | {gateway} | {} | {} |\n",
            roles.accepts,
            roles.reads,
            roles.computes,
            roles.writes,
            entry.pick_when,
            entry.breaks_when
        );
    }
    text
}
