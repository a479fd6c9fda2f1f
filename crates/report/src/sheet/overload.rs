//! Overload: what survives, and how soon it is over.

use super::table::{Entry, Line, Sheet, figure, sample};
use crate::anchor;
use crate::data::PhaseFigures;
use crate::format;
use crate::metric::Metric;
use crate::primary;
use crate::run::{Row, Run};
use crate::stats::{Evidence, Spread};

pub fn sheet(run: &Run) -> Option<Sheet> {
    let has_phases = |scenario: &&String| {
        let trials = run.trials_of(scenario);
        let mut figures = trials.filter_map(|trial| trial.figures.as_ref());
        figures.any(|each| !each.phases.is_empty())
    };
    let scenario = run.scenarios.iter().find(has_phases)?;
    let window = primary::of(run, scenario, Metric::Goodput).window;
    let line = |row: &Row| {
        let phase = |name: &str, pick: fn(&PhaseFigures) -> f64, show: fn(f64) -> String| {
            let cell = run.cell(&row.label, scenario, window);
            let phases = cell.figures().flat_map(|figures| &figures.phases);
            let values = phases.filter(|phase| phase.name == name).map(pick);
            let text = Spread::of(values, Evidence::Ranges).map(|spread| show(spread.median));
            Entry::of(text, anchor::trials(run, scenario, &row.label, window))
        };
        let p99 = |phase: &PhaseFigures| phase.response_us.p99.unwrap_or(f64::INFINITY);
        let served =
            |phase: &PhaseFigures| phase.requests as f64 / (phase.scheduled as f64).max(1.0);
        Line {
            row: row.clone(),
            entries: vec![
                phase("half", |phase| phase.goodput_rps, format::rate),
                phase("twice", |phase| phase.goodput_rps, format::rate),
                phase("recovery", |phase| phase.goodput_rps, format::rate),
                phase("twice", served, format::percent),
                phase("half", p99, format::micros),
                phase("twice", p99, format::micros),
                phase("recovery", p99, format::micros),
                figure(run, row, scenario, window, Metric::Recovery),
            ],
        }
    };
    let heads = [
        "goodput at 0.5×",
        "goodput at 2×",
        "goodput at 0.5× after",
        "answered at 2×",
        "p99 at 0.5×",
        "p99 at 2×",
        "p99 at 0.5× after",
        "recovery",
    ];
    Some(Sheet {
        id: "overload",
        title: "Overload".to_owned(),
        note: format!(
            "The offered rate is half of what the CPU can compute, then twice that capacity, then half again. Goodput: correct answers within the objective per second; higher is better, as is the share that was answered. For p99 and recovery lower is better. Recovery: from the end of the overload until p99 keeps the objective again without errors; ∞: not within the window. Medians, {}.",
            sample(run)
        ),
        heads: heads.map(str::to_owned).to_vec(),
        lines: run.contenders().map(line).collect(),
    })
}
