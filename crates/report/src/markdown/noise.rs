//! The section on the noise of the session.

use super::table::Table;
use super::text::{absent, paragraph};
use crate::data::Validity;
use crate::format;
use crate::noise::{self, Placebo};
use crate::run::Run;
use crate::speed;
use crate::stats::Spread;
use crate::words;

/// The placebo, the gates, what was left out and why, the generator.
pub fn section(run: &Run, out: &mut String) {
    paragraph(out, "## Noise");
    paragraph(out, words::PLACEBO);
    placebos(run).put(out);
    paragraph(out, &speed::of(run).sentence());
    paragraph(out, "### The gates");
    paragraph(out, words::GATES);
    counts(run).put(out);
    for (validity, title) in [
        (Validity::Invalid, "Excluded trials (INVALID: never drawn)"),
        (
            Validity::Limited,
            "Limited trials (LIMITED: bounds, never ranked)",
        ),
    ] {
        paragraph(out, &format!("### {title}"));
        trials(run, validity).put(out);
    }
    paragraph(out, "### The load generator");
    paragraph(out, words::GENERATOR);
    if let Some(duration) = words::duration(run) {
        paragraph(out, &duration);
    }
    out.push_str(&generators(run).render());
}

fn placebos(run: &Run) -> Table {
    let mut table = Table::new([
        "scenario",
        "figure",
        "A/A ratio",
        "interval",
        "by block",
        "differs",
    ]);
    for placebo in noise::placebos(run) {
        let Placebo {
            scenario,
            choice,
            logs,
            comparison,
            differs,
            ..
        } = placebo;
        let factor = |log: &f64| format::factor_bare(log.exp());
        let by_block: Vec<String> = logs.values().map(factor).collect();
        table.push([
            scenario,
            format!("{}, {}", choice.metric.name(), choice.window.describe()),
            comparison.map_or_else(absent, |each| format::factor(each.log.exp())),
            comparison.map_or_else(absent, |each| {
                format::factor_interval(each.low.exp(), each.high.exp())
            }),
            by_block.join(" "),
            if differs { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table
}

fn counts(run: &Run) -> Table {
    let mut table = Table::new(["scenario"].into_iter().chain(noise::COUNTED));
    for scenario in &run.scenarios {
        let counts = noise::counts(run, scenario).map(|count| count.to_string());
        table.push([scenario.clone()].into_iter().chain(counts));
    }
    table
}

fn trials(run: &Run, validity: Validity) -> Table {
    let mut table = Table::new(["scenario", "model", "load", "block", "why"]);
    for trial in noise::trials(run, validity) {
        table.push([
            trial.scenario.clone(),
            trial.label.clone(),
            words::load(trial),
            trial.block.to_string(),
            trial.reasons.text(),
        ]);
    }
    table
}

fn generators(run: &Run) -> Table {
    let mut table = Table::new([
        "scenario",
        "load",
        "generator late p99 µs",
        "worst",
        "generator CPU",
        "most",
        "stolen CPU time, most",
        "null server requests/s",
    ]);
    for each in noise::generators(run) {
        let of = |spread: Option<Spread>, pick: fn(Spread) -> f64, show: fn(f64) -> String| {
            spread.map_or_else(absent, |spread| show(pick(spread)))
        };
        table.push([
            each.scenario.clone(),
            each.window.describe(),
            of(each.late_p99_us, |s| s.median, format::number),
            of(each.late_p99_us, |s| s.high, format::number),
            of(each.cpu_share, |s| s.median, format::percent),
            of(each.cpu_share, |s| s.high, format::percent),
            each.steal_share_max.map_or_else(absent, format::percent),
            each.null_rps.map_or_else(absent, format::number),
        ]);
    }
    table
}
