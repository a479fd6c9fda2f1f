//! The comparison as Markdown for a terminal.

use super::environment::Difference;
use super::line::{Finding, Line, Side};
use super::report::Report;
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
    out.push_str(&format!("\n{}\n\n", sentence(report)));
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
        let lines: Vec<&Line> = report
            .lines
            .iter()
            .filter(|line| line.finding == finding)
            .collect();
        if !lines.is_empty() {
            out.push_str(&format!("## {title}\n\n{}\n", table(&lines)));
        }
    }
    out
}

fn environment(report: &Report, out: &mut String) {
    let of = |machine: bool| -> Vec<&Difference> {
        report
            .differences
            .iter()
            .filter(|each| each.machine == machine)
            .collect()
    };
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
        let found = of(machine);
        if found.is_empty() {
            continue;
        }
        out.push_str(&format!("{title}\n\n"));
        for each in found {
            let known = |text: &str| {
                if text.is_empty() {
                    "not recorded".to_owned()
                } else {
                    text.to_owned()
                }
            };
            out.push_str(&format!(
                "- {}: {} → {}\n",
                each.name,
                known(&each.before),
                known(&each.after)
            ));
        }
        out.push('\n');
    }
}

/// `1 no longer valid, 2 worse, 3 NOT COMPARABLE, 1 better, 40 equivalent, 12 too close to call, 3
/// not compared.`
fn sentence(report: &Report) -> String {
    let count = |finding| {
        report
            .lines
            .iter()
            .filter(|line| line.finding == finding)
            .count()
    };
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
        "n",
        "verdict",
    ];
    let mut table = Table::new(header);
    for line in lines {
        let show = |side: Option<Side>| {
            let median = side.map(|side| side.median.unwrap_or(f64::INFINITY));
            let shown = line.metric.zip(median);
            shown.map_or("-".to_owned(), |(metric, median)| metric.show(median))
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
            line.metric.map_or("-".to_owned(), |_| {
                format!("{}/{}", n(line.before), n(line.after))
            }),
            verdict(line),
        ]);
    }
    table.render()
}

/// The verdict in the words of the figure.
fn verdict(line: &Line) -> String {
    let (worse, better) = match line.metric {
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
