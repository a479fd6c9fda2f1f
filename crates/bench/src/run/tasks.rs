//! What of a plan is still to be done, given what a run's folder holds.

use std::collections::BTreeSet;
use std::time::Duration;

use report::data::Trial;

use crate::plan::estimate;
use crate::plan::size::Size;
use crate::plan::visit::{Visit, Window};
use crate::run::slices::Group;

/// A part of the plan that is carried out at once.
#[derive(Debug)]
pub enum Task<'a> {
    /// Windows of one server.
    Visit(&'a Visit, Vec<Window>),
    /// The servers of a scenario side by side, and how many of their rotations are missing.
    Slices(Group<'a>, u32),
}

/// What is still to be done of `visits`, in their order.
pub fn tasks<'a>(visits: &'a [Visit], trials: &[Trial], size: Size) -> Vec<Task<'a>> {
    let ids: BTreeSet<&str> = trials.iter().map(|trial| trial.id.as_str()).collect();
    let together = |a: &Visit, b: &Visit| {
        let same = a.block == b.block && a.scenario.name == b.scenario.name;
        a.measured_in_slices() && b.measured_in_slices() && same
    };
    let mut tasks = Vec::new();
    for chunk in visits.chunk_by(together) {
        let slices = chunk[0].measured_in_slices();
        // What is blocked by design has a line for each window and is not measured.
        for visit in chunk.iter().filter(|v| !slices || v.blocked.is_some()) {
            let missing = |window: &&Window| !ids.contains(window.id.as_str());
            let missing: Vec<Window> = visit.windows.iter().filter(missing).cloned().collect();
            if !missing.is_empty() {
                tasks.push(Task::Visit(visit, missing));
            }
        }
        if slices {
            let group = Group(chunk.iter().collect());
            let due = group.due(size.slices().0, trials).len();
            if due > 0 {
                tasks.push(Task::Slices(group, u32::try_from(due).unwrap_or(u32::MAX)));
            }
        }
    }
    tasks
}

impl Task<'_> {
    /// How long it takes.
    pub fn time(&self, size: Size) -> Duration {
        match self {
            Self::Visit(visit, _) => estimate::visit(visit, size),
            Self::Slices(group, rotations) => {
                let able = group.0.iter().filter(|visit| visit.blocked.is_none());
                let slices = |visit: &Visit| estimate::slice(visit.scenario, size) * *rotations;
                able.map(|visit| estimate::standing(visit, size) + slices(visit))
                    .sum()
            }
        }
    }
}
