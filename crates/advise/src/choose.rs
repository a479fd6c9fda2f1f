//! From a workload and a profile to the answer.

use schema::profile::{Profile, StallsOf};
use simulate::{Stalls, run};
use workload::{Offered, Workload};

use crate::answer::{Answer, Recommended};
use crate::bounds;
use crate::candidate::Candidate;
use crate::change;
use crate::facts::Facts;
use crate::priced::AWAY_SHARE_MAX;
use crate::question::{COARSE, FINALISTS, Found, Question, TIE_SHARE, parallel, sort};
use crate::sizing;
use crate::tiers::{choice, lines};

/// Requests of the second look, at those that may win.
const FINE: usize = 40_000;
/// How near the best a candidate must be at the first look to be looked at again.
const NEAR_SHARE: f64 = 0.75;
/// Messages of more than this are marked, KiB: four times what a profile is measured with.
const KIB_MAX: u64 = 256;
/// More cores than this, as a multiple of those measured, are not answered for.
const EXTRAPOLATION_MAX: f64 = 2.0;

/// What is asked beside the workload.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only this model, or model:variant.
    pub model: Option<String>,
    /// So many workers for it, where it has a choice, instead of a number that is proposed.
    pub workers: Option<u32>,
    /// The seed of the simulated requests.
    pub seed: u64,
    /// Only the default variant of each model.
    pub defaults: bool,
    /// Without the search for what would change the answer.
    pub brief: bool,
    /// Model, variant and workers of those whose workers are given and not proposed.
    pub sized: Vec<(String, String, u32)>,
}

/// Answers.
///
/// # Errors
/// One line: the question cannot be answered with this profile, or names no model.
pub fn advise(
    workload: &Workload,
    profile: &Profile,
    facts: &[Facts],
    options: &Options,
) -> Result<Answer, String> {
    let asked = asked_for(facts, options)?;
    let question = Question::new(workload, profile, facts, options.seed);
    let measured = profile.machine.server_cpus as usize;
    if question.cores as f64 > measured as f64 * EXTRAPOLATION_MAX {
        return Err(format!(
            "machine.cpus is {}, and the profile was measured on {measured}: beyond twice as many nothing is predicted",
            question.cores
        ));
    }
    let mut answer = Answer {
        rests_on: rests_on(&question, profile),
        ..Answer::default()
    };
    let mut sized = options.sized.clone();
    if let Some(workers) = options.workers {
        let given = |f: &Facts| (f.model.clone(), f.variant.clone(), workers);
        sized.extend(asked.iter().map(given));
    }
    let (able, out) = question.candidates(&asked, &sized);
    let factor = able.first().map_or(1.0, |c| c.server.costs.cpu_factor);
    let least = bounds::least_us(workload, factor);
    if least > question.goal.response_us {
        answer.refused = Some(format!(
            "no model can meet the objective: the work alone takes p{} {:.1} ms, and the objective is {} ms",
            question.goal.percentile,
            least / 1_000.0,
            workload.objective.response_ms
        ));
        answer.candidates = out;
        return Ok(answer);
    }
    if able.is_empty() {
        answer.refused = Some("every variant is disqualified: see why at each".into());
        answer.candidates = out;
        return Ok(answer);
    }
    let found = finalists(&question, able);
    let lines = lines(&question, &found);
    let best = found.first().map_or(0.0, |f| f.expected);
    if best <= 0.0 {
        let undisturbed = undisturbed(&question, &found);
        answer.refused = Some(refusal(&question, profile, undisturbed.as_ref()));
    } else if let Some(chosen) = choice(&found, &lines) {
        recommend(&mut answer, &question, &found, chosen);
        answer.sizing = Some(sizing::sizing(&question, &found[chosen]));
        if !options.brief {
            answer.would_change = change::search(&question, &asked, &found, chosen);
        }
    }
    answer.candidates = lines.into_iter().chain(out).collect();
    Ok(answer)
}

fn asked_for(facts: &[Facts], options: &Options) -> Result<Vec<Facts>, String> {
    let Some(label) = options.model.as_deref() else {
        let wanted = |f: &&Facts| f.default || !options.defaults;
        return Ok(facts.iter().filter(wanted).cloned().collect());
    };
    let wanted = |f: &&Facts| match label.split_once(':') {
        Some((model, variant)) => f.model == model && f.variant == variant,
        None => f.model == label && f.default,
    };
    let found: Vec<Facts> = facts.iter().filter(wanted).cloned().collect();
    if found.is_empty() {
        return Err(format!("there is no model {label:?}: see turnstile models"));
    }
    Ok(found)
}

/// Capacities of all, of those near the best with many requests; the best first. Defaults that may turn out to be
/// equals of the best are among these: of equals, they are chosen, and a capacity of few requests is not equal
/// to one of many.
fn finalists(question: &Question<'_>, able: Vec<Candidate>) -> Vec<Found> {
    let mut found = question.coarse(able, COARSE);
    let best = found.first().map_or(0.0, |f| f.expected);
    let near = found
        .iter()
        .take_while(|f| f.expected >= best * NEAR_SHARE && f.expected > 0.0);
    let many = near.count().min(FINALISTS);
    let (equals, rest): (Vec<Found>, Vec<Found>) =
        found.split_off(many).into_iter().partition(|f| {
            let near = f.expected > 0.0 && f.expected >= best * (1.0 - 2.0 * TIE_SHARE);
            near && f.candidate.facts.default
        });
    found.extend(equals);
    let trace = question.trace(FINE);
    let mut fine = parallel(found, |f| {
        let fine = question.capacity(&f.candidate, &trace, f.around(), 0.02);
        Found::new(f.candidate, &fine)
    });
    fine.extend(rest);
    sort(&mut fine);
    fine
}

