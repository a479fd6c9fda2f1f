//! The speed of the machine while slices were measured, as the null server's cost shows it.
//!
//! The null server does the same for every request in every rotation, so that its CPU per request
//! changes with the machine alone: the clock of the CPU, a neighbour on the same core or cache, the
//! hypervisor. What lasts longer than a rotation is in every pair and cancels in it; it is told because
//! figures of different times are then figures of different machines.

use std::collections::BTreeMap;

use crate::data::Role;
use crate::format;
use crate::metric::Metric;
use crate::run::{Run, Window};
use crate::stats;
use crate::stats::speed::{Level, levels};

/// The null server's cost, rotation by rotation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Speed {
    /// In the order of time.
    pub points: Vec<Point>,
    /// Where the level of these changes.
    pub levels: Vec<Level>,
}

/// One rotation.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When it was measured, seconds from the start of the run; `None` where that was not kept.
    pub at_s: Option<f64>,
    /// The logarithm of CPU per request, from its median in the same scenario and load.
    pub log: f64,
}

/// The speed in the slices of `run`; empty where there are none.
pub fn of(run: &Run) -> Speed {
    let mut costs: Vec<((&str, Window), Option<f64>, f64)> = Vec::new();
    for trial in run.trials.iter().filter(|trial| trial.role == Role::Null) {
        let cost = trial.figures.as_ref().and_then(|figures| {
            let us = Metric::ServerCpu.value(figures)?;
            (us > 0.0).then(|| us.ln())
        });
        if let (Some(slice), Some(cost)) = (trial.slice, cost) {
            let column = (trial.scenario.as_str(), Window::of(&trial.shape));
            costs.push((column, slice.began_s, cost));
        }
    }
    let mut columns: BTreeMap<(&str, Window), Vec<f64>> = BTreeMap::new();
    for (column, _, cost) in &costs {
        columns.entry(*column).or_default().push(*cost);
    }
    let usual: BTreeMap<(&str, Window), f64> = columns
        .into_iter()
        .filter_map(|(column, costs)| Some((column, stats::middle(costs)?)))
        .collect();
    let point = |(column, at_s, cost): ((&str, Window), Option<f64>, f64)| Point {
        at_s,
        log: cost - usual.get(&column).copied().unwrap_or(cost),
    };
    let points: Vec<Point> = costs.into_iter().map(point).collect();
    let logs: Vec<f64> = points.iter().map(|point| point.log).collect();
    Speed {
        levels: levels(&logs),
        points,
    }
}

impl Speed {
    /// How often the machine changed its speed, when, and how far.
    pub fn sentence(&self) -> String {
        let rotations = format::count(self.points.len(), "rotation");
        let by =
            |pick: fn(f64, f64) -> f64| self.levels.iter().map(|each| each.middle).reduce(pick);
        let (Some(least), Some(most)) = (by(f64::min), by(f64::max)) else {
            return "The speed of the machine was not watched: nothing was measured in slices."
                .to_owned();
        };
        let changes = self.levels.len() - 1;
        if changes == 0 {
            return format!(
                "The machine kept its speed: the null server's CPU per request has one level in {rotations}."
            );
        }
        let times = match changes {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        let when: Vec<String> = self.levels[1..]
            .iter()
            .filter_map(|level| self.points.get(level.first)?.at_s)
            .map(format::clock)
            .collect();
        let when = match when.as_slice() {
            [] => String::new(),
            [one] => format!(" (after {one})"),
            [some @ .., last] => format!(" (after {} and {last})", some.join(", ")),
        };
        format!(
            "The machine changed its speed {times}{when}: the null server's CPU per request lay between {} and {} of its median, in {rotations}.",
            format::factor(least.exp()),
            format::factor(most.exp())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(levels: &[(usize, f64)], timed: bool) -> Speed {
        let logs = levels
            .iter()
            .flat_map(|&(length, log)| std::iter::repeat_n(log, length));
        let points: Vec<Point> = logs
            .enumerate()
            .map(|(n, log)| Point {
                at_s: timed.then_some(n as f64 * 10.0),
                log,
            })
            .collect();
        let logs: Vec<f64> = points.iter().map(|point| point.log).collect();
        Speed {
            levels: super::levels(&logs),
            points,
        }
    }

    #[test]
    fn it_is_said_how_often_when_and_how_far() {
        let none = Speed::default().sentence();
        assert!(none.contains("not watched"), "{none}");
        let steady = speed(&[(40, 0.0)], true).sentence();
        assert!(steady.contains("kept its speed") && steady.contains("40 rotations"));
        let twice = speed(&[(30, 0.0), (30, 0.2), (30, 0.0)], true).sentence();
        for part in [
            "changed its speed twice",
            "after 5 min",
            "between 1.00× and 1.22×",
        ] {
            assert!(twice.contains(part), "{part}: {twice}");
        }
        let once = speed(&[(30, 0.0), (30, -0.5)], false).sentence();
        assert!(once.contains("once:") && once.contains("0.61×"), "{once}");
    }
}
