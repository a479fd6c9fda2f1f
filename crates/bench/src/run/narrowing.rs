//! The time that a run has for further rotations.

use std::time::{Duration, Instant};

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

    /// What the next group may take now; see [`share`](Self::share).
    pub fn share_now(&mut self, so_far: Duration) -> Duration {
        self.share(self.began.elapsed(), so_far)
    }

    /// What the next group may take after so much time, where it was thought to have taken `so_far` itself.
    fn share(&mut self, elapsed: Duration, so_far: Duration) -> Duration {
        let left = (self.planned + self.done + so_far).saturating_sub(elapsed);
        let share = left / self.groups.max(1);
        self.groups = self.groups.saturating_sub(1);
        share
    }
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
