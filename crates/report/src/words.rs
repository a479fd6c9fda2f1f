//! The sentences that the Markdown and the HTML share.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{Cell, State};
use crate::data::{Pass, Role, Shape, Trial, Validity};
use crate::format;
use crate::matrix::{Column, Entry};
use crate::metric::Metric;
use crate::run::{Run, Window};

mod head;

pub use head::{differing, duration, how_to_read, measured, notices, title};

/// What the A/A placebo is.
pub const PLACEBO: &str = "A/A: one server is measured twice in each block, under two names. A ratio \
other than 1 is the noise of the session. A difference within the indifference zone counts as none. The \
zone is 3 %, or the 95th percentile of the A/A ratios where that is more: with fewer than ten blocks \
the ratios by block (of fewer than twenty, their largest), else the ratios of the whole session that \
arise when the two names are exchanged in any set of its blocks.";

/// What the gates are.
pub const GATES: &str = "Every window is judged by the same gates: the generator was on time and had \
CPU to spare, the null server is well above, Little's law holds, connections are alive, the hypervisor \
took little time, replies are correct, outcomes add up. A trial that does not pass one is LIMITED or \
INVALID and says why.";

/// What the generator's table shows.
pub const GENERATOR: &str = "Lateness: how long after its due time a request was sent that had a free \
connection. The server has no part in this delay; where the generator was stopped or late, the report \
attributes the delay to the generator. The null server answers with a constant and parses nothing: it \
shows the most that machine and generator can do.";

/// What the figure of a scenario means for a service, in one sentence; of one that is not in the table of
/// scenarios (a workload file, another version), what it is there to show.
pub fn means(run: &Run, scenario: &str) -> String {
    let known = match scenario {
        "tiny-keepalive" => "An API behind a proxy: what each small request costs you in CPU.",
        "tiny-pipelined" => "A cache or a queue whose clients send without waiting.",
        "churn" => {
            "Clients that connect anew for each request: a load balancer without keep-alive."
        }
        "latency" => "One client that waits for each answer before it asks again.",
        "large" => {
            "Downloads and media: replies of 64 KiB, most of whose cost is copying and sending."
        }
        "cpu" => "Templates, compression, cryptography: work that keeps a CPU busy.",
        "bimodal" => "A few long requests among short ones: how long the short ones wait.",
        "blocking" => "Handlers that call a database or a service and block their thread.",
        "cooperative" => {
            "The same back end, when the handler gives the thread back while it waits."
        }
        "sqlite" => "An embedded database with a few writes among many reads.",
        "idle-many" => "Chat, push and long polling: thousands of connections that say little.",
        "slow-clients" => "Phones on bad networks, and attackers who behave like them.",
        "overload" => "A crowd twice as large as you planned for: what is still answered in time.",
        "poison" => "One request that hangs: who else has to wait for it.",
        _ => "",
    };
    match (known, run.scenario(scenario)) {
        ("", Some(info)) => info.purpose.clone(),
        (known, _) => known.to_owned(),
    }
}

/// `A/A` in a column of the matrix.
pub fn placebo(column: &Column) -> String {
    let Some(placebo) = &column.placebo else {
        return "-".to_owned();
    };
    match placebo.comparison {
        Some(each) => format!(
            "{} ({})",
            format::factor(each.log.exp()),
            format::factor_interval(each.low.exp(), each.high.exp())
        ),
        None => {
            let logs = placebo.logs.values();
            let by_block: Vec<String> = logs.map(|log| format::factor(log.exp())).collect();
            by_block.join(" ")
        }
    }
}

/// A figure that is a bound: a throughput is at least what was seen; a cost is only unsure.
pub fn bound(metric: Metric, figure: &str) -> String {
    if metric.more_is_better() {
        format!("≥ {figure}")
    } else {
        figure.to_owned()
    }
}

/// A state that holds no figure.
pub fn state(state: State) -> &'static str {
    match state {
        State::Valid => "not measured",
        State::Limited => "limited",
        State::Invalid => "excluded",
        State::Blocks => "blocks by design",
        State::NotOffered => "route not offered",
        State::Missing => "-",
    }
}

/// A state as the files spell it.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Valid => "VALID",
        State::Limited => "LIMITED",
        State::Invalid => "INVALID",
        State::Blocks => "blocks by design",
        State::NotOffered => "route not offered",
        State::Missing => "not measured",
    }
}

/// A trial's validity as the files spell it.
pub fn validity_of(validity: Validity) -> &'static str {
    match validity {
        Validity::Valid => "VALID",
        Validity::Limited => "LIMITED",
        Validity::Invalid => "INVALID",
        Validity::Blocks => "BLOCKS",
    }
}

/// The purpose of `scenario` and the shape of its load.
pub fn scenario(run: &Run, scenario: &str) -> String {
    let mut text = run
        .scenario(scenario)
        .map_or_else(String::new, |each| each.purpose.clone());
    let here = || run.trials.iter().filter(|trial| trial.scenario == scenario);
    // The null server answers everything alike; what the others are asked for is the load.
    let first = here().find(|trial| trial.role != Role::Null);
    let first = first.or_else(|| here().next());
    if let Some(shape) = first.map(|trial| &trial.shape) {
        let reuse = match shape.keep_alive {
            true if shape.churn > 0.0 => format!(
                "kept, and a new one for {} % of the requests",
                format::number(shape.churn * 100.0)
            ),
            true => "keep-alive".to_owned(),
            false => "a new connection for each request".to_owned(),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!(
            "Load: {}, {}, {reuse}, {} in flight on each, window of {} s.",
            asked_for(here()),
            format::count(shape.connections as usize, "connection"),
            shape.pipeline,
            format::number(shape.duration_s),
        ));
    }
    text
}