/// The best where CPUs were never away, if that one keeps the objective.
fn undisturbed(question: &Question<'_>, found: &[Found]) -> Option<Found> {
    let candidates = found.iter().map(|f| {
        let mut candidate = f.candidate.clone();
        candidate.server.stalls = Stalls::default();
        candidate.server.client_stalls = Stalls::default();
        candidate
    });
    let mut best = question.coarse(candidates.collect(), COARSE);
    best.truncate(1);
    best.pop().filter(|f| f.expected > 0.0)
}

/// Why no rate keeps the objective.
fn refusal(question: &Question<'_>, profile: &Profile, undisturbed: Option<&Found>) -> String {
    let objective = format!(
        "p{} within {} ms",
        question.goal.percentile, question.workload.objective.response_ms
    );
    let Some(best) = undisturbed else {
        return format!(
            "no model can meet the objective at any rate: {objective} is less than what an idle server needs"
        );
    };
    let often = |stalls: &StallsOf| stalls.lengths_us.len() as f64 / stalls.watched_s;
    let away = profile.stalls.iter().chain(&profile.client_stalls);
    let most = away.clone().map(often).fold(0.0, f64::max);
    let lengths = away.flat_map(|stalls| &stalls.lengths_us);
    format!(
        "no model can keep {objective} on this machine at any rate: its CPUs are away {most:.1} times a second, for {:.1} ms at most; on one that has them to itself {} would carry {:.0}/s",
        lengths.copied().fold(0.0, f64::max) / 1_000.0,
        best.candidate.facts.label(),
        best.expected
    )
}

fn recommend(answer: &mut Answer, question: &Question<'_>, found: &[Found], chosen: usize) {
    let Found {
        candidate,
        expected,
        ..
    } = &found[chosen];
    let best = found[0].expected;
    let equals = found
        .iter()
        .filter(|f| f.expected >= best * (1.0 - TIE_SHARE))
        .count();
    let because = if equals == 1 {
        "it has the highest capacity".to_owned()
    } else {
        format!(
            "{equals} variants are within 5 % of the highest capacity; of these it has the least memory, the kernel's for its processes and threads counted in, or is the simplest to operate among those with about as little"
        )
    };
    let asked = match question.workload.offered {
        Offered::Open { rate } => *expected >= rate,
        Offered::Closed { .. } => {
            let outcome = run(&candidate.server, &question.load, &question.trace(COARSE));
            question.goal.reached_us(&outcome) <= question.goal.response_us
        }
    };
    let other = found
        .iter()
        .find(|f| f.candidate.facts.model != candidate.facts.model);
    answer.recommended = Some(Recommended {
        model: candidate.facts.model.clone(),
        variant: candidate.facts.variant.clone(),
        workers: candidate.workers,
        threads: candidate.threads(),
        because,
        holds_load: asked,
        runner_up: other.map(|f| f.candidate.facts.label()),
    });
}

fn rests_on(question: &Question<'_>, profile: &Profile) -> Vec<String> {
    let machine = &profile.machine;
    let mut lines = vec![format!(
        "a profile of {} CPU(s) for the server, {}, Linux {}, turnstile {}, measured {}",
        machine.server_cpus, machine.cpu, machine.kernel, profile.turnstile, profile.measured
    )];
    lines.push(format!(
        "a time slice of {:.0} µs where threads compute, and {:.0} µs until a woken thread runs beside one that computes, both measured",
        profile.slice_us, profile.preempt_us
    ));
    let away = profile.stalls.iter().chain(&profile.client_stalls);
    let away = away.map(StallsOf::away_share).fold(0.0, f64::max);
    if away > AWAY_SHARE_MAX {
        lines.push(format!(
            "a machine that has its CPUs to itself but for {:.1} % of the time: a CPU was away for {:.1} % while it was watched, and measurements leave such moments out",
            AWAY_SHARE_MAX * 100.0,
            away * 100.0
        ));
    }
    if profile.provisional {
        lines.push("the profile is provisional: it was measured beside other work".into());
    }
    if question.cores > machine.server_cpus as usize {
        lines.push(format!(
            "EXTRAPOLATED: {} cores were asked for and {} measured; what several cores cost each other is not in it",
            question.cores, machine.server_cpus
        ));
    }
    let bytes = |c: &workload::Class| c.request_bytes.max(c.reply_bytes);
    let longest = question.workload.classes.iter().map(bytes).max();
    if let Some(kib) = longest.map(|b| b / 1024).filter(|&kib| kib > KIB_MAX) {
        lines.push(format!(
            "EXTRAPOLATED: messages of {kib} KiB; what a KiB costs was measured with 64, in one piece"
        ));
    }
    lines.push(question.calibrated.told(profile, question.workload));
    lines
}
