//! Predictions held against measurements.

use advise::{Answer, CandidateLine, Facts};
use bench::{Asked, Estimate, Paired};
use workload::Workload;

use super::refused::{Refused, failed, say};

/// Candidates that are measured.
const TOP: usize = 3;
/// A prediction so near held, as the table of `--validate` has it.
const NEAR: f64 = 0.15;

/// Measures the top candidates of `answer`, in paired slices, and prints predicted beside measured.
pub(super) fn verify(workload: &Workload, answer: &Answer, facts: &[Facts]) -> Result<(), Refused> {
    let top = top(answer);
    if top.is_empty() {
        return Err(failed("--verify: there is no candidate to measure"));
    }
    let asked: Vec<Asked> = top.iter().map(|line| asked(line, facts)).collect();
    let found = bench::paired(workload, &asked).map_err(|e| failed(format!("--verify: {e}")))?;
    let mut text = "\nMeasured here, in paired slices, with 90 % intervals\n".to_owned();
    for (line, paired) in top.iter().zip(&found) {
        text += &format!("  {}\n", told(line, paired));
    }
    say(&(text + &verdict(&top, &found)))
}

/// The chosen one first, and the best of each other model.
fn top(answer: &Answer) -> Vec<&CandidateLine> {
    let chosen = answer.recommended.as_ref();
    let is_chosen =
        |c: &&CandidateLine| chosen.is_some_and(|r| r.model == c.model && r.variant == c.variant);
    let ranked = || answer.candidates.iter().filter(|c| c.tier > 0);
    let first = ranked().filter(is_chosen);
    let rest = ranked().filter(|c| !is_chosen(c));
    let mut models: Vec<&str> = Vec::new();
    first
        .chain(rest)
        .filter(|c| {
            let new = !models.contains(&c.model.as_str());
            models.push(&c.model);
            new
        })
        .take(TOP)
        .collect()
}

/// What is asked of the bench for a candidate.
pub(super) fn asked(line: &CandidateLine, facts: &[Facts]) -> Asked {
    let guess_rps = line.capacity_rps.map_or(0.0, |i| i.expected);
    asked_of((&line.model, &line.variant), line.workers, guess_rps, facts)
}

/// A model with its variant, which is guessed to carry `guess_rps`.
pub(super) fn asked_of(
    (model, variant): (&str, &str),
    workers: Option<u32>,
    guess_rps: f64,
    facts: &[Facts],
) -> Asked {
    let same = |f: &&Facts| f.model == model && f.variant == variant;
    Asked {
        model: model.to_owned(),
        variant: variant.to_owned(),
        default: facts.iter().find(same).is_some_and(|f| f.default),
        workers,
        guess_rps,
        coarse: false,
    }
}

/// Predicted beside measured of one candidate.
fn told(line: &CandidateLine, paired: &Paired) -> String {
    let name = label(line);
    let (Some(predicted), Some(measured)) = (line.capacity_rps, paired.rps) else {
        return format!("{name}: not measured: {}", paired.why);
    };
    let off = |rps: f64| (rps / predicted.expected.max(1e-9) - 1.0) * 100.0;
    let held = match held(&predicted, &measured) {
        true => "held",
        false => "DID NOT HOLD",
    };
    format!(
        "{name}: predicted {:.0}/s ({:.0}-{:.0}), measured {:.0}/s ({:.0}-{:.0}) in {} slices, {:+.0} % ({:+.0} to {:+.0}): {held}",
        predicted.expected,
        predicted.low,
        predicted.high,
        measured.expected,
        measured.low,
        measured.high,
        paired.rotations,
        off(measured.expected),
        off(measured.low),
        off(measured.high),
    )
}

/// Within 15 %, or with intervals that meet.
fn held(predicted: &advise::Interval, measured: &Estimate) -> bool {
    let ratio = measured.expected / predicted.expected.max(1e-9);
    let near = ratio.ln().abs() <= (1.0 + NEAR).ln();
    near || (measured.low <= predicted.high && predicted.low <= measured.high)
}

