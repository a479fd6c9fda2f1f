//! Everything that is decided before anything is measured: the plan, the folder, the set-up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use report::data::{Env, Pass};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::{Code, Effect, Reason};

use crate::args::Args;
use crate::failure::Failure;
use crate::judge::verify::{Trust, verify};
use crate::observe::benches::Benches;
use crate::observe::client::Client;
use crate::observe::cpus::CpuList;
use crate::observe::environment;
use crate::observe::interrupt::Interrupt;
use crate::observe::strace;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::layout::{self, Spec};
use crate::plan::passes::{self, Passes};
use crate::plan::request::{Request, digest_of};
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::MEMORY;
use crate::plan::size::Size;
use crate::plan::target::Target;
use crate::plan::visit::Visit;
use crate::plan::workload;
use crate::run::record::{RESULTS, Record};
use crate::run::request::{fresh, resumed};
use crate::run::setup::Setup;

/// Descriptors that a server or generator needs in addition to its idle connections.
const SPARE_FILES: u64 = 1_024;
/// How long a target may take to accept a connection.
const TARGET_WITHIN: Duration = Duration::from_secs(5);

/// A run that can begin.
pub struct Prepared {
    /// What all visits share.
    pub setup: Setup,
    /// The plan.
    pub visits: Vec<Visit>,
    /// The folder.
    pub record: Record,
    /// `env.json`, so far.
    pub env: Env,
}

/// A plan, and what of it goes into `env.json`.
struct Planned {
    visits: Vec<Visit>,
    /// Scenarios in the order in which they are run and shown.
    scenarios: Vec<&'static Scenario>,
    /// Whether memory is read, too.
    memory: bool,
    remarks: Vec<String>,
}

/// Lays out the plan and opens the folder.
///
/// # Errors
/// Usage failures for everything that the arguments can get wrong.
pub fn prepare(args: &Args) -> Result<Prepared, Failure> {
    let allowed = CpuList::allowed()?;
    let request = match &args.resume {
        Some(folder) => resumed(args, folder)?,
        None => fresh(args, &allowed)?,
    };
    let size = Size::parse(&request.size)?;
    let server_cpus = CpuList::parse(&request.server_cpus, "--server-cpus", &allowed)?;
    let load_cpus = CpuList::parse(&request.load_cpus, "--load-cpus", &allowed)?;
    let own = std::env::current_exe().context("this command does not find itself")?;
    let server = args.server.clone().unwrap_or_else(|| own.clone());
    let mut planned = plan(args, &request, &server, size, server_cpus.len())?;
    let shared = server_cpus.overlaps(&load_cpus) && allowed.len() > 1;
    if shared {
        let remark = "Server and generator share a CPU: each slows the other down.";
        planned.remarks.push(remark.to_owned());
    }
    let (record, env) = match &args.resume {
        Some(folder) => reopen(folder, &request, &planned)?,
        None => open(args.out.clone(), request, &allowed, &planned)?,
    };
    let setup = Setup {
        server,
        benches: Benches::join(&[&server_cpus, &load_cpus]),
        load: args.load.clone().unwrap_or_else(|| own.clone()),
        own,
        server_cpus,
        load_cpus,
        size,
        json: record.scratch(".load.json"),
        db: record.scratch(".store").join("kv.db"),
        trace: record.scratch(".calls"),
        interrupt: Interrupt::watch()?,
    };
    Ok(Prepared {
        setup,
        visits: planned.visits,
        record,
        env,
    })
}

/// Lays out what `request` asks for, as far as this machine allows it.
fn plan(
    args: &Args,
    request: &Request,
    server: &Path,
    size: Size,
    server_cpus: usize,
) -> Result<Planned, Failure> {
    let workload = request.workload.as_deref();
    let made = workload.map(|text| workload::scenario(text, request.seed));
    let made = made.transpose()?;
    let scenarios = match &made {
        Some(made) => vec![made.scenario],
        None => passes::scenarios(&request.scenarios)?,
    };
    let targets = Target::parse_all(&request.targets)?;
    let mut remarks = made
        .as_ref()
        .map_or_else(Vec::new, |made| made.remarks.clone());
    let mut contenders = if request.models.is_empty() {
        Vec::new()
    } else {
        models(args, server, &request.models, &mut remarks)?
    };
    let named_twice = |target: &&Target| contenders.iter().any(|c| c.label == target.name);
    if let Some(target) = targets.iter().find(named_twice) {
        return Err(Failure::usage(format!(
            "--target: '{}' is the name of a model that is measured too",
            target.name
        )));
    }
    contenders.extend(targets.iter().map(Contender::target));
    let asked = made
        .as_ref()
        .map_or(size.idle_connections(), |made| made.idle);
    let (passes, idle) = possible(request, asked, &scenarios, &mut remarks)?;
    let mut visits = layout::lay_out(&Spec {
        size,
        contenders: &contenders,
        scenarios: &scenarios,
        passes: &passes,
        seed: request.seed,
        server_cpus,
        idle,
    });
    for target in &targets {
        rule_out(target, &scenarios, &mut visits)?;
    }
    Ok(Planned {
        visits,
        scenarios,
        memory: passes.has(Pass::Memory),
        remarks,
    })
}

