//! The noise page: A/A, the gates, what was left out and why, the generator.

use maud::{Markup, html};

use crate::anchor;
use crate::data::{Pass, Trial, Validity};
use crate::format;
use crate::html_table::figures;
use crate::noise::{self, Generator, Placebo};
use crate::run::{Run, Window};
use crate::speed;
use crate::stats::Spread;
use crate::words;

pub fn section(run: &Run) -> Markup {
    let placebos = noise::placebos(run);
    html! {
        section #noise {
            h2 { "Noise" }
            h3 { "The same server twice" }
            p.note { (words::PLACEBO) }
            (placebo_table(run, &placebos))
            p { (speed::of(run).sentence()) }
            h3 { "The gates" }
            p.note { (words::GATES) }
            (counts_table(run))
            h3 { "Excluded trials" }
            p.note { "INVALID: the trial failed a gate. It is never drawn and is part of no figure; it is listed here with the reason." }
            (trial_table(run, &noise::trials(run, Validity::Invalid)))
            h3 { "Limited trials" }
            p.note { "LIMITED: the generator or the machine may have been the limit. The figure is shown as a bound and is never ranked." }
            (trial_table(run, &noise::trials(run, Validity::Limited)))
            h3 { "The load generator" }
            p.note { (words::GENERATOR) }
            @if let Some(duration) = words::duration(run) { p { (duration) } }
            (generator_table(&noise::generators(run)))
        }
    }
}

fn placebo_table(run: &Run, placebos: &[Placebo]) -> Markup {
    let copy = run.placebo().map_or("", |(copy, _)| copy.label.as_str());
    if placebos.is_empty() {
        return html! { p { "No server was measured twice, so the zone is 3 %." } };
    }
    let heads = html! {
        th.l { "scenario" } th.l { "figure" } th { "A/A ratio" } th { "interval" }
        th { "n" } th.l { "by block" } th.l { "differs" }
    };
    let rows = html! {
        @for placebo in placebos {
            tr {
                th scope="row" { (placebo.scenario) }
                td.l { (placebo.choice.metric.name()) ", " (placebo.choice.window.describe()) }
                @match placebo.comparison {
                    Some(each) => {
                        td {
                            a href={ "#" (anchor::trials(run, &placebo.scenario, copy, placebo.choice.window)) } {
                                (format::factor(each.log.exp()))
                            }
                        }
                        td.m { (format::factor_interval(each.low.exp(), each.high.exp())) }
                    }
                    None => { td { "–" } td { "–" } }
                }
                td { (placebo.logs.len()) }
                td.l.m { @for log in placebo.logs.values() { (format::factor_bare(log.exp())) " " } }
                td.l.differs[placebo.differs] { @if placebo.differs { "yes" } @else { "no" } }
            }
        }
    };
    figures(&heads, &rows)
}

fn counts_table(run: &Run) -> Markup {
    let heads = html! { th.l { "scenario" } @for counted in noise::COUNTED { th { (counted) } } };
    let rows = html! {
        @for scenario in &run.scenarios {
            tr {
                th scope="row" { (scenario) }
                @for count in noise::counts(run, scenario) { td { (count) } }
            }
        }
    };
    figures(&heads, &rows)
}

fn trial_table(run: &Run, trials: &[&Trial]) -> Markup {
    if trials.is_empty() {
        return html! { p { "None." } };
    }
    let heads = html! {
        th.l { "scenario" } th.l { "model" } th.l { "load" } th { "block" } th.l { "why" }
    };
    let rows = html! {
        @for trial in trials {
            tr {
                td.l { (trial.scenario) }
                th scope="row" { (trial.label) }
                td.l { a href={ "#" (trial_anchor(run, trial)) } { (words::load(trial)) } }
                td { (trial.block) }
                td.l.why { (trial.reasons.text()) }
            }
        }
    };
    html! {
        details open[trials.len() <= 20] {
            summary { (format::count(trials.len(), "trial")) }
            (figures(&heads, &rows))
        }
    }
}

/// Where the page shows a trial.
fn trial_anchor(run: &Run, trial: &Trial) -> String {
    match trial.pass {
        Pass::Measure => {
            anchor::trials(run, &trial.scenario, &trial.label, Window::of(&trial.shape))
        }
        pass => anchor::pass(run, pass, &trial.scenario, &trial.label),
    }
}

fn generator_table(generators: &[Generator]) -> Markup {
    let show = |spread: Option<Spread>, text: fn(f64) -> String| {
        spread.map_or("–".to_owned(), |each| {
            format!("{} (≤ {})", text(each.median), text(each.high))
        })
    };
    let heads = html! {
        th.l { "scenario" } th.l { "load" } th { "generator late p99, median (worst)" }
        th { "generator CPU, median (most)" } th { "stolen CPU time, most" } th { "null server" }
    };
    let rows = html! {
        @for each in generators {
            tr {
                th scope="row" { (each.scenario) }
                td.l { (each.window.describe()) }
                td { (show(each.late_p99_us, format::micros)) }
                td { (show(each.cpu_share, format::percent)) }
                td { (each.steal_share_max.map_or("–".to_owned(), format::percent)) }
                td { (each.null_rps.map_or("–".to_owned(), format::rate)) }
            }
        }
    };
    figures(&heads, &rows)
}
