//! The sentences that the Markdown and the HTML share.

use std::collections::BTreeSet;

use crate::cell::{Cell, State};
use crate::data::{Pass, Trial, Validity};
use crate::format;
use crate::matrix::{Column, Entry};
use crate::metric::Metric;
use crate::noise::{self, Placebo};
use crate::run::{Run, Window};
use crate::stats::Evidence;

/// What the A/A placebo is.
pub const PLACEBO: &str = "A/A: one server measured twice in each block under two names. A ratio \
other than 1 is the session's own noise. The zone within which a difference counts as none is the \
largest of 3 %, the 95th percentile of the ratios by block (of fewer than twenty, their largest), and \
that of the session's ratios when the two names are exchanged in any of the blocks.";

/// What the gates are.
pub const GATES: &str = "Every window passes the same gates: the generator's punctuality and CPU, \
the distance to the null server, Little's law, connections alive, stolen time, checked replies, \
outcomes that add up. What fails one is LIMITED or INVALID and says why.";

/// What the generator's table tells.
pub const GENERATOR: &str = "Lateness is the generator's own, not the server's: how long after its \
due time a request with a free connection was sent. The null server answers a constant without \
parsing: the ceiling of machine and generator.";

/// `Turnstile: server concurrency models, quick run of 2026-11-23`.
pub fn title(run: &Run) -> String {
    let mut title = "Turnstile: server concurrency models side by side".to_owned();
    if !run.env.size.is_empty() {
        title.push_str(&format!(", {} run", run.env.size));
    }
    if let Some(day) = run.env.started.get(..10) {
        title.push_str(&format!(" of {day}"));
    }
    title
}

/// One sentence: what was measured on which machine.
pub fn measured(run: &Run) -> String {
    let env = &run.env;
    let models = run.models().count();
    let mut text = format!(
        "{} in {}, {} trials in {}",
        count(models, "model"),
        count(run.scenarios.len(), "scenario"),
        format::number(
            run.trials
                .iter()
                .filter(|trial| trial.figures.is_some())
                .count() as f64
        ),
        count(run.blocks as usize, "block"),
    );
    if !env.cpu.is_empty() {
        text.push_str(&format!(", on {}", env.cpu));
    }
    let mut machine = Vec::new();
    if env.cpus > 0 {
        machine.push(count(env.cpus as usize, "CPU"));
    }
    if env.memory_mib > 0 {
        machine.push(format::kib(env.memory_mib as f64 * 1024.0));
    }
    if !env.kernel.is_empty() {
        machine.push(format!("Linux {}", env.kernel));
    }
    if env.virtual_machine {
        machine.push("virtual machine".to_owned());
    }
    if !machine.is_empty() {
        text.push_str(&format!(" ({})", machine.join(", ")));
    }
    if !env.server_cpus.is_empty() && !env.load_cpus.is_empty() {
        text.push_str(&format!(
            "; server on CPU {}, load on CPU {}",
            env.server_cpus, env.load_cpus
        ));
    }
    text + "."
}

/// `1 model`, `7 models`.
pub fn count(n: usize, what: &str) -> String {
    format!(
        "{} {what}{}",
        format::number(n as f64),
        if n == 1 { "" } else { "s" }
    )
}

/// The columns in which the session tells a server from itself.
pub fn differing(run: &Run) -> Vec<String> {
    let placebos = run
        .verdict()
        .columns
        .iter()
        .filter_map(|column| column.placebo.as_ref());
    let notice = |placebo: &Placebo| {
        let against = placebo.comparison.filter(|_| placebo.differs)?;
        Some(format!(
            "A/A shows a difference in {} ({}): the same server twice gave {} ({}). Differences of that size in this column mean nothing.",
            placebo.scenario,
            placebo.choice.metric.name(),
            format::factor(against.log.exp()),
            format::factor_interval(against.low.exp(), against.high.exp()),
        ))
    };
    placebos.filter_map(notice).collect()
}

