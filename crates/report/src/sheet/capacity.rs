//! Capacity at the objective, as brackets.

use super::table::{Entry, Line, Sheet, Tone};
use crate::anchor;
use crate::cell::{self, State};
use crate::data::{Capacity, Pass, Trial, Validity};
use crate::format;
use crate::run::{Row, Run};
use crate::words;

/// What several searches of one row amount to: the widest bracket.
#[derive(Debug, Clone, Copy)]
struct Bracket {
    low: Option<f64>,
    high: Option<f64>,
    confirmed: bool,
}

pub fn sheet(run: &Run) -> Option<Sheet> {
    let scenarios = run.scenarios_of(Pass::Capacity);
    let first = run
        .passes
        .iter()
        .find_map(|trial| trial.capacity.as_ref())?;
    let brackets: Vec<Vec<Option<Bracket>>> = run
        .contenders()
        .map(|row| {
            scenarios
                .iter()
                .map(|scenario| bracket(run, row, scenario))
                .collect()
        })
        .collect();
    let best: Vec<f64> = (0..scenarios.len())
        .map(|column| best_of(run, &brackets, column))
        .collect();
    let line = |(row, brackets): (&Row, &Vec<Option<Bracket>>)| Line {
        row: row.clone(),
        entries: scenarios
            .iter()
            .zip(brackets)
            .zip(&best)
            .map(|((scenario, bracket), best)| entry(run, row, scenario, *bracket, *best))
            .collect(),
    };
    Some(Sheet {
        id: "capacity",
        title: "Capacity at the objective".to_owned(),
        note: format!(
            "Requests per second, higher is better: the highest offered open-loop rate that kept the objective, and the lowest that did not ({}; errors at most {}). Bold: brackets that reach the best one's. “?”: an end that was not confirmed by a second try. “≥”: the objective was kept up to the highest rate that the generator can offer. Where several searches were made, the widest bracket is shown.",
            objective(run, &scenarios, first),
            format::percent(first.errors_max_share),
        ),
        heads: scenarios.clone(),
        lines: run.contenders().zip(&brackets).map(line).collect(),
    })
}

fn objective(run: &Run, scenarios: &[String], first: &Capacity) -> String {
    let of = |scenario: &String| {
        let here = |trial: &&Trial| &trial.scenario == scenario;
        let mut trials = run.passes.iter().filter(here);
        let found = trials.find_map(|trial| trial.capacity.as_ref());
        found.map(|each| (scenario.clone(), each.objective_p99_us))
    };
    let all: Vec<_> = scenarios.iter().filter_map(of).collect();
    if all.iter().all(|(_, p99)| *p99 == first.objective_p99_us) {
        let known = scenarios.first().and_then(|name| run.scenario(name));
        let objective = known.and_then(|each| each.objective).unwrap_or_default();
        let name = objective.name();
        return format!("{name} ≤ {}", format::micros(first.objective_p99_us));
    }
    let each = |(scenario, p99): &(String, f64)| format!("{scenario} {}", format::micros(*p99));
    let all: Vec<String> = all.iter().map(each).collect();
    format!("p99 ≤ {}", all.join(", "))
}

fn bracket(run: &Run, row: &Row, scenario: &str) -> Option<Bracket> {
    let usable = |trial: &&Trial| trial.validity != Validity::Invalid;
    let found: Vec<&Capacity> = run
        .pass(Pass::Capacity, &row.label, scenario)
        .filter(usable)
        .filter_map(|trial| trial.capacity.as_ref())
        .collect();
    let of = |pick: fn(&Capacity) -> Option<f64>, widest: fn(f64, f64) -> f64| {
        let ends: Option<Vec<f64>> = found.iter().map(|each| pick(each)).collect();
        ends?.into_iter().reduce(widest)
    };
    (!found.is_empty()).then(|| Bracket {
        low: of(|each| each.highest_ok_rps, f64::min),
        high: of(|each| each.lowest_failed_rps, f64::max),
        confirmed: found.iter().all(|each| each.confirmed),
    })
}

/// The highest rate that a model of the column kept.
fn best_of(run: &Run, brackets: &[Vec<Option<Bracket>>], column: usize) -> f64 {
    let models = run
        .contenders()
        .zip(brackets)
        .filter(|(row, _)| !row.is_peer());
    let lows = models.filter_map(|(_, brackets)| brackets[column]?.low);
    lows.max_by(f64::total_cmp).unwrap_or(f64::INFINITY)
}

fn entry(run: &Run, row: &Row, scenario: &str, bracket: Option<Bracket>, best: f64) -> Entry {
    let Some(bracket) = bracket else {
        let trials: Vec<&Trial> = run.pass(Pass::Capacity, &row.label, scenario).collect();
        let state = cell::state(&trials);
        let is_reason = matches!(state, State::Blocks | State::NotOffered);
        return Entry {
            text: if is_reason {
                words::state(state).to_owned()
            } else {
                String::new()
            },
            link: None,
            tone: if is_reason { Tone::Blocks } else { Tone::Plain },
        };
    };
    let mark = if bracket.confirmed { "" } else { "?" };
    let rate = format::rate_bare;
    let text = match (bracket.low, bracket.high) {
        (Some(low), Some(high)) => format!("{}–{}{mark}", rate(low), rate(high)),
        (Some(low), None) => format!("≥ {}", rate(low)),
        (None, Some(high)) => format!("< {}{mark}", rate(high)),
        (None, None) => "not found".to_owned(),
    };
    let reaches = bracket.low.is_some() && bracket.high.is_none_or(|high| high > best);
    Entry {
        text,
        link: Some(anchor::pass(run, Pass::Capacity, scenario, &row.label)),
        tone: match (reaches, bracket.high) {
            (true, None) => Tone::Limited,
            (true, Some(_)) if !row.is_peer() => Tone::Best,
            _ => Tone::Plain,
        },
    }
}
