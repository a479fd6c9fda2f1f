//! Everything that is settled before anything is measured: plan, folder, setup.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use report::data::{Env, Pass};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::{Code, Effect, Reason};

use crate::args::Args;
use crate::failure::Failure;
use crate::judge::verify::{Trust, verify};
use crate::observe::calls;
use crate::observe::cpus::CpuList;
use crate::observe::environment;
use crate::observe::interrupt::Interrupt;
use crate::plan::catalogue::Catalogue;
use crate::plan::contender::Contender;
use crate::plan::layout::{self, Matter};
use crate::plan::passes::{self, Passes};
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::MEMORY;
use crate::plan::size::Size;
use crate::plan::target::Target;
use crate::plan::visit::{self, Request, Visit};
use crate::run::record::{RESULTS, Record};
use crate::run::setup::Setup;
use crate::time::Utc;

/// Descriptors that a server or generator needs beside its idle connections.
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

/// Settles the plan and opens the folder.
///
/// # Errors
/// Usage failures for everything that the arguments can get wrong.
pub fn prepare(args: &Args) -> Result<Prepared, Failure> {
    let allowed = CpuList::allowed()?;
    let mut request = match &args.resume {
        Some(folder) => resumed(args, folder)?,
        None => fresh(args, &allowed)?,
    };
    let size = Size::parse(&request.size)?;
    let server_cpus = CpuList::parse(&request.server_cpus, "--server-cpus", &allowed)?;
    let load_cpus = CpuList::parse(&request.load_cpus, "--load-cpus", &allowed)?;
    let scenarios = passes::scenarios(&request.scenarios)?;
    let targets = Target::parse_all(&request.targets)?;
    let own = std::env::current_exe().context("this command does not find itself")?;
    let server = args.server.clone().unwrap_or_else(|| own.clone());
    let mut remarks = Vec::new();
    let mut contenders = if request.models.is_empty() {
        Vec::new()
    } else {
        models(args, &server, &request.models, &mut remarks)?
    };
    if let Some(target) = targets
        .iter()
        .find(|t| contenders.iter().any(|c| c.label == t.name))
    {
        return Err(Failure::usage(format!(
            "--target: '{}' is the name of a model that is measured too",
            target.name
        )));
    }
    contenders.extend(targets.iter().map(Contender::target));
    let (passes, idle) = means(&request, size, &scenarios, &mut remarks)?;
    let mut visits = layout::lay_out(&Matter {
        size,
        contenders: &contenders,
        scenarios: &scenarios,
        passes: &passes,
        seed: request.seed,
        server_cpus: server_cpus.len(),
        idle,
    });
    for target in &targets {
        rule_out(target, &scenarios, &mut visits)?;
    }
    let digest = visit::digest_of(&visits);
    let planned = visits.iter().map(|v| v.windows.len() as u64).sum();
    let (record, env) = if let Some(folder) = &args.resume {
        if digest != request.digest {
            return Err(Failure::usage(format!(
                "{} cannot be resumed: models or scenarios are not what they were when it began",
                folder.display()
            )));
        }
        let record = Record::resume(folder)?;
        let env = record.env()?;
        (record, env)
    } else {
        request.digest = digest;
        let folder = args.out.clone().unwrap_or_else(|| {
            Path::new(RESULTS).join(format!("{}-{}", Utc::now().compact(), size.name()))
        });
        let record = Record::create(&folder, &request)?;
        let mut env = environment::describe(&request, &allowed, planned);
        env.remarks.append(&mut remarks);
        if server_cpus.overlaps(&load_cpus) && allowed.len() > 1 {
            env.remarks
                .push("Server and generator share a CPU: each slows the other.".to_owned());
        }
        let memory = passes.has(Pass::Memory).then_some(&MEMORY);
        for scenario in scenarios.iter().copied().chain(memory) {
            let (name, purpose) = (scenario.name.to_owned(), scenario.purpose.to_owned());
            env.purposes.insert(name.clone(), purpose);
            let objective = scenario.objective.map(|objective| (name, objective));
            env.objectives.extend(objective);
        }
        record.write_env(&env)?;
        (record, env)
    };
    let setup = Setup {
        server,
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
        visits,
        record,
        env,
    })
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

