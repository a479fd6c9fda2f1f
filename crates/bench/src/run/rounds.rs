//! The rounds of a run: which servers and which rotations are measured in each of them.
//!
//! A round starts the servers of a scenario afresh, loads them in rotations and looks at the verdicts,
//! which are those of the report. The next round leaves out what is settled; what stays are the servers
//! whose verdict is open, and those that they are judged by: the best, the null server, the placebo and
//! its original. After the first look only the load is measured that decides. What a look may spend of
//! the probability of an error, so that looking repeatedly adds nothing to it, is said in
//! [`report::stats::sequential`].
//!
//! What a round measures follows from what the rounds before it left in the folder: a run that is
//! resumed goes on where it was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use report::data::{Sequential, Trial};
use report::settled::Column;
use report::stats::sequential::{self, FIRST};

use crate::plan::estimate;
use crate::plan::size::Size;
use crate::plan::visit::Visit;
use crate::run::slices::Group;

/// The rounds of a run.
#[derive(Debug)]
pub struct Rounds<'a> {
    how: Sequential,
    /// Rotations of each load that a round adds.
    lengths: Vec<usize>,
    /// By round, the servers of each scenario.
    groups: Vec<Vec<Vec<&'a Visit>>>,
}

/// The time that a run may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When this part of it began.
    started: Instant,
    /// What is left of it then; `None` is as long as it takes.
    left: Option<Duration>,
}

impl<'a> Rounds<'a> {
    /// The rounds among `visits`, and the rest of these. What is blocked by design is not measured, and
    /// has its line once.
    pub fn of(how: Sequential, visits: &'a [Visit]) -> (Self, Vec<Visit>) {
        let lengths = sequential::rounds(how.rotations_max as usize);
        let mut groups: Vec<Vec<Vec<&Visit>>> = vec![Vec::new(); lengths.len()];
        let mut rest = Vec::new();
        for visit in visits {
            let round = groups.get_mut(visit.block as usize);
            match (visit.measured_in_slices(), &visit.blocked, round) {
                (false, ..) => rest.push(visit.clone()),
                (true, Some(_), _) if visit.block == 0 => rest.push(visit.clone()),
                (true, Some(_), _) | (true, None, None) => {}
                (true, None, Some(round)) => match round.last_mut() {
                    Some(group) if group[0].scenario.name == visit.scenario.name => {
                        group.push(visit);
                    }
                    _ => round.push(vec![visit]),
                },
            }
        }
        let rounds = Self {
            how,
            lengths,
            groups,
        };
        (rounds, rest)
    }

    /// How many rounds there are at most.
    pub fn count(how: Sequential) -> u32 {
        let rounds = sequential::rounds(how.rotations_max as usize).len();
        u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// Whether any scenario is measured in rounds.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(Vec::is_empty)
    }

    /// How long it takes until every scenario was looked at once.
    pub fn first_look(&self, size: Size) -> Duration {
        let first = self.groups.iter().zip(&self.lengths).take(2);
        first
            .flat_map(|(groups, length)| groups.iter().map(move |group| (group, *length)))
            .map(|(group, length)| {
                let windows = group[0].windows.len();
                time(group, length * windows, size)
            })
            .sum()
    }

    /// What is said before it begins; `first` is how long the first look and all else take.
    pub fn announcement(&self, size: Size, first: Duration, done: usize) -> String {
        let minutes = self.how.minutes.map_or(String::new(), |minutes| {
            let time = estimate::words(Duration::from_secs_f64(minutes * 60.0));
            format!(", and for {time} at most")
        });
        let rest = match done {
            0 => String::new(),
            done => format!("; {done} measured before"),
        };
        format!(
            "{}: in rounds until verdicts are settled to within {} %{minutes}; the first look comes after about {}{rest}",
            size.name(),
            self.how.until_percent,
            estimate::words(first)
        )
    }

    /// The servers of a group that a round measures: all of them before the first look, then those that
    /// are open and those that they are judged by. `None` where nothing is open.
    pub fn wanted(group: &[&'a Visit], look: Option<&Column>) -> Option<Vec<&'a Visit>> {
        let Some(look) = look else {
            return Some(group.to_vec());
        };
        let open: BTreeSet<&str> = look.open().collect();
        let measures = |label: &str| look.measures.iter().any(|each| each == label);
        let stays = |visit: &&&Visit| {
            let label = visit.contender.label.as_str();
            visit.is_null() || open.contains(label) || measures(label)
        };
        (!open.is_empty()).then(|| group.iter().filter(stays).copied().collect())
    }

    /// The rotations of a round that `trials` do not hold: of every load before the first look, then of
    /// the one that decides.
    pub fn due(
        &self,
        round: usize,
        group: &Group<'_>,
        look: Option<&Column>,
        trials: &[Trial],
    ) -> Vec<u32> {
        let per_window = u32::try_from(self.lengths[round]).unwrap_or(u32::MAX);
        let mut due = group.due(per_window, trials);
        if let Some(decides) = look.and_then(|look| group.window_of(look.load)) {
            // The windows take turns, also under the numbers of rotations that are measured again.
            due.retain(|number| *number as usize % group.windows().len() == decides);
        }
        due
    }

    /// The servers of each scenario, round by round.
    pub fn groups(&self) -> impl Iterator<Item = (usize, &[Vec<&'a Visit>])> {
        self.groups.iter().map(Vec::as_slice).enumerate()
    }

    /// Whether there is a look before `round`.
    pub fn has_look(&self, round: usize) -> bool {
        self.lengths[..round].iter().sum::<usize>() >= FIRST
    }
}

/// How long `rotations` of a group take, its servers started and ended.
pub fn time(group: &[&Visit], rotations: usize, size: Size) -> Duration {
    let rotations = u32::try_from(rotations).unwrap_or(u32::MAX);
    let slices = |visit: &Visit| estimate::slice(visit.scenario, size) * rotations;
    let each = |visit: &&Visit| estimate::standing(visit, size) + slices(visit);
    group.iter().map(each).sum()
}

impl Budget {
    /// The budget of a run that was measured for `before_s` and must leave time for `rest`.
    pub fn of(how: Sequential, before_s: f64, rest: Duration) -> Self {
        let left = how.minutes.map(|minutes| {
            let left_s = minutes * 60.0 - before_s - rest.as_secs_f64();
            Duration::from_secs_f64(left_s.max(0.0))
        });
        Self {
            started: Instant::now(),
            left,
        }
    }

    /// Whether there is time for something that takes so long.
    pub fn has(&self, time: Duration) -> bool {
        self.left
            .is_none_or(|left| self.started.elapsed() + time <= left)
    }
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
