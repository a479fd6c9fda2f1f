//! The comparison as Markdown for a terminal.

use super::environment::Difference;
use super::line::{Finding, Line, Side};
use super::report::{Outcome, Report};
use crate::format;
use crate::markdown::Table;
use crate::metric::Metric;

/// What is printed; `all` adds the lines without a difference.
pub fn markdown(report: &Report, all: bool) -> String {
    let mut out = String::from("# Before and after\n\n");
    environment(report, &mut out);
    for note in &report.notes {
        out.push_str(&format!("> {note}\n>\n"));
    }
    out.truncate(out.len() - ">\n".len());
    out.push_str(&format!(
        "\n{}\n\n{}\n\n",
        sentence(report),
        visible(report)
    ));
    let mut sections = vec![
        (
            Finding::Lost,
            "No longer valid, and the server is the reason",
        ),
        (Finding::Worse, "Worse"),
        (
            Finding::NotComparable,
            "NOT COMPARABLE: the later figure is unusable because of the machine or the generator, so nothing is known",
        ),
        (Finding::Better, "Better"),
    ];
    if all {
        sections.extend([
            (Finding::TooClose, "Too close to call"),
            (Finding::Equivalent, "Equivalent"),
            (Finding::NotCompared, "Not compared"),
        ]);
    }
    for (finding, title) in sections {
        let lines: Vec<&Line> = report.lines_of(finding).collect();
        if !lines.is_empty() {
            out.push_str(&format!("## {title}\n\n{}\n", table(&lines)));
        }
    }
    out
}

fn environment(report: &Report, out: &mut String) {
    let titles = [
        (
            true,
            "THE MACHINE IS NOT THE SAME, so what follows compares the machines too:",
        ),
        (false, "The builds or the options differ:"),
    ];
    if report.differences.is_empty() {
        out.push_str("Same machine, kernel and build.\n\n");
    }
    for (machine, title) in titles {
        let found = report.differences.iter();
        let lines: String = found
            .filter(|each| each.machine == machine)
            .map(difference)
            .collect();
        if !lines.is_empty() {
            out.push_str(&format!("{title}\n\n{lines}\n"));
        }
    }
}

fn difference(each: &Difference) -> String {
    let [before, after] = [&each.before, &each.after].map(|text| match text.as_str() {
        "" => "not recorded",
        known => known,
    });
    format!("- {}: {before} → {after}\n", each.name)
}

/// `1 no longer valid, 2 worse, 3 NOT COMPARABLE, 1 better, 40 equivalent, 12 too close to call, 3
/// not compared.`
fn sentence(report: &Report) -> String {
    let count = |finding| report.lines_of(finding).count();
    let unusable = match count(Finding::NotComparable) {
        0 => String::new(),
        n => format!("{n} NOT COMPARABLE, "),
    };
    format!(
        "**{} no longer valid, {} worse, {unusable}{} better**, {} equivalent, {} too close to call, {} not compared.",
        report.lost,
        report.worse,
        report.better,
        count(Finding::Equivalent),
        count(Finding::TooClose),
        count(Finding::NotCompared)
    )
}

/// What the exit status says, and what could have been seen.
fn visible(report: &Report) -> String {
    let see = format!("{:.0} %", (report.see - 1.0) * 100.0);
    let mut smallest: Vec<f64> = report
        .lines
        .iter()
        .filter(|line| line.decides)
        .filter_map(|line| line.smallest_slowdown)
        .collect();
    smallest.sort_by(f64::total_cmp);
    let at = |q| crate::stats::percentile_of(&smallest, q).map(|ratio| (ratio - 1.0) * 100.0);
    let span = match (at(0.5), at(1.0)) {
        (Some(half), Some(all)) => format!(
            " Of the figures that decide a scenario, half would have shown a slowdown of {half:.0} % and all of them one of {all:.0} %."
        ),
        _ => String::new(),
    };
    let outcome = match report.outcome {
        Outcome::Slower => "Something became slower or was lost.".to_owned(),
        Outcome::NotSlower => {
            format!("Nothing became slower, and a slowdown of {see} would have been seen.")
        }
        Outcome::Undecided => format!(
            "It cannot be decided: nothing was seen to become slower, but {} would not have shown a slowdown of {see} or were spoilt by the machine.",
            format::count(report.blind, "figure")
        ),
    };
    format!("{outcome}{span}")
}

fn table(lines: &[&Line]) -> String {
    let header = [
        "model",
        "scenario",
        "load",
        "figure",
        "before",
        "after",
        "times worse",
        "interval",
        "zone",
        "would show",
        "n",
        "verdict",
    ];
    let mut table = Table::new(header);
    for line in lines {
        let show = |side: Option<Side>| {
            let median = side.map(|side| side.median.unwrap_or(f64::INFINITY));
            match (line.metric, median) {
                (Some(metric), Some(median)) => metric.show(median),
                (None, Some(median)) => format::number(median),
                (_, None) => "-".to_owned(),
            }
        };
        let n = |side: Option<Side>| side.map_or(0, |side| side.n);
        let bare = |ratio: Option<f64>| format::factor_bare(ratio.unwrap_or(f64::INFINITY));
        let judged = !matches!(
            line.finding,
            Finding::Lost | Finding::NotComparable | Finding::NotCompared
        );
        let only = |text: String| if judged { text } else { "-".to_owned() };
        table.push([
            line.model.clone(),
            line.scenario.clone(),
            line.load.clone(),
            line.figure.to_owned(),
            show(line.before),
            show(line.after),
            only(format!("{}×", bare(line.ratio))),
            only(format!("{}–{}", bare(line.low), bare(line.high))),
            line.zone.map_or("-".to_owned(), |zone| {
                format!("±{:.1} %", (zone - 1.0) * 100.0)
            }),
            only(
                line.smallest_slowdown
                    .map_or("nothing".to_owned(), |smallest| {
                        format!("+{:.0} %", (smallest - 1.0) * 100.0)
                    }),
            ),
            match line.metric.is_some() || line.exact {
                true => format!("{}/{}", n(line.before), n(line.after)),
                false => "-".to_owned(),
            },
            verdict(line),
        ]);
    }
    table.render()
}

/// The verdict in the words of the figure.
fn verdict(line: &Line) -> String {
    let (worse, better) = match line.metric {
        _ if line.exact => ("more", "fewer"),
        Some(Metric::ServerCpu) => ("costlier", "cheaper"),
        Some(Metric::Pss) => ("larger", "smaller"),
        Some(Metric::Throughput | Metric::Goodput) => ("less", "more"),
        _ => ("slower", "faster"),
    };
    match line.finding {
        Finding::Worse => worse.to_owned(),
        Finding::Better => better.to_owned(),
        Finding::Equivalent => "equivalent".to_owned(),
        Finding::TooClose => "too close to call".to_owned(),
        Finding::Lost | Finding::NotComparable | Finding::NotCompared => line.reason.clone(),
    }
}
