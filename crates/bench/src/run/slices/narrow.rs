//! Further rotations of a group while its servers stand, where the zone in which differences mean nothing
//! is wider than it should be: as long as there is time, and only of the load that needs them.
//!
//! What is looked at is the width of the A/A placebo, and never who is ahead, so that looking does not add
//! to the error of a verdict.

use std::time::{Duration, Instant};

use report::zones;

use super::{Group, Progress, servers_standing};
use crate::failure::Failure;
use crate::plan::estimate;
use crate::plan::rotation;
use crate::run::execution::Execution;

impl Execution<'_> {
    /// Measures further rotations of the load whose zone is the nearest to what it should be, until none is
    /// wider than that or the time is over: so most zones get there. The group was `thought` to have taken
    /// so long by now.
    pub(super) fn narrow(
        &mut self,
        group: &Group<'_>,
        so_far: &mut Progress<'_>,
        thought: Duration,
    ) -> Result<(), Failure> {
        let Some(narrowing) = &mut self.narrowing else {
            return Ok(());
        };
        let begun = Instant::now();
        let share = narrowing.share_now(thought);
        let (per_window, _) = self.setup.size.slices();
        let planned = group.planned(per_window);
        let servers = servers_standing(so_far);
        let time = estimate::slice(group.first().scenario, self.setup.size) * servers;
        while servers > 0 && begun.elapsed() + time <= share {
            let trials = &self.record.trials;
            let Some(window) = nearest(group, trials) else {
                return Ok(());
            };
            let seen = group.seen(trials);
            let number = rotation::next(planned, window, &seen);
            self.rotate(group, number, so_far)?;
        }
        Ok(())
    }
}

/// Which of the group's windows is worth another rotation.
fn nearest(group: &Group<'_>, trials: &[report::data::Trial]) -> Option<u32> {
    let scenario = group.first().scenario.name;
    let here = trials.iter().filter(|trial| trial.scenario == scenario);
    let zones = zones::of_trials(here.cloned().collect(), scenario);
    let wide = zones.iter().filter(|zone| zone.times() > 1.0);
    let wide = wide.filter_map(|zone| Some((zone.times(), group.window_of(zone.load)?)));
    let nearest = wide.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    u32::try_from(nearest.1).ok()
}
