//! Predictions held against measurements.

use std::process::ExitCode;

use advise::{Answer, Facts, Options};
use bench::Asked;
use schema::profile::Profile;
use workload::Workload;

use super::{Refused, failed, unusable};

/// Candidates that are measured.
const TOP: usize = 3;

/// Measures the top candidates of `answer`, in interleaved trials, and prints predicted beside measured.
pub(super) fn verify(workload: &Workload, answer: &Answer, facts: &[Facts]) -> Result<(), Refused> {
    let mut models: Vec<&str> = Vec::new();
    let chosen = answer.recommended.as_ref();
    let is_chosen = |c: &&advise::CandidateLine| {
        chosen.is_some_and(|r| r.model == c.model && r.variant == c.variant)
    };
    let first = answer.candidates.iter().filter(is_chosen);
    let rest = answer
        .candidates
        .iter()
        .filter(|c| c.tier > 0 && !is_chosen(c));
    let top: Vec<&advise::CandidateLine> = first
        .chain(rest)
        .filter(|c| {
            let new = !models.contains(&c.model.as_str());
            models.push(&c.model);
            new
        })
        .take(TOP)
        .collect();
    if top.is_empty() {
        return Err(failed("--verify: there is no candidate to measure"));
    }
    let asked: Vec<Asked> = top
        .iter()
        .map(|c| Asked {
            model: c.model.clone(),
            variant: c.variant.clone(),
            default: facts
                .iter()
                .any(|f| f.model == c.model && f.variant == c.variant && f.default),
            workers: c.workers,
            guess_rps: c.capacity_rps.map_or(0.0, |i| i.expected),
        })
        .collect();
    let found =
        bench::capacities(workload, &asked).map_err(|e| failed(format!("--verify: {e}")))?;
    println!(
        "\nMeasured here, in interleaved trials of {} s",
        bench::STEP_S
    );
    for (line, measured) in top.iter().zip(found) {
        let Some(interval) = line.capacity_rps else {
            continue;
        };
        match measured {
            Ok(rps) => {
                let off = (rps / interval.expected.max(1e-9) - 1.0) * 100.0;
                let held = if off.abs() <= 15.0 || (interval.low..=interval.high).contains(&rps) {
                    "held"
                } else {
                    "DID NOT HOLD"
                };
                println!(
                    "  {}:{}: predicted {:.0}/s ({:.0}-{:.0}), measured {rps:.0}/s, {off:+.0} %: {held}",
                    line.model, line.variant, interval.expected, interval.low, interval.high
                );
            }
            Err(why) => println!("  {}:{}: not measured: {why}", line.model, line.variant),
        }
    }
    Ok(())
}

