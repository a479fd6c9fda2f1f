//! Which figure decides a scenario, and under which load it is compared.

use crate::cell::State;
use crate::data::{Deciding, Role};
use crate::metric::Metric;
use crate::run::{Row, Run, Window};
use crate::stats::{Evidence, Spread};

/// The metric and window by which a scenario is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The figure.
    pub metric: Metric,
    /// The load under which it was taken.
    pub window: Window,
}

/// The rule in the reader's words.
pub fn rule(run: &Run) -> String {
    let mut text = "One figure decides each scenario, by a rule fixed beforehand.".to_owned();
    let mut listed: Vec<Deciding> = Vec::new();
    for decides in run.scenarios.iter().map(|name| deciding(run, name)) {
        if listed.contains(&decides) {
            continue;
        }
        listed.push(decides);
        let same = |name: &&String| deciding(run, name) == decides;
        let names: Vec<&str> = run
            .scenarios
            .iter()
            .filter(same)
            .map(String::as_str)
            .collect();
        let (figure, why) = in_words(decides);
        text.push_str(&format!(" {figure} decides {}{why}.", names.join(", ")));
    }
    text + " The common rate is the highest offered rate that at least half of the models hold \
(99 % answered, VALID); a model that does not hold it comes last. A server that is \
not of this collection is a row like a model, unless it is a peer: that is shown beside the model \
that it implements, is compared with the best model and is not ranked."
}

/// A deciding figure, and why it is the one.
fn in_words(decides: Deciding) -> (&'static str, &'static str) {
    match decides {
        Deciding::ThroughputRps => (
            "Closed-loop throughput",
            "; where its leader is LIMITED (the generator was the limit), server CPU per request at \
             the common rate decides instead",
        ),
        Deciding::ServerCpuUsPerRequest => (
            "Server CPU per request at the common rate",
            ": there the load generator saturates before a good server does (closed-loop throughput \
             where a server is measured whose process is not known)",
        ),
        Deciding::ResponseP50Us => (
            "p50 response time at the common rate",
            ": of one connection, p99 shows the noise of the machine",
        ),
        Deciding::ResponseP90Us => (
            "p90 response time at the common rate",
            ": it shows how long short requests wait for long ones",
        ),
        Deciding::ResponseP99Us => (
            "p99 response time of the good requests at the common rate",
            "",
        ),
        Deciding::GoodputRps => ("Goodput while twice the capacity is offered", ""),
    }
}

/// The figure that the run says decides `scenario`.
fn deciding(run: &Run, scenario: &str) -> Deciding {
    run.scenario(scenario)
        .map_or_else(Deciding::default, |each| each.decides)
}

/// The choice for `scenario`.
pub fn choose(run: &Run, scenario: &str) -> Choice {
    let metric = match deciding(run, scenario) {
        Deciding::ThroughputRps if leader_is_limited(run, scenario) => Metric::ServerCpu,
        Deciding::ThroughputRps => Metric::Throughput,
        Deciding::ServerCpuUsPerRequest if cpu_is_unknown(run, scenario) => Metric::Throughput,
        Deciding::ServerCpuUsPerRequest => Metric::ServerCpu,
        Deciding::ResponseP50Us => Metric::P50,
        Deciding::ResponseP90Us => Metric::P90,
        Deciding::ResponseP99Us => Metric::P99,
        Deciding::GoodputRps => Metric::Goodput,
    };
    of(run, scenario, metric)
}

/// `true` where the process of a server is not known, so that its CPU cannot be compared, and a closed
/// loop was measured that can be.
fn cpu_is_unknown(run: &Run, scenario: &str) -> bool {
    let windows = run.windows(scenario);
    let told = |row: &Row| {
        let cell = |window: &Window| run.cell(&row.label, scenario, *window);
        let told = |window| !cell(window).values(Metric::ServerCpu).is_empty();
        windows.iter().any(told)
    };
    let mut others = run.models().filter(|row| row.role == Role::Target);
    windows.contains(&Window::Closed) && others.any(|row| !told(row))
}

/// The window in which `metric` is compared: throughput in the closed loop, all else at the common
/// rate, or in the first window there is where no rate has a VALID figure.
pub fn of(run: &Run, scenario: &str, metric: Metric) -> Choice {
    let first = || run.windows(scenario).first().copied();
    let window = match metric {
        Metric::Throughput => None,
        _ => common_rate(run, scenario, metric).or_else(first),
    };
    let window = window.unwrap_or(Window::Closed);
    Choice { metric, window }
}

/// The highest rate that at least half of the models hold, else the one that most do.
fn common_rate(run: &Run, scenario: &str, metric: Metric) -> Option<Window> {
    let holders = |window: Window| {
        let (mut held, mut tried) = (0, 0);
        for row in run.models() {
            let cell = run.cell(&row.label, scenario, window);
            let able = !matches!(
                cell.state_for(metric),
                State::Blocks | State::NotOffered | State::Missing
            );
            tried += usize::from(able);
            let valid = cell.state_for(metric) == State::Valid && !cell.values(metric).is_empty();
            held += usize::from(valid && cell.holds(metric));
        }
        // Past one half more holders count for nothing: then the higher rate is the better one.
        (if 2 * held >= tried { tried } else { held }, held > 0)
    };
    run.windows(scenario)
        .into_iter()
        .filter(|window| *window != Window::Closed)
        .map(|window| (holders(window), window))
        .filter(|((_, any), _)| *any)
        .max()
        .map(|(_, window)| window)
}

/// `true` when a LIMITED closed-loop throughput is at least the best VALID one.
pub fn leader_is_limited(run: &Run, scenario: &str) -> bool {
    let best = |wanted: State| {
        run.models()
            .map(|row| run.cell(&row.label, scenario, Window::Closed))
            .filter(|cell| cell.state_for(Metric::Throughput) == wanted)
            .filter_map(|cell| {
                let values = cell.values(Metric::Throughput);
                Some(Spread::of(values.into_values(), Evidence::Figures)?.median)
            })
            .max_by(f64::total_cmp)
    };
    match (best(State::Limited), best(State::Valid)) {
        (Some(limited), Some(valid)) => limited >= valid,
        (limited, _) => limited.is_some(),
    }
}
