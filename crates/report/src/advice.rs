//! Where the run disagrees with what the catalogue advises, and what was measured that says why.
//!
//! The catalogue (`models --json`) says when to pick a model, and a scenario says what it asks of one. Where
//! a model that is not advised is the best of a column, and every model that is advised is behind it, the
//! two are put side by side: how busy they kept the CPU, what a request cost them, and how often they
//! called the kernel, changed tasks and were woken up for it.

use crate::data::{Advice, Pass};
use crate::format;
use crate::matrix::{self, Column, Matrix, Standing};
use crate::metric::Metric;
use crate::run::{Run, Window};
use crate::stats::{self, Comparison, Evidence};

/// A server that used more of its CPUs than this had none to spare.
const BUSY_SHARE: f64 = 0.85;
/// Counts per request that differ by less than this factor, or by less than this many, explain nothing.
const FACTOR_LEAST: f64 = 1.2;
const COUNT_LEAST: f64 = 0.2;

/// A column in which the advised models are behind.
#[derive(Debug, Clone)]
pub struct Disagreement {
    pub scenario: String,
    /// What the advice says, and what came out.
    pub said: String,
    /// What was measured that says why, a sentence each.
    pub why: Vec<String>,
}

/// What one server did in a scenario.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    /// Share of the server's CPUs that it used in the closed loop.
    busy: Option<f64>,
    /// How long a request took there, µs: connections by throughput, since each always had one.
    took_us: Option<f64>,
    /// CPU per request, µs, under the load that decides.
    cpu_us: Option<f64>,
    /// The same of context switches.
    switches: Option<f64>,
    /// System calls per request.
    calls: Option<f64>,
    /// Wake-ups per request.
    wakeups: Option<f64>,
}

/// Every column of the verdict in which the run disagrees, in its order.
pub fn disagreements(run: &Run, verdict: &Matrix) -> Vec<Disagreement> {
    let ranked = verdict
        .columns
        .iter()
        .filter(|column| run.evidence(&column.scenario) != Evidence::Figures);
    ranked
        .filter_map(|column| disagreement(run, verdict, column))
        .collect()
}

fn disagreement(run: &Run, verdict: &Matrix, column: &Column) -> Option<Disagreement> {
    let advice = run.scenario(&column.scenario)?.advice.as_ref()?;
    let advised = |index: &usize| advice.models.contains_key(&verdict.rows[*index].label);
    let standing = |index: &usize| column.entries[*index].standing();
    let ranked = |index: &usize| standing(index).is_some();
    let rows: Vec<usize> = (0..verdict.rows.len()).filter(ranked).collect();
    let best = *rows
        .iter()
        .find(|index| standing(index) == Some(Standing::Best))?;
    let behind = |index: &usize| standing(index) == Some(Standing::Behind);
    let theirs: Vec<usize> = rows.iter().copied().filter(advised).collect();
    if advised(&best) || theirs.is_empty() || !theirs.iter().all(behind) {
        return None;
    }
    let against = |index: &usize| column.entries[*index].place.map(|place| place.against_best);
    let log = |index: &usize| against(index).map_or(f64::INFINITY, |each| each.log);
    let nearest = *theirs.iter().min_by(|a, b| log(a).total_cmp(&log(b)))?;
    let last = rows.iter().max_by(|a, b| log(a).total_cmp(&log(b)));
    let winner = &verdict.rows[best].label;
    let loser = &verdict.rows[nearest].label;
    Some(Disagreement {
        scenario: column.scenario.clone(),
        said: said(
            (advice, winner, loser),
            against(&nearest)?,
            last == Some(&nearest),
            column,
        ),
        why: why(run, column, winner, loser),
    })
}

/// What the advice says and what came out, in two sentences.
fn said(
    (advice, winner, loser): (&Advice, &str, &str),
    against: Comparison,
    last: bool,
    column: &Column,
) -> String {
    let names: Vec<&str> = advice.models.keys().map(String::as_str).collect();
    let pick = advice.models.get(loser).filter(|when| !when.is_empty());
    let pick = pick.map_or(String::new(), |when| {
        format!(" (the catalogue on {loser}: pick it when {when})")
    });
    let rank = match (last, names.len()) {
        (true, _) => format!("{loser} is the last of the column"),
        (false, 1) => format!("{loser} is behind"),
        (false, _) => format!("the best of these, {loser}, is behind"),
    };
    let how_far = match against.log >= stats::INFINITE_LOG / 2.0 {
        true => "it does not hold the rate".to_owned(),
        false => format!("it {}", matrix::behind(column.choice.metric, &against)),
    };
    format!(
        "Advised: {}, because {}{pick}. Measured: {winner}, which is not among them, leads in {}, and {rank}: {how_far}.",
        names.join(", "),
        advice.because,
        column.describe(),
    )
}

