//! `turnstile pick`: from a workload to a model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use advise::{Answer, Facts, Options};
use schema::profile::Profile;
use workload::{Flags, Workload};

use crate::models;

mod again;
mod check;
#[cfg(test)]
mod drift;
mod learn;
mod records;
mod refused;
mod settings;
mod table;
mod traffic;
mod validate;

use refused::{Refused, failed, say, unusable};

/// The profile of the reference machine, for a checkout that has none of its own.
const REFERENCE: &str = include_str!("../reference/profile.json");
/// Where `turnstile profile` writes unless told otherwise.
const OWN: &str = "results/profile.json";

/// Flags of `turnstile pick`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A workload file; flags beside it replace what it says
    #[arg(value_name = "WORKLOAD.toml")]
    file: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,

    /// The profile to predict from [default: results/profile.json, else that of the reference machine]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    /// Use a profile of another machine, kernel or version
    #[arg(long)]
    foreign: bool,

    /// Size this model, as `model` or `model:variant`, instead of choosing one
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// With so many workers, instead of a number that is proposed
    #[arg(long, value_name = "N", requires = "model", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    workers: Option<u32>,

    /// The seed of the simulated requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// How many machines for a peak of so many requests per second?
    #[arg(long, value_name = "R")]
    peak: Option<f64>,

    /// So many of them may fail
    #[arg(long, value_name = "N", default_value_t = 0, requires = "peak")]
    failed: u32,

    /// The price of a machine per hour
    #[arg(long, value_name = "P", requires = "peak")]
    price: Option<f64>,

    /// Measure the top candidates here and now, in paired slices for two minutes at most, and say whether the
    /// prediction held and by how much
    #[arg(long)]
    verify: bool,

    /// Measure this service at a low load, and take what it needs per request as the workload's class
    #[arg(long, value_name = "URL")]
    learn: Option<String>,

    /// The process of the service that is learned; without it, all of its time counts as blocked
    #[arg(long, value_name = "PID", requires = "learn")]
    learn_pid: Option<u32>,

    /// The workload of an access log (common or combined format, JSON lines) or a HAR file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "learn"])]
    from: Option<PathBuf>,

    /// Hold predictions to account: measure generated workloads over the default variants, about
    /// a minute and a quarter each
    #[arg(long, value_name = "SEED", conflicts_with_all = ["file", "from", "verify", "learn", "peak"])]
    validate: Option<u64>,

    /// Of the generated workloads, FIRST..END
    #[arg(
        long,
        value_name = "A..B",
        requires = "validate",
        default_value = "0..40"
    )]
    subset: String,

    /// Keep what is measured in this file, a JSON line for each workload and variant, and go on after what is
    /// there
    #[arg(long, value_name = "FILE", requires = "validate")]
    out: Option<PathBuf>,

    /// Measure nothing: predict the workloads in this file again, and hold that to what was measured
    #[arg(
        long,
        value_name = "FILE",
        requires = "validate",
        conflicts_with = "out"
    )]
    against: Option<PathBuf>,

    /// What was measured again, in this file, of the choice of each workload and the best that was measured
    #[arg(long, value_name = "FILE", requires = "against")]
    again: Option<PathBuf>,

    /// Measure again what is not in that file
    #[arg(long, requires = "again")]
    measure_again: bool,

    /// Write how far predictions were off into the profile, from which its intervals are made
    #[arg(long, requires = "against", requires = "profile")]
    calibrate: bool,

    /// Size servers of your own: measure which setting of each grid in this file carries the workload best
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "peak", "verify", "validate", "html", "plots"])]
    contenders: Option<String>,

    /// Only the candidates and the choice, without what would change it
    #[arg(long)]
    brief: bool,

    /// As JSON
    #[arg(long)]
    json: bool,

    /// Also write a page with drawings
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Also write the drawings, as SVG files whose names begin so
    #[arg(long, value_name = "PREFIX")]
    plots: Option<String>,
}

/// Writes what a flag asks for: a regular file whole, a FIFO or what a symbolic link names as it stands.
fn replace(flag: &str, file: &Path, text: &str) -> Result<(), Refused> {
    report::out::replace(file, text).map_err(|error| failed(format!("{flag} {error:#}")))
}

/// Answers: 0 with an answer, 1 without or for a failure, 2 for arguments that cannot be used.
pub fn main(args: &Args) -> ExitCode {
    match answer(args) {
        Ok(code) => code,
        Err(Refused(code, line)) => {
            eprintln!("turnstile pick: {line}");
            ExitCode::from(code)
        }
    }
}

