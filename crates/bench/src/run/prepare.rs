//! Everything that is decided before anything is measured: the plan, the folder, the set-up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use report::data::{Env, Pass, ScenarioInfo, Sequential};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Args;
use crate::failure::{Failure, bail_usage, ensure_usage};
use crate::observe::client::Client;
use crate::observe::cpus::CpuList;
use crate::observe::environment;
use crate::observe::strace;
use crate::plan::advised;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::contenders::{Contenders, ROWS_MAX};
use crate::plan::estimate;
use crate::plan::layout::{self, Spec};
use crate::plan::passes::{self, Passes};
use crate::plan::request::{Request, digest_of};
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::MEMORY;
use crate::plan::size::Size;
use crate::plan::target::Target;
use crate::plan::visit::Visit;
use crate::plan::workload;
use crate::run::probe;
use crate::run::record::{RESULTS, Record};
use crate::run::request::{fresh, resumed};
use crate::run::rounds::Rounds;
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
pub fn prepare(args: &Args) -> Result<Prepared, Failure> {
    let allowed = CpuList::allowed()?;
    let mut request = match &args.resume {
        Some(folder) => resumed(args, folder)?,
        None => fresh(args, &allowed)?,
    };
    let size = Size::parse(&request.size)?;
    let server_cpus = CpuList::parse(&request.server_cpus, "--server-cpus", &allowed)?;
    let load_cpus = CpuList::parse(&request.load_cpus, "--load-cpus", &allowed)?;
    let shared = server_cpus.overlaps(&load_cpus) && allowed.len() > 1;
    // Servers are asked before there is a folder.
    let mut setup = Setup::temporary(server_cpus, load_cpus, "bench")?;
    setup.size = size;
    setup.server = args.server.clone().unwrap_or(setup.server);
    setup.load = args.load.clone().unwrap_or(setup.load);
    let planned = plan(args, &mut request, &setup);
    let _mostly_gone = std::fs::remove_file(&setup.json);
    let mut planned = planned?;
    if shared {
        let remark = "Server and generator share a CPU: each slows the other down.";
        planned.remarks.push(remark.to_owned());
    }
    let (record, env) = match &args.resume {
        Some(folder) => reopen(folder, &request, &planned)?,
        None => open(args.out.clone(), request, &allowed, &planned)?,
    };
    setup.json = record.scratch(".load.json");
    setup.db = record.scratch(".store").join("kv.db");
    setup.trace = record.scratch(".calls");
    Ok(Prepared {
        setup,
        visits: planned.visits,
        record,
        env,
    })
}

/// Lays out what `request` asks for, as far as this machine allows it.
fn plan(args: &Args, request: &mut Request, setup: &Setup) -> Result<Planned, Failure> {
    let workload = request.workload.as_deref();
    let made = workload.map(|text| workload::scenario(text, request.seed));
    let made = made.transpose()?;
    let targets = Target::parse_all(&request.targets)?;
    let others = Contenders::read(&request.contenders)?;
    let scenarios = match &made {
        Some(made) => vec![made.scenario],
        None => {
            let asked = asked(&request.scenarios, &others.paths)?.into_iter();
            asked.map(|s| request.own.of(s)).collect::<Result<_, _>>()?
        }
    };
    let mut remarks = made
        .as_ref()
        .map_or_else(Vec::new, |made| made.remarks.clone());
    let mut contenders = if request.models.is_empty() {
        Vec::new()
    } else {
        models(args, &setup.own, &request.models, &mut remarks)?
    };
    let started = others.rows.iter().map(Target::started);
    for target in targets.into_iter().chain(started) {
        if let Some(other) = contenders.iter().find(|c| c.label == target.name) {
            let flag = target.start.as_ref().map_or("--target", |_| "--contenders");
            let what = match &other.target {
                Some(_) => "a target",
                None => "a model",
            };
            bail_usage!(
                "{flag}: '{}' is the name of {what} that is measured too",
                target.name
            );
        }
        contenders.push(Contender::target(&target));
    }
    let idle = made
        .as_ref()
        .map_or(setup.size.idle_connections(), |made| made.idle);
    let (passes, idle) = possible(request, idle, &scenarios, &mut remarks)?;
    let lay_out = |rates: &BTreeMap<String, Vec<f64>>| {
        layout::lay_out(&Spec {
            size: setup.size,
            contenders: &contenders,
            scenarios: &scenarios,
            passes: &passes,
            seed: request.seed,
            server_cpus: setup.server_cpus.len(),
            idle,
            rates,
            rounds: request.sequential.map(Rounds::count),
        })
    };
    if !others.rows.is_empty() {
        let laid_out = lay_out(&request.rates);
        bounded(&others, time_of(&laid_out, &others, setup.size), args)?;
    }
    let is_new = args.resume.is_none();
    let with_rates = is_new && request.rates.is_empty();
    let asked: Vec<_> = scenarios.iter().copied().chain([&MEMORY]).collect();
    reachable(&contenders)?;
    let offers = probe::ask(setup, &contenders, &asked, request.body_check, with_rates)?;
    let mut rates = request.rates.clone();
    if with_rates {
        let own = |s: &&Scenario| Some((s.name.to_owned(), offers.rates(s, setup.size)?));
        rates.extend(scenarios.iter().filter_map(own));
    }
    let mut visits = lay_out(&rates);
    offers.apply(&mut visits);
    offers.tell(&visits)?;
    for visit in visits.iter_mut().filter(|visit| visit.scenario.own) {
        // How much of the replies stays the same was found out for targets only.
        let known = visit.contender.target.is_some() || visit.is_null();
        visit.check = request.body_check.filter(|_| !known).unwrap_or(visit.check);
    }
    request.rates = rates;
    if let Some(how) = request.sequential {
        possible_in_rounds(how, &visits, setup.size)?;
    }
    Ok(Planned {
        visits,
        scenarios,
        memory: passes.has(Pass::Memory),
        remarks,
    })
}

