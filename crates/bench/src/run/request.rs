//! What a run is asked for: by its arguments, or by the run that it continues.

use std::path::Path;

use report::data::Sequential;
use schema::load::BodyCheck;

use crate::args::Args;
use crate::failure::{Failure, bail_usage, ensure_usage};
use crate::observe::cpus::CpuList;
use crate::plan::own::Own;
use crate::plan::passes;
use crate::plan::request::Request;
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::SCENARIOS;
use crate::plan::sequential;
use crate::plan::size::Size;
use crate::run::record::Record;

/// What a new run is asked for.
pub fn fresh(args: &Args, allowed: &CpuList) -> Result<Request, Failure> {
    let (server_cpus, load_cpus) = args.cpus.shared_out(allowed)?;
    let size = args.size.clone().unwrap_or_else(|| "quick".to_owned());
    let scenarios = match args.requests.is_empty() {
        true => passes::default_scenarios(Size::parse(&size)?),
        // Those that ask for one path, which is replaced.
        false => "tiny-keepalive,churn",
    };
    // With a target, no model is measured unless it is named as well.
    let workload = args.workload.as_ref().map(|file| {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("--workload {}: {error}", file.display())))
    });
    let others = args.targets.is_empty() && args.contenders.is_empty();
    let models = if others { "all" } else { "" };
    // A variable that is empty is a mistake, and neither all models nor none.
    ensure_usage!(
        args.models.as_ref().is_none_or(|m| !m.trim().is_empty()),
        "--models names no model"
    );
    let good = |rate: &f64| rate.is_finite() && (0.1..=1e7).contains(rate);
    if let Some(rate) = args.rates.iter().find(|rate| !good(rate)) {
        bail_usage!("--rates: {rate} is no rate");
    }
    let mut rates = args.rates.clone();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let of_all = |scenario: &Scenario| (scenario.name.to_owned(), rates.clone());
    let own_rates = SCENARIOS
        .iter()
        .filter(|s| !s.rates.is_empty() && !rates.is_empty());
    let rounds = sequential::asked(args.minutes, args.until.as_deref())?;
    // The time is for the verdicts, unless more is asked for.
    let passes = if rounds.is_some() { "measure" } else { "all" };
    Ok(Request {
        size,
        workload: workload.transpose()?,
        models: args.models.clone().unwrap_or_else(|| models.to_owned()),
        targets: args.targets.clone(),
        contenders: args.contenders.iter().map(absolute).collect(),
        body_check: args.body_check.as_deref().map(body_check).transpose()?,
        rates: own_rates.map(of_all).collect(),
        own: own(args)?,
        scenarios: args
            .scenarios
            .clone()
            .unwrap_or_else(|| scenarios.to_owned()),
        passes: args.passes.clone().unwrap_or_else(|| passes.to_owned()),
        sequential: rounds,
        seed: args.seed.unwrap_or_else(some_seed),
        server_cpus: server_cpus.to_string(),
        load_cpus: load_cpus.to_string(),
        digest: String::new(),
    })
}

/// What the run in `folder` was asked for; arguments that are given again must be the same.
pub fn resumed(args: &Args, folder: &Path) -> Result<Request, Failure> {
    let shown = folder.display();
    let mut request = Record::request(folder)?;
    request.sequential = longer(args, folder, request.sequential)?;
    let seed = args.seed.map(|seed| seed.to_string());
    for (flag, given, was) in [
        ("--size", &args.size, &request.size),
        ("--models", &args.models, &request.models),
        ("--scenarios", &args.scenarios, &request.scenarios),
        ("--passes", &args.passes, &request.passes),
        ("--seed", &seed, &request.seed.to_string()),
        (
            "--server-cpus",
            &args.cpus.server_cpus,
            &request.server_cpus,
        ),
        ("--load-cpus", &args.cpus.load_cpus, &request.load_cpus),
    ] {
        if let Some(given) = given.as_ref().filter(|given| *given != was) {
            bail_usage!("{shown} was begun with {flag} {was}, not {given}");
        }
    }
    ensure_usage!(
        args.workload.is_none(),
        "--workload is not given again: the run that is resumed keeps its own"
    );
    let given = own(args)?;
    ensure_usage!(
        given == Own::default() || given == request.own,
        "{shown} was begun with other --request, --header, --connections or --duration"
    );
    let files: Vec<String> = args.contenders.iter().map(absolute).collect();
    ensure_usage!(
        files.is_empty() || files == request.contenders,
        "{shown} was begun with other contenders"
    );
    ensure_usage!(
        args.targets.is_empty() || args.targets == request.targets,
        "{shown} was begun with other targets: {}",
        request.targets.join(" ")
    );
    Ok(request)
}

/// What every row is asked in place of the table.
fn own(args: &Args) -> Result<Own, Failure> {
    let own = Own {
        requests: args.requests.clone(),
        headers: args.headers.clone(),
        connections: args.connections,
        window_s: args.duration,
    };
    ensure_usage!(
        args.workload.is_none() || own == Own::default(),
        "--workload says what is asked: --request, --header, --connections and --duration do not go with it"
    );
    own.checked()
}

/// How the rounds of a run that is resumed go on: it may be given another time, but verdicts that were
/// looked at for one percentage cannot be judged by another.
fn longer(
    args: &Args,
    folder: &Path,
    was: Option<Sequential>,
) -> Result<Option<Sequential>, Failure> {
    let Some(given) = sequential::asked(args.minutes, args.until.as_deref())? else {
        return Ok(was);
    };
    let shown = folder.display();
    match was {
        None => Err(Failure::usage(format!(
            "{shown} was begun without --minutes and --until: it has a fixed length"
        ))),
        Some(was) if args.until.is_some() && given.until_percent != was.until_percent => {
            Err(Failure::usage(format!(
                "{shown} was begun with --until {}%, not {}%",
                was.until_percent, given.until_percent
            )))
        }
        Some(was) => Ok(Some(Sequential {
            minutes: given.minutes.or(was.minutes),
            ..was
        })),
    }
}

/// The file from wherever the run is resumed; one that is not there is named when it is read.
fn absolute(file: &String) -> String {
    let found = Path::new(file).canonicalize().ok();
    let found = found.and_then(|path| path.into_os_string().into_string().ok());
    found.unwrap_or_else(|| file.clone())
}

fn body_check(name: &str) -> Result<BodyCheck, Failure> {
    match name {
        "exact" => Ok(BodyCheck::Exact),
        "length" => Ok(BodyCheck::Length),
        "none" => Ok(BodyCheck::None),
        _ => Err(Failure::usage(format!(
            "--body-check '{name}': exact, length or none"
        ))),
    }
}

/// A seed for a run without `--seed`; it is recorded like a given one.
fn some_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos())
}