/// Measures generated workloads over all default variants, about two minutes each, and prints what choices by prediction lost
/// beside three other ways of choosing.
pub(super) fn validate(
    seed: u64,
    subset: &str,
    profile: &Profile,
    facts: &[Facts],
) -> Result<ExitCode, Refused> {
    let bad = || {
        unusable(format!(
            "--subset {subset}: it must be FIRST..END, within 0..1000"
        ))
    };
    let (first, end) = subset.split_once("..").ok_or_else(bad)?;
    let first: usize = first.parse().map_err(|_| bad())?;
    let end: usize = end.parse().map_err(|_| bad())?;
    if first >= end || end > 1_000 {
        return Err(bad());
    }
    let defaults: Vec<Facts> = facts.iter().filter(|f| f.default).cloned().collect();
    println!(
        "| n | chosen | best | regret | thread-pool | multi-reactor | README | predicted/measured of the chosen |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut tally = Tally::default();
    for (n, workload) in advise::generated(seed, end).iter().enumerate().skip(first) {
        let options = Options {
            brief: true,
            seed,
            ..Options::default()
        };
        let answer = advise::advise(workload, profile, &defaults, &options).map_err(failed)?;
        one(n, workload, &answer, &mut tally)?;
    }
    tally.print();
    Ok(ExitCode::SUCCESS)
}

#[derive(Default)]
struct Tally {
    regrets: [Vec<f64>; 4],
    residuals: Vec<f64>,
    covered: usize,
    undecided: usize,
}

fn one(n: usize, workload: &Workload, answer: &Answer, tally: &mut Tally) -> Result<(), Refused> {
    let ranked: Vec<_> = answer.candidates.iter().filter(|c| c.tier > 0).collect();
    let asked: Vec<Asked> = ranked
        .iter()
        .map(|c| Asked {
            model: c.model.clone(),
            variant: c.variant.clone(),
            default: true,
            workers: c.workers,
            guess_rps: c.capacity_rps.map_or(0.0, |i| i.expected),
        })
        .collect();
    let found = bench::capacities(workload, &asked).map_err(|e| failed(e.to_string()))?;
    let rps = |model: &str| {
        let same = ranked.iter().zip(&found).find(|(c, _)| c.model == model);
        same.and_then(|(_, found)| found.as_ref().ok().copied())
            .unwrap_or(0.0)
    };
    for (line, measured) in ranked.iter().zip(&found) {
        let (Some(interval), Ok(rps)) = (line.capacity_rps, measured) else {
            continue;
        };
        if *rps > 0.0 && interval.expected > 0.0 {
            tally.residuals.push((rps / interval.expected).ln());
            tally.covered += usize::from((interval.low..=interval.high).contains(rps));
        }
    }
    let best = ranked.iter().map(|c| c.model.as_str());
    let best = best
        .max_by(|a, b| rps(a).total_cmp(&rps(b)))
        .unwrap_or("none");
    let chosen = answer
        .recommended
        .as_ref()
        .map_or("none", |r| r.model.as_str());
    if rps(best) <= 0.0 {
        // Where nothing kept the objective, no choice can have lost anything.
        tally.undecided += 1;
        println!("| {n} | {chosen} | no model kept the objective at any rate here | | | | | |");
        return Ok(());
    }
    let choices = [
        chosen,
        "thread-pool",
        "multi-reactor",
        by_the_readme(workload),
    ];
    let regrets = choices.map(|model| advise::regret(rps(model), rps(best)));
    for (all, regret) in tally.regrets.iter_mut().zip(regrets) {
        all.push(regret);
    }
    let predicted = ranked
        .iter()
        .find(|c| c.model == chosen)
        .and_then(|c| c.capacity_rps);
    println!(
        "| {n} | {chosen} | {best} | {:.0} % | {:.0} % | {:.0} % | {:.0} % ({}) | {:.0}/{:.0} |",
        regrets[0] * 100.0,
        regrets[1] * 100.0,
        regrets[2] * 100.0,
        regrets[3] * 100.0,
        choices[3],
        predicted.map_or(0.0, |i| i.expected),
        rps(chosen)
    );
    Ok(())
}

/// The README's rules in prose, as the baseline that they are.
fn by_the_readme(workload: &Workload) -> &'static str {
    let [cpu, blocked, wait] = workload.means_us();
    if blocked > 0.0 {
        "thread-pool"
    } else if wait > 0.0 {
        "async-tasks"
    } else if cpu > 1_000.0 {
        "reactor-pool"
    } else {
        "single-reactor"
    }
}

impl Tally {
    fn print(&self) {
        let names = ["pick", "thread-pool", "multi-reactor", "README"];
        for (name, regrets) in names.iter().zip(&self.regrets) {
            let within = regrets.iter().filter(|r| **r <= 0.10).count();
            let worst = regrets.iter().copied().fold(0.0, f64::max);
            println!(
                "{name}: regret at most 10 % in {within} of {}, at worst {:.0} %",
                regrets.len(),
                worst * 100.0
            );
        }
        println!(
            "undecided, because no model kept the objective: {}",
            self.undecided
        );
        let n = self.residuals.len();
        let near = self
            .residuals
            .iter()
            .filter(|r| r.exp() <= 1.15 && r.exp() >= 0.85)
            .count();
        println!(
            "capacity within 15 % of measured in {near} of {n} cells; within its interval in {}",
            self.covered
        );
        let list: Vec<String> = self.residuals.iter().map(|r| format!("{r:.4}")).collect();
        println!("residuals for the profile: [{}]", list.join(", "));
    }
}