fn answer(args: &Args) -> Result<ExitCode, Refused> {
    let facts = Facts::read(&models::json()).map_err(failed)?;
    let (mut profile, note) = profile(args)?;
    if let Some(seed) = args.validate {
        return account(args, seed, &profile, &facts);
    }
    advise::lend(&mut profile, &reference()?);
    let workload = workload(args)?;
    if let Some(file) = &args.contenders {
        let found = settings::size(&workload, &profile, file, args.json, args.seed)?;
        return Ok(ExitCode::from(u8::from(!found)));
    }
    let options = Options {
        model: args.model.clone(),
        workers: args.workers,
        seed: args.seed,
        brief: args.brief,
        ..Options::default()
    };
    let mut answer = advise::advise(&workload, &profile, &facts, &options).map_err(unusable)?;
    answer.rests_on.extend(note);
    if let Some(peak) = args.peak {
        plan(&mut answer, peak, args)?;
    }
    if let Some(file) = &args.html {
        let page = advise::page(&answer, &workload, &profile, &facts, args.seed);
        replace("--html", file, &page)?;
    }
    if let Some(prefix) = &args.plots {
        for (name, svg) in advise::plots(&answer, &workload, &profile, &facts, args.seed) {
            let file = format!("{prefix}{name}.svg");
            replace("--plots", file.as_ref(), &svg.standalone(""))?;
        }
    }
    let text = if args.json {
        serde_json::to_string_pretty(&answer).map_err(|error| failed(error.to_string()))? + "\n"
    } else {
        advise::text(&answer)
    };
    say(text.trim_end_matches('\n'))?;
    if args.verify {
        check::verify(&workload, &answer, &facts)?;
    }
    Ok(ExitCode::from(u8::from(answer.recommended.is_none())))
}

/// Holds predictions to account, by measuring or by what was measured.
fn account(
    args: &Args,
    seed: u64,
    profile: &Profile,
    facts: &[Facts],
) -> Result<ExitCode, Refused> {
    let mut used = profile.clone();
    if args.calibrate {
        // What is to be told is how far the profile's own predictions are off, without an earlier correction.
        used.residuals.clear();
        used.residuals_paused.clear();
    } else {
        validate::apart(seed, profile)?;
        let reference = reference()?;
        if validate::apart(seed, &reference).is_ok() {
            advise::lend(&mut used, &reference);
        }
    }
    let asking = validate::Asking {
        seed,
        profile: &used,
        facts,
        again: args.again.as_deref().map(|file| (file, args.measure_again)),
    };
    let subset = validate::subset(&args.subset)?;
    let Some(file) = &args.against else {
        return asking.measure(subset, args.out.as_deref());
    };
    let table = asking.against(subset, file)?;
    if let (true, Some(to)) = (args.calibrate, &args.profile) {
        let mut profile = profile.clone();
        table.calibrate(seed, &mut profile);
        let text = serde_json::to_string_pretty(&profile).map_err(|e| failed(e.to_string()))?;
        replace("--profile", to, &(text + "\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(answer: &mut Answer, peak: f64, args: &Args) -> Result<(), Refused> {
    if !(peak > 0.0 && peak <= workload::RATE_MAX) {
        return Err(unusable(format!("--peak is {peak}: it must be above 0")));
    }
    if args
        .price
        .is_some_and(|price| !(price.is_finite() && price >= 0.0))
    {
        return Err(unusable("--price must be a positive number"));
    }
    answer.plan = advise::plan(answer, peak, args.failed, args.price);
    Ok(())
}

fn reference() -> Result<Profile, Refused> {
    advise::read(REFERENCE).map_err(|line| failed(format!("the reference profile: {line}")))
}

/// The profile to predict from, and what must be said of it.
fn profile(args: &Args) -> Result<(Profile, Option<String>), Refused> {
    let own = Path::new(OWN);
    let file = args
        .profile
        .as_deref()
        .or_else(|| own.exists().then_some(own));
    let (text, name) = match file {
        Some(file) => {
            let text = fs::read_to_string(file)
                .map_err(|error| unusable(format!("--profile {}: {error}", file.display())))?;
            (text, file.display().to_string())
        }
        None => (REFERENCE.to_owned(), "the reference profile".to_owned()),
    };
    let profile = advise::read(&text).map_err(|line| unusable(format!("{name}: {line}")))?;
    let here = bench::this_machine(profile.machine.server_cpus)
        .map_err(|error| failed(format!("{error:#}")))?;
    let foreign = advise::suits(&profile, &here, env!("CARGO_PKG_VERSION")).err();
    let note = match foreign {
        None => None,
        // It is there so that a fresh checkout answers, and what it is stands in the answer.
        Some(why) if file.is_none() || args.foreign => Some(format!(
            "FOREIGN PROFILE: {}; `turnstile profile` measures this machine",
            why.0.join("; ")
        )),
        Some(why) => {
            return Err(unusable(format!(
                "{name} is not of this machine: {}; measure one with `turnstile profile`, or say --foreign",
                why.0.join("; ")
            )));
        }
    };
    Ok((profile, note))
}

fn workload(args: &Args) -> Result<Workload, Refused> {
    let text = args.file.as_ref().map(|file| {
        fs::read_to_string(file).map_err(|error| unusable(format!("{}: {error}", file.display())))
    });
    let text = text.transpose()?;
    let name = args
        .file
        .as_ref()
        .map(|file| format!("{}: ", file.display()));
    let name = name.unwrap_or_default();
    if let Some(url) = &args.learn {
        let learned = learn::learn(url, args.learn_pid)?;
        eprintln!("{learned}");
        return args.flags.over(Some(&learned)).map_err(unusable);
    }
    if let Some(file) = &args.from {
        let seen = traffic::workload(file)?;
        eprintln!("{seen}");
        let line = |line| unusable(format!("--from {}: {line}", file.display()));
        return args.flags.over(Some(&seen)).map_err(line);
    }
    if text.is_none() && args.flags.is_empty() {
        return Err(unusable(
            "which workload? Name a file, or say --rate R --cpu-us N --connections N --p99-ms N",
        ));
    }
    args.flags
        .over(text.as_deref())
        .map_err(|line| unusable(format!("{name}{line}")))
}
