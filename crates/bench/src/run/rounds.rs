//! Rounds: slices go on where verdicts are open, and stop where they are settled.
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

use report::data::{Env, Sequential, Trial};
use report::settled::{Column, Said};
use report::stats::sequential::{self, FIRST};

use crate::failure::Failure;
use crate::plan::estimate;
use crate::plan::size::Size;
use crate::plan::visit::Visit;
use crate::run::execute::Execution;
use crate::run::slices::Group;

/// The page is made anew when so many times as long has passed as making it took.
const PAGE_EVERY: u32 = 30;
/// And not more often than this.
const PAGE_EVERY_MIN: Duration = Duration::from_secs(20);

/// The rounds of a run.
#[derive(Debug)]
pub struct Rounds<'a> {
    how: Sequential,
    /// Rotations of each load that a round adds.
    lengths: Vec<usize>,
    /// By round, the servers of each scenario.
    groups: Vec<Vec<Vec<&'a Visit>>>,
}

/// How the rounds ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to be settled, or what is left was measured as often as planned.
    Settled,
    /// The time is over.
    Time,
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
    fn wanted(group: &[&'a Visit], look: Option<&Column>) -> Option<Vec<&'a Visit>> {
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
    fn due(
        &self,
        round: usize,
        group: &Group<'_>,
        look: Option<&Column>,
        trials: &[Trial],
    ) -> Vec<u32> {
        let windows = group.windows();
        let per_window = u32::try_from(self.lengths[round]).unwrap_or(u32::MAX);
        let mut due = group.due(per_window, trials);
        let decides = look.and_then(|look| {
            let (mode, rate) = look.load;
            let same = |own: Option<f64>| match (own, rate) {
                (Some(own), Some(rate)) => (own - rate).abs() < 0.001,
                (own, rate) => own.is_none() && rate.is_none(),
            };
            windows
                .iter()
                .position(|window| window.mode == mode && same(window.rate))
        });
        if let Some(decides) = decides {
            // The windows take turns, also under the numbers of rotations that are measured again.
            due.retain(|number| *number as usize % windows.len() == decides);
        }
        due
    }

    /// Rotations of each load that come before `round`.
    fn before(&self, round: usize) -> usize {
        self.lengths[..round].iter().sum()
    }
}

/// How long `rotations` of a group take, its servers started and ended.
fn time(group: &[&Visit], rotations: usize, size: Size) -> Duration {
    let slices = estimate::slice(size) * u32::try_from(rotations).unwrap_or(u32::MAX);
    let each = |visit: &&Visit| estimate::standing(visit, size) + slices;
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
    fn has(&self, time: Duration) -> bool {
        self.left
            .is_none_or(|left| self.started.elapsed() + time <= left)
    }
}

/// What stays the same over the rounds.
struct Session<'a> {
    env: &'a mut Env,
    before_s: f64,
    began: Instant,
    page_made: Instant,
    page_took: Duration,
}

impl Execution<'_> {
    /// Measures in rounds until everything is settled or the time is over; `env` is kept up to date.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn rounds(
        &mut self,
        rounds: &Rounds<'_>,
        budget: Budget,
        env: &mut Env,
    ) -> Result<Ended, Failure> {
        let mut session = Session {
            before_s: env.duration_s,
            env,
            began: Instant::now(),
            page_made: Instant::now(),
            page_took: Duration::ZERO,
        };
        let result = self.go_round(rounds, budget, &mut session);
        // Whoever called adds the time of all of it.
        session.env.duration_s = session.before_s;
        result
    }

    fn go_round(
        &mut self,
        rounds: &Rounds<'_>,
        budget: Budget,
        session: &mut Session<'_>,
    ) -> Result<Ended, Failure> {
        let mut ended = Ended::Settled;
        for (round, groups) in rounds.groups.iter().enumerate() {
            for group in groups {
                let scenario = group[0].scenario.name;
                let look = match rounds.before(round) >= FIRST {
                    true => self.look(session.env, scenario, round),
                    false => None,
                };
                let Some(wanted) = Rounds::wanted(group, look.as_ref()) else {
                    continue;
                };
                let group = Group(wanted);
                let due = rounds.due(round, &group, look.as_ref(), &self.record.trials);
                if due.is_empty() {
                    continue;
                }
                if !budget.has(time(&group.0, due.len(), self.setup.size)) {
                    ended = Ended::Time;
                    continue;
                }
                let open = look.as_ref().map(|look| look.open().count());
                self.progress.round(round, scenario, open);
                self.rotations(&group, &due)?;
                self.tell(session.env, scenario, round, look.as_ref());
                self.page(session)?;
            }
            if ended == Ended::Time {
                break;
            }
        }
        Ok(ended)
    }

    /// The verdicts of a scenario before `round`.
    fn look(&self, env: &Env, scenario: &str, round: usize) -> Option<Column> {
        let trials = self.record.trials.iter();
        let before =
            trials.filter(|trial| trial.scenario == scenario && (trial.block as usize) < round);
        Column::of(env, before.cloned().collect(), scenario)
    }

    /// One line for each verdict that a round has changed.
    fn tell(&self, env: &Env, scenario: &str, round: usize, before: Option<&Column>) {
        let Some(now) = self.look(env, scenario, round + 1) else {
            return;
        };
        for line in changes(before, &now) {
            self.progress.say(&line);
        }
    }

    /// Makes the page of the report anew, where that is cheap beside the measuring.
    fn page(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let since = session.page_made.elapsed();
        if since < PAGE_EVERY_MIN.max(session.page_took * PAGE_EVERY) {
            return Ok(());
        }
        let start = Instant::now();
        session.env.duration_s = session.before_s + session.began.elapsed().as_secs_f64();
        self.record.write_env(session.env)?;
        // What cannot be shown now may be shown in the end; that is when it is a failure.
        if let Err(error) = report::write(self.record.folder()) {
            self.progress
                .say(&format!("the report is not made anew: {error:#}"));
        } else {
            self.record.link_latest()?;
        }
        session.page_took = start.elapsed();
        session.page_made = Instant::now();
        Ok(())
    }
}

/// `tiny-keepalive: prefork 1.31× (1.25-1.38) behind; 3 of 12 are open`.
fn changes(before: Option<&Column>, now: &Column) -> Vec<String> {
    let was = |label: &str| {
        let mut rows = before?.rows.iter();
        rows.find(|row| row.label == label).map(|row| row.said)
    };
    let changed = now.rows.iter().filter(|row| match was(&row.label) {
        Some(was) => was != row.said,
        None => row.said != Said::Open && row.said != Said::Out,
    });
    let line = |row: &report::settled::Row| {
        let factor = match (row.said, row.factor.as_str()) {
            (Said::Best, _) | (_, "") => String::new(),
            (_, factor) => format!(" {factor}"),
        };
        format!(
            "{}: {}{factor} {}",
            now.scenario,
            row.label,
            row.said.words()
        )
    };
    let mut lines: Vec<String> = changed.map(line).collect();
    let open: Vec<&str> = now.open().collect();
    let any = now.rows.iter().any(|row| row.said == Said::Best);
    lines.push(match open.as_slice() {
        _ if !any => format!("{}: nothing can be ranked yet", now.scenario),
        [] => format!("{}: settled, by {}", now.scenario, now.figure),
        [one] => format!("{}: {one} is open, by {}", now.scenario, now.figure),
        some => format!(
            "{}: {} of {} are open, by {}",
            now.scenario,
            some.len(),
            now.rows.len(),
            now.figure
        ),
    });
    lines
}