/// Whether the choice held: no other carries more, beyond what the slices leave open.
fn verdict(top: &[&CandidateLine], found: &[Paired]) -> String {
    let chosen = label(top[0]);
    let mut lines = Vec::new();
    let mut is_beaten = false;
    for (line, paired) in top.iter().zip(found).skip(1) {
        let Some(share) = paired.of_first else {
            continue;
        };
        let percent = |share: f64| (share - 1.0) * 100.0;
        lines.push(format!(
            "{} carries {:+.0} % ({:+.0} to {:+.0})",
            label(line),
            percent(share.expected),
            percent(share.low),
            percent(share.high)
        ));
        is_beaten |= share.low > 1.0 / (1.0 - REGRET_MAX);
    }
    let against = lines.join(", ");
    match (against.as_str(), is_beaten) {
        ("", _) => format!("The choice of {chosen} could not be compared with another."),
        (_, false) => format!("The choice of {chosen} held: against it, {against}."),
        (_, true) => format!("The choice of {chosen} DID NOT HOLD: against it, {against}."),
    }
}

/// What a choice may lose against the best, as the table of `--validate` has it.
const REGRET_MAX: f64 = 0.10;

fn label(line: &CandidateLine) -> String {
    match line.variant.as_str() {
        "-" => line.model.clone(),
        variant => format!("{}:{variant}", line.model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(model: &str, expected: f64) -> CandidateLine {
        CandidateLine {
            model: model.into(),
            variant: "-".into(),
            tier: 1,
            capacity_rps: Some(advise::Interval {
                low: expected * 0.98,
                expected,
                high: expected * 1.02,
            }),
            ..CandidateLine::default()
        }
    }

    fn paired(rps: f64, of_first: Option<f64>) -> Paired {
        let estimate = |at: f64| Estimate {
            low: at * 0.97,
            expected: at,
            high: at * 1.03,
        };
        Paired {
            rps: Some(estimate(rps)),
            of_first: of_first.map(estimate),
            rotations: 20,
            why: String::new(),
        }
    }

    #[test]
    fn a_prediction_that_held_and_one_that_did_not() {
        let near = told(&line("one", 1_000.0), &paired(900.0, None));
        assert!(near.contains("-10 % (-13 to -7): held"), "{near}");
        let far = told(&line("one", 1_000.0), &paired(600.0, None));
        assert!(
            far.contains("-40 %") && far.ends_with("DID NOT HOLD"),
            "{far}"
        );
        let none = Paired {
            why: "it broke".into(),
            ..Paired::default()
        };
        assert_eq!(
            told(&line("one", 1.0), &none),
            "one: not measured: it broke"
        );
    }

    #[test]
    fn a_choice_holds_unless_another_carries_more_beyond_doubt() {
        let (one, two) = (line("one", 1_000.0), line("two", 950.0));
        let top = [&one, &two];
        let of = |share| vec![paired(1_000.0, None), paired(1_000.0 * share, Some(share))];
        assert!(verdict(&top, &of(1.08)).contains("one held: against it, two carries +8 %"));
        assert!(verdict(&top, &of(1.3)).contains("one DID NOT HOLD"));
        let alone = [&one];
        assert!(verdict(&alone, &[paired(1.0, None)]).contains("could not be compared"));
    }

    #[test]
    fn the_chosen_is_measured_first_and_one_of_each_model() {
        let mut answer = Answer {
            candidates: ["one", "one", "two", "three", "four"]
                .iter()
                .map(|model| line(model, 1.0))
                .collect(),
            ..Answer::default()
        };
        answer.recommended = Some(advise::Recommended {
            model: "three".into(),
            variant: "-".into(),
            ..advise::Recommended::default()
        });
        let models: Vec<&str> = top(&answer).iter().map(|c| c.model.as_str()).collect();
        assert_eq!(models, ["three", "one", "two"]);
    }
}
