//! Further rotations of a group while its servers stand, where the zone in which differences mean nothing
//! is wider than it should be: as long as there is time, and only of the load that needs them.
//!
//! What is looked at is the width of the A/A placebo, and never who is ahead, so that looking does not add
//! to the error of a verdict.

use std::time::Duration;

use report::zones::{self, Zone};

use super::{Group, Progress, servers_standing};
use crate::failure::Failure;
use crate::plan::estimate;
use crate::plan::rotation;
use crate::run::execution::Execution;

/// Time to make zones narrower, and the groups of slices that it is still to be shared among.
#[derive(Debug, Clone, Copy, Default)]
pub struct Narrowing {
    left: Duration,
    groups: u32,
}

impl Narrowing {
    /// So much time for so many groups.
    pub fn new(time: Duration, groups: usize) -> Self {
        Self {
            left: time,
            groups: u32::try_from(groups).unwrap_or(u32::MAX),
        }
    }

    /// What the next group may take: its share of what those before it have left.
    fn share(&mut self) -> Duration {
        let share = self.left / self.groups.max(1);
        self.groups = self.groups.saturating_sub(1);
        share
    }
}

impl Execution<'_> {
    /// Measures further rotations of the load whose zone is the nearest to what it should be, until none is
    /// wider than that or the time is over: so most zones get there.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) fn narrow(
        &mut self,
        group: &Group<'_>,
        so_far: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut share = self.narrowing.share();
        let (per_window, _) = self.setup.size.slices();
        let planned = group.planned(per_window);
        let servers = servers_standing(so_far);
        let time = estimate::slice(group.first().scenario, self.setup.size) * servers;
        while servers > 0 && share >= time {
            let trials = &self.record.trials;
            let Some(window) = nearest(group, trials) else {
                return Ok(());
            };
            let seen = group.seen(trials);
            let number = rotation::next(planned, window, &seen);
            self.rotate(group, number, so_far)?;
            share -= time;
            self.narrowing.left = self.narrowing.left.saturating_sub(time);
        }
        Ok(())
    }
}

/// Which of the group's windows is worth another rotation.
fn nearest(group: &Group<'_>, trials: &[report::data::Trial]) -> Option<u32> {
    let scenario = group.first().scenario.name;
    let here = trials.iter().filter(|trial| trial.scenario == scenario);
    let zones = zones::of_trials(here.cloned().collect(), scenario);
    let place = |zone: &Zone| {
        let (mode, rate) = zone.load;
        let same = |own: Option<f64>| match (own, rate) {
            (Some(own), Some(rate)) => (own - rate).abs() < 0.001,
            (own, rate) => own.is_none() && rate.is_none(),
        };
        let mut windows = group.windows().iter();
        windows.position(|window| window.mode == mode && same(window.rate))
    };
    let wide = zones.iter().filter(|zone| zone.times() > 1.0);
    let wide = wide.filter_map(|zone| Some((zone.times(), place(zone)?)));
    let nearest = wide.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    u32::try_from(nearest.1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_group_leaves_is_shared_by_those_that_follow() {
        let s = Duration::from_secs;
        let mut narrowing = Narrowing::new(s(60), 3);
        assert_eq!(narrowing.share(), s(20));
        // It took none of it.
        assert_eq!(narrowing.share(), s(30));
        narrowing.left -= s(30);
        assert_eq!(narrowing.share(), s(30));
        assert_eq!(Narrowing::default().share(), Duration::ZERO);
    }
}