/// Opens the folder of a new run, with what is known before its first trial.
fn open(
    out: Option<PathBuf>,
    mut request: Request,
    allowed: &CpuList,
    planned: &Planned,
) -> Result<(Record, Env), Failure> {
    request.digest = digest_of(&planned.visits);
    let size = Size::parse(&request.size)?;
    let trials = planned.visits.iter().map(|v| v.lines_planned(size)).sum();
    let mut env = environment::describe(&request, allowed, trials);
    env.remarks.extend(planned.remarks.iter().cloned());
    let scenarios = || planned.scenarios.iter().copied();
    env.scenarios = scenarios().map(Scenario::info).collect();
    let memory = planned.memory.then_some(&MEMORY);
    for scenario in scenarios().chain(memory) {
        let (name, purpose) = (scenario.name.to_owned(), scenario.purpose.to_owned());
        env.purposes.insert(name.clone(), purpose);
        let objective = scenario.objective.map(|objective| (name, objective));
        env.objectives.extend(objective);
    }
    let folder = out.unwrap_or_else(|| {
        // Sorts by time, and needs no quoting.
        let started = env.started.replace(['-', ':'], "");
        Path::new(RESULTS).join(format!("{started}-{}", request.size))
    });
    let record = Record::create(&folder, &request)?;
    record.write_env(&env)?;
    Ok((record, env))
}

/// Opens the folder of a run that is to go on.
fn reopen(folder: &Path, request: &Request, planned: &Planned) -> Result<(Record, Env), Failure> {
    if digest_of(&planned.visits) != request.digest {
        return Err(Failure::usage(format!(
            "{} cannot be resumed: models or scenarios are not what they were when it began",
            folder.display()
        )));
    }
    let record = Record::resume(folder)?;
    let env = record.env()?;
    Ok((record, env))
}

/// The models that are asked for, from what the server says it has.
fn models(
    args: &Args,
    server: &Path,
    spec: &str,
    remarks: &mut Vec<String>,
) -> Result<Vec<Contender>, Failure> {
    let catalogue = Catalogue::ask(server).map_err(|error| match &args.server {
        Some(_) => Failure::usage(format!("--server: {error:#}")),
        None => error.into(),
    })?;
    let chosen = catalogue.choose(spec)?;
    if spec.contains("all-variants") || spec.contains(":all") {
        remarks.extend(catalogue.left_out(&chosen));
    }
    Ok(chosen)
}

/// What is possible on this machine: the passes that can be run, and the number of idle connections.
fn possible(
    request: &Request,
    asked: u32,
    scenarios: &[&Scenario],
    remarks: &mut Vec<String>,
) -> Result<(Passes, u32), Failure> {
    let mut passes = Passes::parse(&request.passes)?;
    if let (true, Err(reason)) = (passes.has(Pass::SystemCalls), strace::available()) {
        remarks.push(reason);
        passes = passes.without(Pass::SystemCalls);
    }
    // Servers and generator inherit the limit, which is raised as far as this user may.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum || maximum.is_none() {
        let raised = Rlimit {
            current: maximum.or(current),
            maximum,
        };
        setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?;
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = u32::try_from(files.saturating_sub(SPARE_FILES)).unwrap_or(u32::MAX);
    if room < asked && scenarios.iter().any(|s| s.idle) {
        remarks.push(format!(
            "Idle connections: {room} instead of {asked}, because a process may have {files} descriptors here."
        ));
    }
    Ok((passes, asked.min(room)))
}

/// Excludes a target from the scenarios whose paths it does not answer.
fn rule_out(
    target: &Target,
    scenarios: &[&'static Scenario],
    visits: &mut [Visit],
) -> Result<(), Failure> {
    Client::connect(&target.address, TARGET_WITHIN)
        .with_context(|| format!("--target {}: {}", target.name, target.url))?;
    for scenario in scenarios.iter().copied().chain([&MEMORY]) {
        let own = target.path.as_deref().filter(|_| scenario.is_generic());
        let Err(error) = verify(&target.address, scenario, own, Trust::Target) else {
            continue;
        };
        let own = |v: &&mut Visit| {
            v.contender.target.as_ref() == Some(target) && v.scenario.name == scenario.name
        };
        for visit in visits.iter_mut().filter(own) {
            let text = format!("route not offered: {error:#}");
            visit.blocked = Some(Reason::new(Code::NotOffered, Effect::Excuses, text));
        }
    }
    Ok(())
}
