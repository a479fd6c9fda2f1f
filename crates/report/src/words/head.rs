//! What stands at the head of a report.

use crate::data::{Role, Sequential};
use crate::format;
use crate::matrix::Matrix;
use crate::noise::{self, Placebo};
use crate::run::{Row, Run};
use crate::session::Session;
use crate::stats::Evidence;

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
    let (models, servers): (Vec<&Row>, Vec<&Row>) =
        run.models().partition(|row| row.role == Role::Model);
    let mut rows = vec![(models.len(), "model"), (servers.len(), "other server")];
    // A run of nothing says so.
    if rows.iter().any(|(count, _)| *count > 0) {
        rows.retain(|(count, _)| *count > 0);
    } else {
        rows.truncate(1);
    }
    let rows: Vec<String> = rows
        .iter()
        .map(|(n, what)| format::count(*n, what))
        .collect();
    let mut text = format!(
        "{} in {}, {} trials in {}",
        rows.join(" and "),
        format::count(run.scenarios.len(), "scenario"),
        format::number(
            run.trials
                .iter()
                .filter(|trial| trial.figures.is_some())
                .count() as f64
        ),
        format::count(run.blocks as usize, "block"),
    );
    if !env.cpu.is_empty() {
        text.push_str(&format!(", on {}", env.cpu));
    }
    let mut machine = Vec::new();
    if env.cpus > 0 {
        machine.push(format::count(env.cpus as usize, "CPU"));
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

/// The columns in which the session finds a difference between a server and itself.
pub fn differing(verdict: &Matrix) -> Vec<String> {
    let placebos = verdict
        .columns
        .iter()
        .filter_map(|column| column.placebo.as_ref());
    let notice = |placebo: &Placebo| {
        let against = placebo.comparison.filter(|_| placebo.differs)?;
        Some(format!(
            "A/A shows a difference in {} ({}): one server, measured twice, gave {} ({}). Differences of that size in this column mean nothing.",
            placebo.scenario,
            placebo.choice.metric.name(),
            format::factor(against.log.exp()),
            format::factor_interval(against.low.exp(), against.high.exp()),
        ))
    };
    placebos.filter_map(notice).collect()
}

/// What the reader must know before the first figure.
pub fn notices(session: &Session) -> Vec<String> {
    let run = &session.run;
    let evidence = Evidence::of(run.blocks);
    let mut notices = differing(&session.verdict);
    if session.verdict.evidence == Evidence::Figures && !run.trials.is_empty() {
        notices.push(format!(
            "{} only: figures are shown, nothing is ranked.",
            format::count(run.blocks as usize, "block")
        ));
    }
    notices.extend(run.env.sequential.map(in_rounds));
    if run.env.size == "full" && run.env.sequential.is_none() && evidence != Evidence::Intervals {
        notices.push(format!(
            "A full run has ten blocks or more; this one has {} so far and is judged by those.",
            run.blocks
        ));
    }
    notices.extend(run.remarks.iter().cloned());
    notices
}

/// How a run in rounds was stopped, and what its verdicts rest on.
fn in_rounds(how: Sequential) -> String {
    let percent = format::number(how.until_percent);
    let minutes = how.minutes.map_or(String::new(), |minutes| {
        format!(", or {} minutes were over", format::number(minutes))
    });
    format!(
        "Measured in rounds until every verdict was settled to within {percent} %{minutes}: a server that is tied is no more than {percent} % worse, one that is behind is estimated to be further away and its interval begins beyond {} %. Intervals allow for the repeated looks: all verdicts of a column are right in 95 of 100 such runs. Servers that were settled were not measured on.",
        format::number(how.until_percent / 2.0)
    )
}

/// How to read the verdict matrix.
pub fn how_to_read(evidence: Evidence) -> String {
    match evidence {
        Evidence::Figures => "There are too few blocks to rank: each cell is the figure itself.".to_owned(),
        Evidence::Ranges => "Each cell says how many times worse a server is than the best of its column (1.00× is the best), from medians, with the range over blocks, and its tier. A tier holds the servers that differ from its best member by too little: their ranges overlap, or are no further apart than the indifference zone (≈ too close to call).".to_owned(),
        Evidence::Intervals => "Each cell says how many times worse a server is than the best of its column (1.00× is the best), from within-block ratios, with its 95 % interval, and its tier. A tier holds the servers for which no difference from its best member was found: equivalent within the indifference zone (=) or too close to call (≈). A difference counts when the ratio lies beyond the zone and its whole interval beyond 3 %.".to_owned(),
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
        "Time of the run: {} announced beforehand, {} taken ({than}).",
        format::clock(announced),
        format::clock(taken)
    ))
}
