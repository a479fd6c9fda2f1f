//! What a run is asked for: by its arguments, or by the run that it continues.

use std::path::Path;

use crate::args::Args;
use crate::failure::Failure;
use crate::observe::cpus::CpuList;
use crate::plan::passes;
use crate::plan::request::Request;
use crate::plan::size::Size;
use crate::run::record::Record;

/// What a new run is asked for.
pub fn fresh(args: &Args, allowed: &CpuList) -> Result<Request, Failure> {
    let (lower, upper) = allowed.halves();
    let cpus = |given: &Option<String>, flag, half: CpuList| match given {
        Some(list) => CpuList::parse(list, flag, allowed).map(|list| list.to_string()),
        None => Ok(half.to_string()),
    };
    let size = args.size.clone().unwrap_or_else(|| "quick".to_owned());
    let scenarios = passes::default_scenarios(Size::parse(&size)?);
    // With a target, no model is measured unless it is named as well.
    let models = if args.targets.is_empty() { "all" } else { "" };
    let workload = args.workload.as_ref().map(|file| {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("--workload {}: {error}", file.display())))
    });
    Ok(Request {
        size,
        workload: workload.transpose()?,
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

/// What the run in `folder` was asked for; arguments that are given again must be the same.
pub fn resumed(args: &Args, folder: &Path) -> Result<Request, Failure> {
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
    if args.workload.is_some() {
        return Err(Failure::usage(
            "--workload is not given again: the run that is resumed keeps its own",
        ));
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

/// A seed for a run without `--seed`; it is recorded like a given one.
fn some_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos())
}