/// The sentences that the figures of both allow.
fn why(run: &Run, column: &Column, winner: &str, loser: &str) -> Vec<String> {
    let of = |label| facts(run, label, &column.scenario, column.choice.window);
    let (best, other) = (of(winner), of(loser));
    let mut sentences = Vec::new();
    // Of CPU per request it is no matter how much there was left.
    if !matches!(column.choice.metric, Metric::ServerCpu | Metric::MachineCpu) {
        sentences.extend(busy(winner, loser, &best, &other));
    }
    // Where CPU was left over, what a request costs explains nothing else.
    let spared = |facts: &Facts| facts.busy.is_some_and(|busy| busy < BUSY_SHARE);
    if sentences.is_empty() || !spared(&best) || !spared(&other) {
        sentences.extend(cost(winner, loser, &best, &other));
    }
    if sentences.is_empty() {
        sentences
            .push("Neither their CPU nor their context switches were measured here.".to_owned());
    }
    sentences
}

/// Whether there was a wait that more workers could have used.
fn busy(winner: &str, loser: &str, best: &Facts, other: &Facts) -> Option<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let (ours, theirs) = (best.busy?, other.busy?);
    Some(match (ours >= BUSY_SHARE, theirs >= BUSY_SHARE) {
        (true, true) => format!(
            "In the closed loop both kept the server's CPUs busy ({winner} {}, {loser} {}): requests did not wait for anything but the CPU, so workers that may wait had nothing to gain, and what decides is the CPU per request.",
            percent(ours),
            percent(theirs)
        ),
        (true, false) => format!(
            "In the closed loop {winner} kept the server's CPUs busy ({}) and {loser} did not ({}): its workers waited, for a lock or for each other, while there was work.",
            percent(ours),
            percent(theirs)
        ),
        (false, true) => format!(
            "In the closed loop {loser} ran out of CPU ({}), and {winner} did not ({}).",
            percent(theirs),
            percent(ours)
        ),
        (false, false) => {
            let took = best.took_us.zip(other.took_us).map(|(ours, theirs)| {
                let (ours, theirs) = (format::micros(ours), format::micros(theirs));
                format!(": {ours} with {winner}, {theirs} with {loser}")
            });
            format!(
                "In the closed loop neither used all of the server's CPUs ({winner} {}, {loser} {}): what decides is how long a request takes, not what it costs{}.",
                percent(ours),
                percent(theirs),
                took.unwrap_or_default()
            )
        }
    })
}

/// What a request cost, and what of that was counted.
fn cost(winner: &str, loser: &str, best: &Facts, other: &Facts) -> Option<String> {
    let (ours, theirs) = (best.cpu_us?, other.cpu_us?);
    let mut text = format!(
        "A request cost {winner} {} of CPU and {loser} {}",
        format::micros(ours),
        format::micros(theirs)
    );
    let counted = [
        ("context switches", best.switches, other.switches),
        ("system calls", best.calls, other.calls),
        ("wake-ups", best.wakeups, other.wakeups),
    ];
    let known: Vec<(&str, f64, f64)> = counted
        .into_iter()
        .filter_map(|(name, ours, theirs)| Some((name, ours?, theirs?)))
        .collect();
    let pair = |(name, ours, theirs): &(&str, f64, f64)| {
        format!(
            "{name} {} against {}",
            format::number(*theirs),
            format::number(*ours)
        )
    };
    let more: Vec<String> = known
        .iter()
        .filter(|(_, ours, theirs)| {
            *theirs > FACTOR_LEAST * ours
                && theirs - ours > COUNT_LEAST
                && best.cpu_us < other.cpu_us
        })
        .map(pair)
        .collect();
    let all: Vec<String> = known.iter().map(pair).collect();
    text.push_str(&match (more.as_slice(), all.as_slice()) {
        (_, []) => "; nothing that explains it was counted in this scenario.".to_owned(),
        ([], all) => format!(
            ". Per request it has no more to do with the kernel ({}), so the difference lies in what it computes itself, or in what the same calls cost it.",
            all.join(", ")
        ),
        (more, _) => format!(". Per request {loser} has more {}.", more.join(", more ")),
    });
    if let (true, Some(ours_n), Some(theirs_n)) = (theirs > ours, best.switches, other.switches)
        && theirs_n - ours_n > COUNT_LEAST
        && theirs_n > FACTOR_LEAST * ours_n
    {
        text.push_str(&format!(
            " That is {} for each further context switch.",
            format::micros((theirs - ours) / (theirs_n - ours_n))
        ));
    }
    Some(text)
}

