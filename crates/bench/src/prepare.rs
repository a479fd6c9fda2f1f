//! Everything that is settled before anything is measured: plan, folder, rig.

use std::path::Path;

use anyhow::Context;
use report::data::Env;

use crate::args::{Args, Size};
use crate::catalogue::Catalogue;
use crate::cpus::CpuList;
use crate::environment;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::plan::{self, Request, Visit};
use crate::record::{RESULTS, Record};
use crate::time::Utc;
use crate::visit::Rig;

/// A run that can begin.
pub struct Prepared {
    /// What all visits share.
    pub rig: Rig,
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
    let scenarios = plan::scenarios(&request.scenarios)?;
    let own = std::env::current_exe().context("this command does not find itself")?;
    let server = args.server.clone().unwrap_or_else(|| own.clone());
    let catalogue = Catalogue::ask(&server).map_err(|error| match &args.server {
        Some(_) => Failure::usage(format!("--server: {error:#}")),
        None => error.into(),
    })?;
    let contenders = catalogue.choose(&request.models)?;
    let visits = plan::lay_out(
        size,
        &contenders,
        &scenarios,
        request.seed,
        server_cpus.len(),
    );
    let digest = plan::digest_of(&visits);
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
        if server_cpus.overlaps(&load_cpus) && allowed.len() > 1 {
            env.remarks
                .push("Server and generator share a CPU: each slows the other.".to_owned());
        }
        let purposes = scenarios
            .iter()
            .map(|s| (s.name.to_owned(), s.purpose.to_owned()));
        env.purposes = purposes.collect();
        record.write_env(&env)?;
        (record, env)
    };
    let rig = Rig {
        server,
        load: args.load.clone().unwrap_or_else(|| own.clone()),
        own,
        server_cpus,
        load_cpus,
        size,
        json: record.scratch(".load.json"),
        interrupt: Interrupt::watch()?,
    };
    Ok(Prepared {
        rig,
        visits,
        record,
        env,
    })
}

/// What a new run is asked for.
fn fresh(args: &Args, allowed: &CpuList) -> Result<Request, Failure> {
    let (lower, upper) = allowed.halves();
    let cpus = |given: &Option<String>, flag, half: CpuList| match given {
        Some(list) => CpuList::parse(list, flag, allowed).map(|list| list.to_string()),
        None => Ok(half.to_string()),
    };
    Ok(Request {
        size: args.size.clone().unwrap_or_else(|| "quick".to_owned()),
        models: args.models.clone().unwrap_or_else(|| "all".to_owned()),
        scenarios: args.scenarios.clone().unwrap_or_else(|| "all".to_owned()),
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
    Ok(request)
}

/// A seed for a run that was given none; it is recorded like a given one.
fn some_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos())
}
