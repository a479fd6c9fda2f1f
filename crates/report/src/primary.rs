//! Which figure decides a scenario. One rule, fixed before any result is seen:
//!
//! * tiny and churn scenarios: **server CPU a request** at the common rate. Their closed loop runs
//!   into the generator before it runs into a good server; the CPU that a given load costs remains
//!   comparable.
//! * latency: **p50 response** at the common rate. Of one connection's requests the slowest in a
//!   hundred show the machine, and differ tenfold between two runs of one server.
//! * bimodal: **p90 response** at the common rate: of nine requests in ten none is a long one, so
//!   what they wait for is the long ones of others.
//! * idle-many: **server CPU a request** at the common rate.
//! * slow-clients, poison: **p99 response** of the good ones at the common rate.
//! * overload: **goodput** while twice the capacity is offered.
//! * everything else: **closed-loop throughput**, unless the column's leader is LIMITED: then a
//!   ranking would rank the generator, and server CPU at the common rate decides instead.
//!
//! The *common rate* is the highest offered rate that at least half of the models hold with VALID
//! trials. A model that does not hold it comes last: an overloaded server serves few requests, and
//! those cheaply.

use crate::cell::State;
use crate::metric::Metric;
use crate::run::{Run, Window};
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
pub const RULE: &str = "One figure decides each scenario, by a rule fixed beforehand. \
Tiny, churn and idle-many: server CPU a request at the common offered rate, because there the load \
generator saturates before a good server does. Latency: p50 response time at the common rate (of one \
connection, p99 is the noise of the machine). Bimodal: p90, what short requests wait for long ones. \
Slow clients and poison: p99 of the good requests. Overload: goodput while twice the capacity is \
offered. All others: closed-loop throughput, unless the leader is LIMITED (the generator was the \
limit), then server CPU a request at the common rate. The common rate is the highest offered rate \
that at least half of the models hold (99 % answered, VALID); a model that does not hold it comes \
last. Peers, servers that are not of this collection, stand beside the model they embody: measured \
against the best model, never ranked.";

/// The choice for `scenario`.
pub fn choose(run: &Run, scenario: &str) -> Choice {
    let metric = match scenario {
        "latency" => Metric::P50,
        "bimodal" => Metric::P90,
        "slow-clients" | "poison" => Metric::P99,
        "overload" => Metric::Goodput,
        "churn" | "idle-many" => Metric::ServerCpu,
        _ if scenario.starts_with("tiny") || leader_is_limited(run, scenario) => Metric::ServerCpu,
        _ => Metric::Throughput,
    };
    of(run, scenario, metric)
}

/// The window in which `metric` is compared: throughput in the closed loop, all else at the common
/// rate, or in the first window there is where no rate has a VALID figure.
pub fn of(run: &Run, scenario: &str, metric: Metric) -> Choice {
    let first = || {
        run.windows(scenario)
            .first()
            .copied()
            .unwrap_or(Window::Closed)
    };
    let window = match metric {
        Metric::Throughput => Window::Closed,
        _ => common_rate(run, scenario, metric).unwrap_or_else(first),
    };
    Choice { metric, window }
}

/// The highest rate that at least half of the models hold, else the one that most do.
fn common_rate(run: &Run, scenario: &str, metric: Metric) -> Option<Window> {
    let holders = |window: Window| {
        let (mut held, mut tried) = (0, 0);
        for row in run.models() {
            let cell = run.cell(&row.label, scenario, window);
            let able = !matches!(
                cell.state,
                State::Blocks | State::NotOffered | State::Missing
            );
            tried += usize::from(able);
            let valid = cell.state == State::Valid && !cell.values(metric).is_empty();
            held += usize::from(valid && cell.holds());
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
            .filter(|cell| cell.state == wanted)
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
