//! Memory by connections in two runs.

use std::collections::BTreeSet;

use super::both::Both;
use super::line::{Finding, Line, Side};
use crate::data::MemoryStep;
use crate::format;
use crate::metric::Metric;
use crate::run::Row;
use crate::stats::{self, Evidence, Spread};

/// Memory of `row` at each number of connections that both runs tried.
pub fn lines(both: &Both<'_>, row: &Row) -> Vec<Line> {
    let (ours, theirs) = (
        both.before.memory(&row.label),
        both.after.memory(&row.label),
    );
    let held = |steps: &[&MemoryStep]| -> Vec<f64> {
        let held = steps.iter().filter(|step| step.held);
        let values = held.filter_map(|step| step.pss_kib);
        values.map(|kib| Metric::Pss.cost(kib as f64)).collect()
    };
    let side =
        |logs: &[f64]| Spread::of(logs.iter().map(|log| log.exp()), Evidence::Ranges).map(Side::of);
    let tried = |connections: &u64| {
        let mut rows = both.after.contenders();
        rows.any(|row| both.after.memory(&row.label).contains_key(connections))
    };
    let mut lines = Vec::new();
    for (connections, ours) in ours.iter().filter(|(connections, _)| tried(connections)) {
        let steps = theirs.get(connections);
        let (ours, theirs) = (held(ours), held(steps.map_or(&[][..], Vec::as_slice)));
        if ours.is_empty() && theirs.is_empty() {
            continue;
        }
        let mut line = Line {
            model: row.label.clone(),
            scenario: "memory".to_owned(),
            load: format::count(*connections as usize, "connection"),
            before: side(&ours),
            after: side(&theirs),
            zone: Some(stats::floor().exp()),
            ..Line::empty(Some(Metric::Pss))
        };
        match steps {
            _ if ours.is_empty() => line.reason = "not held before".to_owned(),
            None => {
                (line.finding, line.reason) = both.missing(|_| "not measured after".to_owned());
            }
            Some(steps) if theirs.is_empty() => {
                let why = steps.iter().map(|step| step.reason.as_str());
                let why: BTreeSet<&str> = why.filter(|why| !why.is_empty()).collect();
                let why: Vec<&str> = why.into_iter().collect();
                line.finding = Finding::Lost;
                line.reason = format!("not held after: {}", why.join("; "));
            }
            Some(_) => line.judge(stats::compare_sessions(
                &theirs,
                &ours,
                stats::floor(),
                both.evidence,
            )),
        }
        lines.push(line);
    }
    lines
}
