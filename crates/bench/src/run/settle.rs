//! A run in rounds while it is carried out: verdicts are looked at and told, and the page fills.

use std::time::{Duration, Instant};

use report::data::Env;
use report::settled::{Column, Said};

use crate::failure::Failure;
use crate::run::execution::Execution;
use crate::run::rounds::{Budget, Rounds, time};
use crate::run::slices::Group;

/// The page is made anew when so many times as long has passed as making it took.
const PAGE_EVERY: u32 = 30;
/// And not more often than this.
const PAGE_EVERY_MIN: Duration = Duration::from_secs(20);

/// How the rounds ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to be settled, or what is left was measured as often as planned.
    Settled,
    /// The time is over.
    Time,
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
        // The caller adds the time of all of it.
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
        for (round, groups) in rounds.groups() {
            for group in groups {
                let scenario = group[0].scenario.name;
                let look = match rounds.has_look(round) {
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
