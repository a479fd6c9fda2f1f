//! Predictions held against measurements.

use advise::{Answer, Facts};
use bench::Asked;
use workload::Workload;

use super::{Refused, failed};

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
    println!("\nMeasured here, in interleaved trials");
    for (line, measured) in top.iter().zip(found) {
        let Some(interval) = line.capacity_rps else {
            continue;
        };
        match measured.rps {
            Some(rps) => {
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
            None => println!(
                "  {}:{}: not measured: {}",
                line.model, line.variant, measured.why
            ),
        }
    }
    Ok(())
}