/// What the reader must know before the first figure.
pub fn notices(run: &Run) -> Vec<String> {
    let evidence = Evidence::of(run.blocks);
    let mut notices = differing(run);
    if evidence == Evidence::Figures && !run.trials.is_empty() {
        notices.push(format!(
            "{}: figures only, nothing is ranked.",
            count(run.blocks as usize, "block")
        ));
    }
    if run.env.size == "full" && evidence != Evidence::Intervals {
        notices.push(format!(
            "A full run has ten blocks or more, this one has {} so far and is judged by what it has.",
            run.blocks
        ));
    }
    notices.extend(run.remarks.iter().cloned());
    notices
}

/// How to read the verdict matrix.
pub fn how_to_read(evidence: Evidence) -> String {
    match evidence {
        Evidence::Figures => "Too few blocks to rank: each cell is the figure itself.".to_owned(),
        Evidence::Ranges => "Each cell: how many times worse than the best of its column (1.00× is the best), from medians, with the range over blocks, and its tier. A tier is what cannot be told from its best member: the ranges overlap, or are no further apart than the indifference zone (≈ too close to call).".to_owned(),
        Evidence::Intervals => "Each cell: how many times worse than the best of its column (1.00× is the best), from within-block ratios, with its 95 % interval, and its tier. A tier is what cannot be told from its best member: equivalent within the indifference zone (=) or too close to call (≈). A difference counts when the ratio lies beyond the zone and its whole interval beyond 3 %.".to_owned(),
    }
}

/// `Announced before the run: 12 min 25 s. Taken: 11 min 34 s, 7 % less.`
pub fn duration(run: &Run) -> Option<String> {
    let (announced, taken) = noise::duration(run)?;
    let percent = (taken / announced - 1.0) * 100.0;
    let than = match percent {
        _ if !run.env.complete => "not complete".to_owned(),
        _ if percent.abs() < 0.5 => "as announced".to_owned(),
        _ if percent < 0.0 => format!("{:.0} % less", -percent),
        _ => format!("{percent:.0} % more"),
    };
    Some(format!(
        "Time of the run: announced beforehand {}, taken {} ({than}).",
        format::clock(announced),
        format::clock(taken)
    ))
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
            let by_block: Vec<String> = placebo
                .logs
                .values()
                .map(|log| format::factor(log.exp()))
                .collect();
            by_block.join(" ")
        }
    }
}

/// A bound: a generator-bound throughput is at least what was seen, a cost not a floor but unsure.
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
        State::Limited => "generator-bound",
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
    let mut text = run.env.purposes.get(scenario).cloned().unwrap_or_default();
    let first = run.trials.iter().find(|trial| trial.scenario == scenario);
    if let Some(shape) = first.map(|trial| &trial.shape) {
        let reuse = if shape.keep_alive {
            "keep-alive"
        } else {
            "a connection a request"
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!(
            "Load: GET {}, {}, {reuse}, {} in flight on each, window {} s.",
            shape.path,
            count(shape.connections as usize, "connection"),
            shape.pipeline,
            format::number(shape.duration_s),
        ));
    }
    text
}

/// The load of a trial, or what else it is there for.
pub fn load(trial: &Trial) -> String {
    match trial.pass {
        Pass::Measure => Window::of(&trial.shape).describe(),
        Pass::Memory => "memory by connections".to_owned(),
        Pass::SystemCalls => "system calls".to_owned(),
        Pass::Capacity => "capacity search".to_owned(),
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
        State::Valid => format!("VALID; left out: {reasons}"),
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
trial with most of them. Of a closed loop they starve, and its throughput is that of the others \
only; of an open loop they may have had nothing to do.";

/// What an overloaded server still answers: `answers 930/s`.
pub fn answered(entry: &Entry) -> String {
    entry.answered_rps.map_or(String::new(), |rate| {
        format!("answers {}", format::rate(rate))
    })
}
