//! The columns: every model and variant that the command itself lists.

use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;
use turnstile::{Count, Handover, Holds, Listeners, Variant};

use super::{Server, TURNSTILE, inetd, run};

/// An address of documentation that no machine has (RFC 5737).
const NOBODYS: &str = "192.0.2.1:1";

/// One variant of one model.
#[derive(Debug, Clone)]
pub struct Column {
    pub model: String,
    /// Name of the variant, `None` for the default one.
    variant: Option<String>,
    /// Name of the variant, as the model's page has it.
    pub variant_name: String,
    /// Who does what, by the model's own word.
    pub roles: Roles,
    /// Whether `--workers` may say more than one.
    several_workers: bool,
    /// Whether it can stand in front of a back end, by its own word.
    pub gateway: bool,
    /// What the model itself says of this variant, with a front where it is served with one.
    pub own: Variant,
    /// Who does what with a front before the workers, by the model's own word.
    front_roles: Option<Roles>,
    /// Whether it is served with one (`--front poll`).
    pub front: bool,
}

#[derive(Deserialize)]
struct Entry {
    model: String,
    variant: String,
    default: bool,
    roles: Roles,
    gateway: bool,
    front: Option<Roles>,
}

/// The four roles, as `models --json` words them.
#[derive(Debug, Clone, Deserialize)]
pub struct Roles {
    pub accepts: String,
    pub reads: String,
    pub computes: String,
    pub writes: String,
}

/// All of them, as `turnstile models --json` has them.
pub fn columns() -> anyhow::Result<Vec<Column>> {
    let listed = Command::new(TURNSTILE)
        .args(["models", "--json"])
        .output()?;
    ensure!(listed.status.success(), "models --json: {}", listed.status);
    let entries: Vec<Entry> = serde_json::from_slice(&listed.stdout).context("models --json")?;
    entries
        .into_iter()
        .map(|entry| {
            let own = variant(&entry.model, &entry.variant)?;
            let mut column = Column {
                model: entry.model,
                variant: (!entry.default).then(|| entry.variant.clone()),
                variant_name: entry.variant,
                roles: entry.roles,
                several_workers: false,
                gateway: entry.gateway,
                own,
                front_roles: entry.front,
                front: false,
            };
            // An address that cannot be listened on: 1 says that all the flags before were good.
            if !column.needs_a_super_server() {
                let probe = column.command(&[NOBODYS], &["--workers", "2"]);
                column.several_workers = run(probe)?.code == Some(1);
            }
            Ok(column)
        })
        .collect()
}

/// What the model itself says of its variant.
fn variant(model: &str, name: &str) -> anyhow::Result<Variant> {
    let mut models = turnstile::models::ALL.iter();
    let model = models.find(|of| of.name == model).context("its model")?;
    model
        .variant(Some(name))
        .copied()
        .map_err(anyhow::Error::msg)
}

/// The models that can have a front, with one. With it all variants of a model run alike, so that the
/// default stands for all.
pub fn with_fronts(columns: &[Column]) -> Vec<Column> {
    let defaults = columns.iter().filter(|column| column.variant.is_none());
    defaults.filter_map(Column::with_front).collect()
}

impl Column {
    /// `prefork`, or `prefork:flock` for a variant that is not the default; `+front` with a front.
    pub fn label(&self) -> String {
        let front = if self.front { "+front" } else { "" };
        match &self.variant {
            Some(variant) => format!("{}:{variant}{front}", self.model),
            None => format!("{}{front}", self.model),
        }
    }

    /// What the table on its model's page calls it.
    pub fn name_on_page(&self) -> &str {
        match self.front {
            true => "--front poll",
            false => &self.variant_name,
        }
    }

    /// The same with a front, if it can have one.
    pub fn with_front(&self) -> Option<Column> {
        let roles = self.front_roles.clone()?;
        let own = variant(&self.model, &self.variant_name).ok()?.fronted()?;
        Some(Column {
            roles,
            front: true,
            own,
            ..self.clone()
        })
    }

    /// `turnstile serve` with this model.
    pub fn command(&self, listen: &[&str], flags: &[&str]) -> Command {
        self.command_of([TURNSTILE, "serve"], listen, flags)
    }