/// What this machine allows: the passes that can be run, and how many connections may be idle.
fn means(
    request: &Request,
    size: Size,
    scenarios: &[&Scenario],
    remarks: &mut Vec<String>,
) -> Result<(Passes, u32), Failure> {
    let mut passes = Passes::parse(&request.passes)?;
    if let (true, Err(reason)) = (passes.has(Pass::SystemCalls), calls::available()) {
        remarks.push(reason);
        passes = passes.without(Pass::SystemCalls);
    }
    // Servers and generator inherit the limit: as many descriptors as this user may have.
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
    let asked = size.idle_connections();
    if room < asked && scenarios.iter().any(|s| s.idle) {
        remarks.push(format!(
            "Idle connections: {room} instead of {asked}, because a process may have {files} descriptors here."
        ));
    }
    Ok((passes, asked.min(room)))
}

/// Takes a target out of the scenarios whose paths it does not answer.
fn rule_out(
    target: &Target,
    scenarios: &[&'static Scenario],
    visits: &mut [Visit],
) -> Result<(), Failure> {
    crate::observe::client::Client::connect(&target.address, TARGET_WITHIN)
        .with_context(|| format!("--target {}: {}", target.name, target.url))?;
    for scenario in scenarios.iter().copied().chain([&MEMORY]) {
        let own = target.path.as_deref().filter(|_| scenario.is_generic());
        let Err(error) = verify(&target.address, scenario, own, Trust::Stranger) else {
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

/// What a new run is asked for.
fn fresh(args: &Args, allowed: &CpuList) -> Result<Request, Failure> {
    let (lower, upper) = allowed.halves();
    let cpus = |given: &Option<String>, flag, half: CpuList| match given {
        Some(list) => CpuList::parse(list, flag, allowed).map(|list| list.to_string()),
        None => Ok(half.to_string()),
    };
    let size = args.size.clone().unwrap_or_else(|| "quick".to_owned());
    let scenarios = passes::default_scenarios(Size::parse(&size)?);
    // Whoever names a target means it, and it alone unless models are named as well.
    let models = if args.targets.is_empty() { "all" } else { "" };
    Ok(Request {
        size,
        models: args.models.clone().unwrap_or_else(|| models.to_owned()),
        targets: args.targets.clone(),
        scenarios: args
            .scenarios
            .clone()
            .unwrap_or_else(|| scenarios.to_owned()),
        passes: args.passes.clone().unwrap_or_else(|| "all".to_owned()),
        seed: args.seed.unwrap_or_else(some_seed),
        server_cpus: cpus(&args.server_cpus, "--server-cpus", lower)?,
        load_cpus: cpus(&args.load_cpus, "--load-cpus", upper)?,
        digest: String::new(),
    })
}

/// What the run in `folder` was asked for; what is given again must be the same.
fn resumed(args: &Args, folder: &Path) -> Result<Request, Failure> {
    let request = Record::request(folder)?;
    let seed = args.seed.map(|seed| seed.to_string());
    for (flag, given, was) in [
        ("--size", &args.size, &request.size),
        ("--models", &args.models, &request.models),
        ("--scenarios", &args.scenarios, &request.scenarios),
        ("--passes", &args.passes, &request.passes),
        ("--seed", &seed, &request.seed.to_string()),
        ("--server-cpus", &args.server_cpus, &request.server_cpus),
        ("--load-cpus", &args.load_cpus, &request.load_cpus),
    ] {
        if let Some(given) = given.as_ref().filter(|given| *given != was) {
            return Err(Failure::usage(format!(
                "{} was begun with {flag} {was}, not {given}",
                folder.display()
            )));
        }
    }
    if !args.targets.is_empty() && args.targets != request.targets {
        return Err(Failure::usage(format!(
            "{} was begun with other targets: {}",
            folder.display(),
            request.targets.join(" ")
        )));
    }
    Ok(request)
}

/// A seed for a run that was given none; it is recorded like a given one.
fn some_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos())
}