/// `GET /plaintext`, or which server was asked for what where they differ.
fn asked_for<'a>(trials: impl Iterator<Item = &'a Trial>) -> String {
    let mut paths: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut null = None;
    for trial in trials {
        match trial.role {
            Role::Null => null = Some(requests(&trial.shape)),
            Role::Placebo => {}
            Role::Model | Role::Target => {
                let labels = paths.entry(requests(&trial.shape)).or_default();
                labels.insert(&trial.label);
            }
        }
    }
    let common = paths.iter().max_by_key(|(_, labels)| labels.len());
    let common = common.map(|(path, _)| path.clone()).or(null);
    let common = common.unwrap_or_else(|| "GET /".to_owned());
    let others = paths.iter().filter(|(path, _)| **path != common);
    let others: Vec<String> = others
        .map(|(path, labels)| {
            let labels: Vec<&str> = labels.iter().copied().collect();
            let path = path.strip_prefix("GET ").unwrap_or(path);
            format!("{path} of {}", labels.join(" and "))
        })
        .collect();
    match others.is_empty() {
        true => common,
        false => format!("{common} ({})", others.join(", ")),
    }
}

/// `GET /plaintext`, or `90 % GET /kv/{n:1000} and 10 % PUT /kv/{n:1000}`.
fn requests(shape: &Shape) -> String {
    let kind = |text: &'_ String| {
        let mut parts = text.splitn(3, ':');
        let weight: f64 = parts.next()?.parse().ok()?;
        Some((weight, format!("{} {}", parts.next()?, parts.next()?)))
    };
    let kinds: Vec<(f64, String)> = shape.mix.iter().filter_map(kind).collect();
    let all: f64 = kinds.iter().map(|(weight, _)| weight).sum();
    let share = |(weight, what): &(f64, String)| {
        format!("{} % {what}", format::number(100.0 * weight / all))
    };
    match &kinds[..] {
        [] => format!("GET {}", shape.path),
        [(_, what)] => what.clone(),
        // A workload may have a hundred kinds for each of its classes.
        [first, .., last] if kinds.len() > KINDS_SHOWN => {
            format!(
                "{}, ... {} ({} kinds)",
                share(first),
                share(last),
                kinds.len()
            )
        }
        kinds => kinds.iter().map(share).collect::<Vec<_>>().join(" and "),
    }
}

/// Kinds of request that are written out.
const KINDS_SHOWN: usize = 4;

/// The load of a trial, or what else it is there for.
pub fn load(trial: &Trial) -> String {
    match trial.pass {
        Pass::Measure => Window::of(&trial.shape).describe(),
        Pass::Memory => "memory by connections".to_owned(),
        Pass::SystemCalls => "system calls".to_owned(),
        Pass::Capacity => "capacity search".to_owned(),
        Pass::Drain => "drain".to_owned(),
    }
}

/// Worker counts the trials were given.
pub fn workers(cell: &Cell<'_>) -> String {
    let counts: BTreeSet<u32> = cell
        .trials
        .iter()
        .filter_map(|trial| trial.workers)
        .collect();
    let counts: Vec<String> = counts.iter().map(u32::to_string).collect();
    if counts.is_empty() {
        "default".to_owned()
    } else {
        counts.join(", ")
    }
}

/// Trials the figures rest on, of those there are: `3`, `2/3`.
pub fn trials(cell: &Cell<'_>) -> String {
    let (rests, all) = (cell.used_count(), cell.trials.len());
    if rests == all {
        rests.to_string()
    } else {
        format!("{rests}/{all}")
    }
}

/// The state of a cell with its reason.
pub fn validity(cell: &Cell<'_>) -> String {
    let reasons = cell.reasons.join("; ");
    match cell.state {
        State::Valid if reasons.is_empty() => "VALID".to_owned(),
        State::Valid => format!("VALID; trials left out: {reasons}"),
        State::Limited => format!("LIMITED: {reasons}"),
        State::Invalid => format!("INVALID: {reasons}"),
        State::Blocks => format!("BLOCKS by design: {reasons}"),
        State::NotOffered => format!("not measured: {reasons}"),
        State::Missing => "not measured".to_owned(),
    }
}

/// `12 of 64 unserved`: connections that got no reply in a window while others were served.
pub fn unserved((silent, connections): (u64, u32)) -> String {
    format!(
        "{} of {} unserved",
        format::number(silent as f64),
        format::number(f64::from(connections))
    )
}

/// What [`unserved`] counts, below a table that holds it.
pub const UNSERVED: &str = "Unserved: connections that got no reply at all in the window, in the \
trial with most of them. In a closed loop they starve, and the throughput is that of the others only; in \
an open loop they may have had nothing to send.";

/// What an overloaded server still answers: `answers 930/s`.
pub fn answered(entry: &Entry) -> String {
    entry.answered_rps.map_or(String::new(), |rate| {
        format!("answers {}", format::rate(rate))
    })
}
