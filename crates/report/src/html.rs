//! `index.html`: one file that works from disk, with its style and its drawings inside.

mod envelope;
mod matrix;
mod noise;
mod sheets;
mod shell;
mod tables;
mod trials;

use maud::{Markup, PreEscaped, html};

use crate::advice;
use crate::anchor;
use crate::drawing::Plot;
use crate::matrix::Matrix;
use crate::metric::Metric;
use crate::plot;
use crate::primary;
use crate::run::Run;
use crate::session::Session;
use crate::sheet::{self, Sheet};
use crate::sizes;
use crate::speed;
use crate::words;

pub use shell::head;

/// The whole page.
pub fn page(session: &Session) -> String {
    if let Some(alone) = session.envelope_alone() {
        return envelope::page(alone, &environment(&session.run));
    }
    let run = &session.run;
    let sheets = sheet::all(run);
    let lead = html! {
        p.lead { (words::measured(run)) }
        (shell::notices(&words::notices(session)))
    };
    let contents = html! {
        (verdict_section(session, &sheets))
        (further(run))
        (plots("latency", "Latency against offered rate", LATENCY, &plot::rates(session)))
        (plots_if_any("search", "Latency up to the capacity", SEARCH, &plot::searches(session)))
        (plots("percentiles", "Percentiles", PERCENTILES, &plot::percentiles(session)))
        (tables::cost(run))
        (plots("memory", "Memory under load", MEMORY, &plot::memory(session)))
        (sheets::sections(&sheets))
        (plots_if_any("timeline", "Overload, slice by slice", TIMELINE, &plot::timelines(session)))
        @if let Some(envelope) = &session.envelope { (envelope::section(envelope)) }
        (tables::every_figure(run))
        (noise::section(run))
        (plots_if_any("speed", "The speed of the machine", &speed::of(run).sentence(), &plot::speed(session)))
        (trials::section(run))
        (environment(run))
    };
    shell::page(&words::title(run), &lead, &contents)
}

const LATENCY: &str = "Open loop: requests are due at scheduled times whatever the server does, and \
response time counts from the due time. A request that is never answered counts as infinitely slow.";
const PERCENTILES: &str = "Response time (solid) counts from when a request was due, service time \
(dotted) from when it was sent. Where the two differ, requests waited before they were sent: a \
closed-loop tool does not see this wait.";
const SEARCH: &str = "The steps of the search for the capacity: every offered rate that was tried, \
without invalid steps; the dashed line is the objective.";
const TIMELINE: &str = "Medians over trials of each slice of the window; a request belongs to the \
slice in which it was due.";
const MEMORY: &str = "Proportional set size: pages that forked processes share are counted once.";

fn verdict_section(session: &Session, sheets: &[Sheet]) -> Markup {
    let Session { run, verdict, .. } = session;
    html! {
        section #verdict {
            @if verdict.columns.is_empty() {
                p { "There is no trial to report." }
            } @else {
                div.first {
                    (matrix::headlines(run, verdict))
                    (matrix::sizes(&sizes::of(run, verdict)))
                    (matrix::table(run, verdict, "verdict"))
                    (matrix::key(verdict))
                }
                p.rule { b { "The rule. " } (primary::rule(run)) }
                (advised(session))
                nav {
                    a href="#further" { "Other figures" }
                    a href="#latency" { "Latency" }
                    a href="#percentiles" { "Percentiles" }
                    a href="#cost" { "Cost" }
                    @for sheet in sheets { a href={ "#" (sheet.id) } { (sheet.title) } }
                    @if session.envelope.is_some() { a href="#envelope" { (envelope::TITLE) } }
                    a href="#figures" { "Every figure" }
                    a href="#noise" { "Noise" }
                    a href="#trials" { "Trials" }
                }
                h2 { "The deciding figures" }
                (deciding(session))
            }
        }
    }
}

/// Where the run disagrees with the catalogue, and what was measured that says why.
fn advised(session: &Session) -> Markup {
    let found = advice::disagreements(&session.run, &session.verdict);
    html! {
        @if !found.is_empty() {
            h2 #advice { "Where this run disagrees with the advice" }
            ul.advice {
                @for each in &found {
                    li {
                        a href={ "#" (anchor::deciding(&each.scenario)) } { (each.scenario) }
                        ". " (each.said)
                        @for sentence in &each.why { " " (sentence) }
                    }
                }
            }
        }
    }
}

/// The other metrics, each as a matrix of its own.
fn further(run: &Run) -> Markup {
    let metrics = [
        (Metric::Throughput, "Closed-loop throughput", "closed loop"),
        (
            Metric::ServerCpu,
            "Server CPU per request",
            "at the common rate",
        ),
        (Metric::P99, "p99 response time", "at the common rate"),
        (Metric::Pss, "Memory under load (PSS)", "at the common rate"),
    ];
    html! {
        section #further {
            h2 { "Other figures" }
            p.note { "The same matrix for one figure at a time. In each of them 1.00× is the best of its column." }
            @for (metric, title, load) in metrics {
                details {
                    summary { (title) span.m { " · " (load) ", " (metric.direction()) } }
                    (matrix::table(run, &Matrix::of(run, metric), &anchor::slug(title)))
                }
            }
        }
    }
}

/// A section of plots of which a run may hold none.
fn plots_if_any(id: &str, title: &str, note: &str, drawn: &[Plot]) -> Markup {
    html! { @if !drawn.is_empty() { (plots(id, title, note, drawn)) } }
}

/// A section of plots that every run should hold.
fn plots(id: &str, title: &str, note: &str, plots: &[Plot]) -> Markup {
    html! {
        section id=(id) {
            h2 { (title) }
            p.note { (note) }
            @if plots.is_empty() { p { "Nothing to draw." } }
            (grid(plots))
        }
    }
}

fn grid(plots: &[Plot]) -> Markup {
    html! {
        div.plots { @for plot in plots { figure { (PreEscaped(plot.svg.inline())) } } }
    }
}

/// The deciding figures, each where its sentence leads to.
fn deciding(session: &Session) -> Markup {
    html! {
        div.plots {
            @for scenario in &session.run.scenarios {
                figure id=(anchor::deciding(scenario)) {
                    @match plot::verdict(session, scenario) {
                        Some(svg) => (PreEscaped(svg.inline())),
                        None => p.note { (scenario) ": no figure to draw." }
                    }
                }
            }
        }
    }
}

fn environment(run: &Run) -> Markup {
    let env = &run.env;
    let seed = env.seed.to_string();
    let facts = [
        ("turnstile", env.turnstile.as_str()),
        ("commit", env.commit.as_str()),
        ("started", env.started.as_str()),
        ("seed", seed.as_str()),
    ];
    let more = env.build.iter().chain(&env.limits);
    let more = more.map(|(name, value)| (name.as_str(), value.as_str()));
    html! {
        section #environment {
            h2 { "Environment" }
            dl {
                @for (name, value) in facts.into_iter().chain(more).filter(|(_, value)| !value.is_empty()) {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}
