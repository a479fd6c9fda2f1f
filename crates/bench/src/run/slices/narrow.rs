//! Further rotations of a group while its servers stand, where the zone in which differences mean nothing
//! is wider than it should be: as long as there is time, and only of the load that needs them.
//!
//! What is looked at is the width of the A/A placebo, and never who is ahead, so that looking does not add
//! to the error of a verdict.

use std::time::{Duration, Instant};

use report::zones::{self, Zone};

use super::{Group, Progress, servers_standing};
use crate::failure::Failure;
use crate::plan::estimate;
use crate::plan::rotation;
use crate::run::execution::Execution;

/// Time to make zones narrower: what was planned for it, and what the rest of the plan has taken less than
/// was thought. A run takes no longer than announced for it.
#[derive(Debug, Clone, Copy)]
pub struct Narrowing {
    began: Instant,
    planned: Duration,
    /// What the tasks that are done were thought to take.
    done: Duration,
    /// Groups of slices that are still to come: each gets its share.
    groups: u32,
}

impl Narrowing {
    /// So much time for so many groups; `None` where there is none, or no group.
    pub fn new(planned: Duration, groups: usize) -> Option<Self> {
        (planned > Duration::ZERO && groups > 0).then(|| Self {
            began: Instant::now(),
            planned,
            done: Duration::ZERO,
            groups: u32::try_from(groups).unwrap_or(u32::MAX),
        })
    }

    /// A task that was thought to take so long is done.
    pub fn task_done(&mut self, time: Duration) {
        self.done += time;
    }

    /// What the next group may take after so much time, where it was thought to have taken `so_far` itself.
    fn share(&mut self, elapsed: Duration, so_far: Duration) -> Duration {
        let left = (self.planned + self.done + so_far).saturating_sub(elapsed);
        let share = left / self.groups.max(1);
        self.groups = self.groups.saturating_sub(1);
        share
    }
}

impl Execution<'_> {
    /// Measures further rotations of the load whose zone is the nearest to what it should be, until none is
    /// wider than that or the time is over: so most zones get there. The group was `thought` to have taken
    /// so long by now.
    ///
    /// # Errors
    /// See [`Failure`].
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
        let share = narrowing.share(narrowing.began.elapsed(), thought);
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
    fn what_a_group_or_the_plan_leaves_is_shared_by_those_that_follow() {
        let s = Duration::from_secs;
        let mut narrowing = Narrowing::new(s(60), 3).expect("some");
        // It was thought to take 100 s and took 90.
        assert_eq!(narrowing.share(s(90), s(100)), s(70) / 3);
        // It used none of its share; the next took as long as was thought.
        narrowing.task_done(s(100));
        assert_eq!(narrowing.share(s(190), s(100)), s(35));
        narrowing.task_done(s(100));
        // That used 35 s, and the last was 40 s late.
        assert_eq!(narrowing.share(s(365), s(100)), Duration::ZERO);
        assert!(Narrowing::new(Duration::ZERO, 3).is_none());
        assert!(Narrowing::new(s(60), 0).is_none());
    }
}