    /// Another program that takes the same flags behind its first argument.
    pub fn command_of(&self, program: [&str; 2], listen: &[&str], flags: &[&str]) -> Command {
        if self.needs_a_super_server() {
            return self.under_super_server(program, listen, flags);
        }
        let [path, first] = program;
        let mut command = Command::new(path);
        command.args([first, "--model", &self.model]);
        if let Some(variant) = &self.variant {
            command.args(["--variant", variant]);
        }
        for addr in listen {
            command.args(["--listen", addr]);
        }
        if self.front {
            command.args(["--front", "poll"]);
        }
        command.args(without_shedding(flags)).args(flags);
        command
    }

    /// Whether somebody else accepts for it, and starts it for each connection.
    pub fn needs_a_super_server(&self) -> bool {
        self.own.needs.listeners == Listeners::None
    }

    /// Whether it uses all the CPU it can get, whatever happens.
    pub fn never_rests(&self) -> bool {
        self.own.workers.never_rest()
    }

    /// Whether processes serve that its first one has forked.
    pub fn serves_in_children(&self) -> bool {
        self.own.workers.processes && self.own.workers.count != Count::One
    }

    /// Whether a process is forked for each client, and none is replaced.
    pub fn forks_for_clients(&self) -> bool {
        self.own.workers.processes && matches!(self.own.workers.count, Count::UpTo(_))
    }

    /// Whether it serves one connection at a time.
    pub fn has_one_client(&self) -> bool {
        self.own.workers.holds == Holds::One
    }

    /// How many of `most` clients that stay are served at once for certain: one where the kernel chooses the
    /// worker by a hash, and each worker serves one connection at a time, since two may have the same one.
    pub fn clients_at_once(&self, most: usize) -> usize {
        let is_hashed = self.has_own_listeners() && self.own.workers.holds == Holds::Workers;
        match self.has_one_client() || is_hashed {
            true => 1,
            false => most,
        }
    }

    /// Whether the kernel chooses the worker of a connection by its hash.
    pub fn has_own_listeners(&self) -> bool {
        self.own.needs.listeners == Listeners::PerWorker
    }

    /// Whether a thread or a process is started for each request.
    pub fn starts_for_requests(&self) -> bool {
        let calls = self.own.workers.request;
        calls.is_some_and(|calls| calls.handover == Handover::Started)
    }

    /// This test binary as a super-server, which starts the program with this model.
    fn under_super_server(&self, program: [&str; 2], listen: &[&str], flags: &[&str]) -> Command {
        let own = std::env::current_exe().expect("a test knows its own binary");
        let mut command = Command::new(own);
        command.arg(inetd::SUPER_SERVER);
        for addr in listen {
            command.args(["--listen", addr]);
        }
        command.arg("--").args(program);
        command.args(["--model", &self.model]);
        command.args(["--variant", &self.variant_name]);
        command.args(without_shedding(flags)).args(flags);
        command
    }

    /// A server on a port of loopback that the kernel chooses.
    pub fn serve(&self, flags: &[&str]) -> anyhow::Result<Server> {
        self.serve_on(&["127.0.0.1:0"], flags)
    }

    /// A server on these addresses.
    pub fn serve_on(&self, listen: &[&str], flags: &[&str]) -> anyhow::Result<Server> {
        Server::start(self.command(listen, flags), listen.len())
    }

    /// The same with `count` workers, where the model can have several.
    pub fn serve_with_workers(&self, count: usize, flags: &[&str]) -> anyhow::Result<Server> {
        let count = count.to_string();
        self.serve(&[flags, &self.workers(&count)].concat())
    }

    /// `--workers COUNT` where the model can have several, nothing where it has one.
    pub fn workers<'a>(&self, count: &'a str) -> Vec<&'a str> {
        if self.several_workers {
            vec!["--workers", count]
        } else {
            Vec::new()
        }
    }
}

/// Tests run beside each other on few CPUs, so their requests wait. Where shedding is not what a row is
/// about, the server serves them all, however late.
fn without_shedding(flags: &[&str]) -> &'static [&'static str] {
    match flags.contains(&"--queue-delay-ms") {
        true => &[],
        false => &["--queue-delay-ms", "0"],
    }
}
