//! Drawings of the answer, with the shapes of the report.

use report::palette;
use report::scale::Log;
use report::svg::{Anchor, Svg};
use schema::profile::Profile;
use simulate::{Load, run};
use workload::Workload;

use crate::answer::Answer;
use crate::candidate::Candidate;
use crate::facts::Facts;
use crate::question::Question;

/// Width and height of a drawing, and the space for its axes.
const SIZE: (f64, f64) = (690.0, 320.0);
const LEFT: f64 = 70.0;
/// Beside the drawing stand the names of variants, and the longest of them fits.
const RIGHT: f64 = 200.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;
/// Candidates in a drawing.
const SHOWN: usize = 5;
const MANY: usize = 6_000;

/// A line of a drawing.
struct Line {
    model: String,
    label: String,
    points: Vec<(f64, f64)>,
}

/// Drawings with their names: capacity against objective, response against rate, memory against connections.
pub fn plots(
    answer: &Answer,
    workload: &Workload,
    profile: &Profile,
    facts: &[Facts],
    seed: u64,
) -> Vec<(&'static str, Svg)> {
    let question = Question::new(workload, profile, facts, seed);
    let candidates: Vec<Candidate> = shown(answer, facts)
        .filter_map(|f| Candidate::of(f, &question.priced, workload, question.cores))
        .collect();
    let trace = question.trace(MANY);
    let mut capacity = Vec::new();
    let mut response = Vec::new();
    let mut memory = Vec::new();
    for candidate in &candidates {
        let line = |points| Line {
            model: candidate.facts.model.clone(),
            label: candidate.facts.label(),
            points,
        };
        let objective_ms = workload.objective.response_ms;
        let at_objective = [0.25, 0.5, 1.0, 2.0, 4.0].into_iter().map(|factor| {
            let mut other = Question::new(workload, profile, facts, seed);
            other.goal.response_us *= factor;
            (
                objective_ms * factor,
                other.capacity(candidate, &trace, None, 0.03).rate,
            )
        });
        capacity.push(line(at_objective.filter(|p| p.1 > 0.0).collect()));
        let bound = candidate.rate_max(workload);
        if let Load::Open { connections, .. } = question.load {
            let at_rate = [0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94]
                .into_iter()
                .map(|share| {
                    let rate = bound * share;
                    let outcome = run(&candidate.server, &Load::Open { rate, connections }, &trace);
                    (
                        question.calibrated.corrected(rate),
                        question.goal.reached_us(&outcome) / 1_000.0,
                    )
                });
            response.push(line(at_rate.collect()));
        }
        let at_connections = [1.0, 4.0, 16.0, 64.0].into_iter().map(|factor| {
            let mut more = workload.clone();
            more.connections = (f64::from(workload.connections) * factor) as u32;
            let of = Candidate::of(&candidate.facts, &question.priced, &more, question.cores);
            (
                f64::from(more.connections),
                of.map_or(f64::NAN, |c| c.memory_mib),
            )
        });
        memory.push(line(at_connections.collect()));
    }
    let goal = format!("p{}", workload.objective.percentile);
    let across = format!("{goal} objective, ms");
    let plots = [
        (
            "capacity",
            draw(
                "Capacity against the objective",
                &across,
                "requests/s",
                &capacity,
            ),
        ),
        (
            "response",
            draw(
                &format!("{goal} against the rate"),
                "requests/s",
                "ms",
                &response,
            ),
        ),
        (
            "memory",
            draw("Memory against connections", "connections", "MiB", &memory),
        ),
    ];
    let drawn = |(name, svg): (&'static str, Option<Svg>)| svg.map(|svg| (name, svg));
    plots.into_iter().filter_map(drawn).collect()
}

/// The best variant of each model, the recommended among them.
fn shown<'a>(answer: &'a Answer, facts: &'a [Facts]) -> impl Iterator<Item = &'a Facts> {
    let mut models: Vec<(&str, &str)> = Vec::new();
    let chosen = answer
        .recommended
        .iter()
        .map(|r| (r.model.as_str(), r.variant.as_str()));
    let ranked = answer
        .candidates
        .iter()
        .filter(|c| c.disqualified.is_none());
    let ranked = ranked.map(|c| (c.model.as_str(), c.variant.as_str()));
    for (model, variant) in chosen.chain(ranked) {
        if models.len() < SHOWN && !models.iter().any(|(other, _)| *other == model) {
            models.push((model, variant));
        }
    }
    models.into_iter().filter_map(|(model, variant)| {
        facts
            .iter()
            .find(|f| f.model == model && f.variant == variant)
    })
}

fn draw(title: &str, across: &str, up: &str, lines: &[Line]) -> Option<Svg> {
    let points = || lines.iter().flat_map(|l| &l.points);
    let drawn = |v: &f64| v.is_finite() && *v > 0.0;
    let xs: Vec<f64> = points().map(|p| p.0).filter(drawn).collect();
    let ys: Vec<f64> = points().map(|p| p.1).filter(drawn).collect();
    let (width, height) = SIZE;
    let x = Log::over(&xs, LEFT, width - RIGHT)?;
    let y = Log::over(&ys, height - BOTTOM, TOP)?;
    let mut svg = Svg::new(width, height, title);
    svg.text(LEFT, 18.0, Anchor::Start, "t", title);
    let (right, bottom) = (width - RIGHT, height - BOTTOM);
    for tick in x.ticks() {
        let (at, text) = (x.at(tick), short(tick));
        svg.line((at, TOP), (at, bottom), "grid");
        svg.text(at, bottom + 16.0, Anchor::Middle, "m n", &text);
    }
    for tick in y.ticks() {
        let (at, text) = (y.at(tick), short(tick));
        svg.line((LEFT, at), (right, at), "grid");
        svg.text(LEFT - 6.0, at + 4.0, Anchor::End, "m n", &text);
    }
    let middle = f64::midpoint(LEFT, right);
    svg.text(middle, height - 8.0, Anchor::Middle, "m n", across);
    svg.text(LEFT - 6.0, TOP - 8.0, Anchor::End, "m n", up);
    let end = |l: &Line| {
        let last = l.points.iter().rfind(|p| drawn(&p.0) && drawn(&p.1));
        last.map_or(TOP, |p| y.at(p.1))
    };
    let wanted: Vec<f64> = lines.iter().map(end).collect();
    let places = report::scale::apart(&wanted, 14.0, TOP, height - BOTTOM);
    for (line, place) in lines.iter().zip(places) {
        let ink = palette::class(&line.model);
        let points = line.points.iter().filter(|p| drawn(&p.0) && drawn(&p.1));
        let points: Vec<(f64, f64)> = points.map(|p| (x.at(p.0), y.at(p.1))).collect();
        svg.path(&points, &format!("s{ink}"));
        // Lines that end close together are told apart by the colour beside the name.
        let (from, to) = (width - RIGHT + 6.0, width - RIGHT + 20.0);
        svg.path(&[(from, place), (to, place)], &format!("s{ink}"));
        svg.text(to + 5.0, place + 4.0, Anchor::Start, "n", &line.label);
    }
    Some(svg)
}

fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e3 {
        format!("{}k", value / 1e3)
    } else {
        format!("{value}")
    }
}