/// How many CPUs a list such as `0-2,5` names.
fn cpus(list: &str) -> Option<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (
            first.trim().parse::<u32>().ok()?,
            last.trim().parse::<u32>().ok()?,
        );
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(range).sum()
}

fn facts(run: &Run, label: &str, scenario: &str, window: Window) -> Facts {
    let middle = |window, metric| {
        let values = run.cell(label, scenario, window).values(metric);
        stats::middle(values.into_values()).filter(|value| value.is_finite())
    };
    let cpus = cpus(&run.env.server_cpus);
    let busy = || {
        let rps = middle(Window::Closed, Metric::Throughput)?;
        let cpu_us = middle(Window::Closed, Metric::ServerCpu)?;
        Some(rps * cpu_us / 1e6 / cpus? as f64)
    };
    let took_us = || {
        let trials = run.cell(label, scenario, Window::Closed).trials;
        let connections = trials.first()?.shape.connections;
        Some(f64::from(connections) * 1e6 / middle(Window::Closed, Metric::Throughput)?)
    };
    let counted = |of: fn(&crate::data::Figures) -> Option<f64>| {
        let trials = run.pass(Pass::SystemCalls, label, scenario);
        trials
            .filter_map(|trial| of(trial.figures.as_ref()?))
            .next()
    };
    Facts {
        busy: busy(),
        took_us: took_us(),
        cpu_us: middle(window, Metric::ServerCpu),
        switches: middle(window, Metric::Switches),
        calls: counted(|figures| figures.system_calls_per_request),
        wakeups: counted(|figures| figures.wakeups_per_request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(busy: f64, cpu_us: f64, switches: f64, calls: f64) -> Facts {
        Facts {
            busy: Some(busy),
            took_us: Some(50.0 * cpu_us),
            cpu_us: Some(cpu_us),
            switches: Some(switches),
            calls: Some(calls),
            wakeups: None,
        }
    }

    #[test]
    fn what_is_more_is_named_and_what_is_not_is_not_blamed() {
        let (proactor, pool) = (facts(0.97, 20.0, 0.1, 2.0), facts(0.95, 45.0, 4.1, 7.0));
        let said = busy("proactor", "thread-pool", &proactor, &pool).expect("known");
        assert!(
            said.contains("both kept the server's CPUs busy (proactor 97 %, thread-pool 95 %)")
        );
        let said = cost("proactor", "thread-pool", &proactor, &pool).expect("known");
        assert!(said.contains("thread-pool has more context switches 4.10 against 0.100, more system calls 7 against 2."), "{said}");
        assert!(
            said.ends_with("That is 6.25 µs for each further context switch."),
            "{said}"
        );
        let tasks = facts(0.97, 45.0, 0.1, 2.0);
        let said = cost("proactor", "async-tasks", &proactor, &tasks).expect("known");
        assert!(said.contains("no more to do with the kernel"), "{said}");
        let idle = facts(0.3, 45.0, 0.1, 2.0);
        let said = busy("a", "b", &idle, &idle).expect("known");
        assert!(said.contains("neither used all"), "{said}");
        assert!(
            said.ends_with("costs: 2.25 ms with a, 2.25 ms with b."),
            "{said}"
        );
        assert!(busy("a", "b", &Facts::default(), &idle).is_none());
    }

    #[test]
    fn cpus_are_counted() {
        assert_eq!(cpus("0"), Some(1));
        assert_eq!(cpus("0-2,5"), Some(4));
        assert_eq!((cpus(""), cpus("3-1")), (None, None));
    }
}
