//! Two runs, compared: what the reader must know first, and every line.

use serde::Serialize;

use super::environment::{self, Difference};
use super::line::{Finding, Line, TOO_FEW};
use super::lines;
use crate::noise;
use crate::run::Run;
use crate::stats::Evidence;

/// Two runs, compared line by line.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the reader must know first.
    pub notes: Vec<String>,
    /// What differs between the two environments.
    pub differences: Vec<Difference>,
    /// Every figure that both runs hold, and what the later one lost.
    pub lines: Vec<Line>,
    /// Lines whose figure was lost, with the server as the reason.
    pub lost: usize,
    /// Lines that are worse.
    pub worse: usize,
    /// Lines that are better.
    pub better: usize,
    /// What was asked to be visible: a slowdown of this factor.
    pub see: f64,
    /// Figures that decide their scenario and would not have shown it, and figures that the machine or the
    /// generator spoilt.
    pub blind: usize,
    /// What the exit status says.
    pub outcome: Outcome,
}

/// What the comparison amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing became slower, and it would have been seen.
    NotSlower,
    /// Something became slower, or was lost.
    Slower,
    /// Nothing was seen, and not everything would have been.
    Undecided,
}

impl Outcome {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::NotSlower => 0,
            Self::Slower => 1,
            Self::Undecided => 3,
        }
    }
}

/// What the outcome rests on.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The later run measured a part on purpose.
    pub partial: bool,
    /// The slowdown that must have been visible, as a factor.
    pub see: f64,
    /// Figures that are counted, and no others.
    pub exact: bool,
}

fn outcome(lines: &[Line], rule: Rule) -> (Outcome, usize) {
    let counts: Vec<&Line> = lines
        .iter()
        .filter(|line| line.exact || !rule.exact)
        .collect();
    let is = |line: &Line, findings: &[Finding]| findings.contains(&line.finding);
    let slower = |line: &&&Line| is(line, &[Finding::Lost, Finding::Worse]);
    let blind = counts.iter().filter(|line| {
        let judged = is(line, &[Finding::TooClose, Finding::Equivalent]);
        // A figure that is the same without noise needs no interval, and one that varies gives one.
        let asked = (line.decides || line.exact) && line.finding != Finding::Better;
        let unjudged =
            line.finding == Finding::NotCompared && line.metric.is_some() && line.decides;
        is(line, &[Finding::NotComparable])
            || asked && judged && !line.would_have_shown(rule.see)
            || unjudged && line.reason == TOO_FEW
    });
    let blind = blind.count();
    let outcome = match counts.iter().filter(slower).count() {
        0 if blind > 0 || counts.is_empty() => Outcome::Undecided,
        0 => Outcome::NotSlower,
        _ => Outcome::Slower,
    };
    (outcome, blind)
}

impl Report {
    /// Compares every figure that both hold; a `partial` later run lost nothing by what it lacks.
    pub fn of(before: &Run, after: &Run, rule: Rule) -> Self {
        let evidence = Evidence::of(before.blocks.min(after.blocks));
        let lines = lines::all(before, after, evidence, rule.partial);
        let (outcome, blind) = outcome(&lines, rule);
        let count = |finding| lines.iter().filter(|line| line.finding == finding).count();
        Self {
            notes: notes(before, after, evidence),
            differences: environment::differences(&before.env, &after.env),
            lost: count(Finding::Lost),
            worse: count(Finding::Worse),
            better: count(Finding::Better),
            see: rule.see,
            blind,
            outcome,
            lines,
        }
    }

    /// The lines of which `finding` follows.
    pub fn lines_of(&self, finding: Finding) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |line| line.finding == finding)
    }
}

fn notes(before: &Run, after: &Run, evidence: Evidence) -> Vec<String> {
    let mut notes = vec![
        "Two sessions share no blocks: all trials of the one are compared with all of the other, and the zone is wide enough for the A/A noise of both and for the change of the null server. Whatever else the machine did differently that day is in no interval.".to_owned(),
    ];
    notes.push(match evidence {
        Evidence::Figures => "One of them has fewer than three blocks: nothing can be decided, only figures are shown.".to_owned(),
        Evidence::Ranges => format!(
            "{} and {} blocks: the span of all differences decides, and equivalence cannot be shown.",
            before.blocks, after.blocks
        ),
        Evidence::Intervals => "Each ratio is the Hodges-Lehmann shift with its 95 % Mann-Whitney interval.".to_owned(),
    });
    for (name, run) in [("BEFORE", before), ("AFTER", after)] {
        let differing = noise::differing(run);
        if !differing.is_empty() {
            notes.push(format!(
                "{name}: its own A/A shows a difference in {}, so differences there mean little.",
                differing.join(", ")
            ));
        }
        if !run.env.complete {
            notes.push(format!("{name} is not complete."));
        }
    }
    for (name, these, those) in [("BEFORE", before, after), ("AFTER", after, before)] {
        let labels = these.contenders().map(|row| row.label.as_str());
        let scenarios = these.scenarios.iter().map(String::as_str);
        let only: Vec<&str> = labels
            .filter(|label| !those.has(label))
            .chain(scenarios.filter(|name| !those.scenarios.iter().any(|each| each == name)))
            .collect();
        if !only.is_empty() {
            notes.push(format!("Only in {name}: {}.", only.join(", ")));
        }
    }
    notes
}