/// Refuses rounds of nothing, and a time that is over before the first verdict.
fn possible_in_rounds(how: Sequential, visits: &[Visit], size: Size) -> Result<(), Failure> {
    let (rounds, rest) = Rounds::of(how, visits);
    ensure_usage!(
        !rounds.is_empty(),
        "--minutes and --until: none of these scenarios is measured in slices"
    );
    let rest: Duration = rest.iter().map(|each| estimate::visit(each, size)).sum();
    let first = rounds.first_look(size) + rest;
    match how.minutes {
        Some(minutes) if minutes * 60.0 < first.as_secs_f64() => Err(Failure::usage(format!(
            "--minutes {minutes}: the first verdicts take about {}; give it more, or ask for fewer models or scenarios",
            estimate::words(first)
        ))),
        _ => Ok(()),
    }
}

/// The scenarios of `spec`, with the paths that a file of contenders gives them.
fn asked(spec: &str, paths: &BTreeMap<String, String>) -> Result<Vec<&'static Scenario>, Failure> {
    for name in paths.keys() {
        // One that is not measured is a slip of the pen, too.
        passes::scenarios(name).map_err(|error| Failure::usage(format!("[paths]: {error}")))?;
    }
    let scenarios = passes::scenarios(spec)?.into_iter();
    let with_path = |scenario: &'static Scenario| match paths.get(scenario.name) {
        Some(path) => scenario
            .asking_for(path)
            .map_err(|why| Failure::usage(format!("[paths]: {why}"))),
        None => Ok(scenario),
    };
    scenarios.map(with_path).collect()
}

/// How long everything takes. Where not all rows are laid out, those that are stand for the others.
fn time_of(laid_out: &[Visit], others: &Contenders, size: Size) -> Duration {
    let is_row = |v: &&Visit| others.rows.iter().any(|r| r.label == v.contender.label);
    let (rows, rest): (Vec<&Visit>, Vec<&Visit>) = laid_out.iter().partition(is_row);
    let sum = |visits: &[&Visit]| -> f64 {
        let each = visits.iter().map(|visit| estimate::visit(visit, size));
        each.sum::<Duration>().as_secs_f64()
    };
    let factor = others.size as f64 / others.rows.len().max(1) as f64;
    let seconds = sum(&rest) + sum(&rows) * factor;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Says how large a grid is and how long it takes, and refuses one that must be a mistake.
fn bounded(others: &Contenders, time: Duration, args: &Args) -> Result<(), Failure> {
    let (rows, time) = (others.size, estimate::words(time));
    if let Err(error) = others.limited() {
        bail_usage!("--contenders: {error}: they would take about {time}");
    }
    ensure_usage!(
        rows <= ROWS_MAX || args.yes,
        "--contenders: {rows} rows, about {time}: narrow the grid to {ROWS_MAX}, or say --yes"
    );
    eprintln!("contenders: {rows} rows, about {time}; each is started and asked once before that");
    Ok(())
}

/// A target that is not there ends the run before it begins.
fn reachable(contenders: &[Contender]) -> Result<(), Failure> {
    let targets = contenders.iter().filter_map(|c| c.target.as_ref());
    for target in targets.filter(|target| target.start.is_none()) {
        Client::connect(&target.address, TARGET_WITHIN)
            .with_context(|| format!("--target {}: {}", target.name, target.url))?;
    }
    Ok(())
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
    env.sequential = request.sequential;
    let scenarios = || planned.scenarios.iter().copied();
    let advice = |scenario: &Scenario| {
        let here = |visit: &&Visit| visit.scenario.name == scenario.name;
        let contenders = planned.visits.iter().filter(here);
        advised::advice(scenario.suits, contenders.map(|visit| &visit.contender))
    };
    let info = |scenario: &Scenario| ScenarioInfo {
        advice: advice(scenario),
        ..scenario.info()
    };
    env.scenarios = scenarios().map(info).collect();
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
    ensure_usage!(
        digest_of(&planned.visits) == request.digest,
        "{} cannot be resumed: models or scenarios are not what they were when it began",
        folder.display()
    );
    let record = Record::resume(folder)?;
    let mut env = record.env()?;
    if env.sequential != request.sequential {
        // More time than it had: it goes on.
        env.sequential = request.sequential;
        env.complete = false;
        record.write_request(request)?;
    }
    Ok((record, env))
}

/// The models that are asked for, from what the server says it has.
fn models(
    args: &Args,
    own: &Path,
    spec: &str,
    remarks: &mut Vec<String>,
) -> Result<Vec<Contender>, Failure> {
    let catalogue = Catalogue::of(args.server.as_deref(), own)?;
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
