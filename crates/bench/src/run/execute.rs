//! A run from its arguments to its report.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use report::data::{Env, Mode, Pass, Role, Sequential, Trial, Validity};
use schema::{Code, Effect, Figure, Reason};

use crate::args::Args;
use crate::failure::Failure;
use crate::judge::gates::{self, Ceiling};
use crate::plan::estimate;
use crate::plan::size::Size;
use crate::plan::visit::{Visit, Window};
use crate::run::capacity::Known;
use crate::run::execution::Execution;
use crate::run::narrowing::Narrowing;
use crate::run::prepare::{Prepared, prepare};
use crate::run::record::Record;
use crate::run::rounds::{Budget, Rounds};
use crate::run::settle::Ended;
use crate::run::tasks::{Task, tasks};
use crate::run::trial::{self, ATTEMPTS_MAX};

/// How far the time of a run may be from the one announced, as a share of that.
const ANNOUNCED_OFF_SHARE_MAX: f64 = 0.2;

/// What is said when two benches disturb each other.
const ANOTHER_BENCH: &str = "Another bench runs on the same CPUs: what the two disturb is INVALID";

/// How far it may be in any case.
const ANNOUNCED_OFF_MAX: Duration = Duration::from_secs(5);

/// Time for second attempts, as a share of the estimate.
const SPARE_SHARE: f64 = 0.1;

/// Runs the bench; gives the folder of the results.
///
/// # Errors
/// See [`Failure`]. After an interruption the folder holds what was measured, with a report.
pub fn run(args: &Args) -> Result<PathBuf, Failure> {
    let mut prepared = prepare(args)?;
    let folder = prepared.record.folder().to_owned();
    if args.resume.is_some() && prepared.is_finished() {
        return finished(prepared);
    }
    let started = Instant::now();
    let result = match prepared.env.sequential {
        Some(how) => measure_in_rounds(&mut prepared, how),
        None => measure(&mut prepared),
    };
    let Prepared {
        setup,
        record,
        mut env,
        visits,
    } = prepared;
    let announced = *result.as_ref().unwrap_or(&Duration::ZERO);
    for scratch in [&setup.json, &setup.trace] {
        let _mostly_gone = fs::remove_file(scratch);
    }
    let took = started.elapsed();
    env.duration_s += took.as_secs_f64();
    let in_rounds = env.sequential.is_some();
    env.complete = match in_rounds {
        true => result.is_ok(),
        false => tasks(&visits, &record.trials, setup.size).is_empty(),
    };
    if env.complete && result.is_ok() && !in_rounds {
        let (kept, said) = as_announced(took, announced);
        eprintln!("{said}");
        if !kept {
            env.remarks.push(format!("Time: {said}."));
        }
    }
    match (result, leave(&record, &env)) {
        // Where the disk is full, neither can be written; what came first is the reason.
        (Err(failure), Err(error)) => {
            eprintln!("{error:#}");
            return Err(failure);
        }
        (Err(failure), Ok(())) => return Err(failure),
        (Ok(_), left) => left?,
    }
    usable(&record.trials)?;
    Ok(folder)
}

/// Leaves the folder as a run does, however it ended: described, and with a report of what it holds.
fn leave(record: &Record, env: &Env) -> anyhow::Result<()> {
    record.write_env(env)?;
    if record.trials.is_empty() {
        return Ok(());
    }
    report::write(record.folder())
        .context("the report cannot be written; the measurements are kept")?;
    record.link_latest()?;
    eprintln!("{}", tally(&record.trials));
    Ok(())
}

/// A run that is resumed and has nothing left to measure: what it may lack is its report.
fn finished(prepared: Prepared) -> Result<PathBuf, Failure> {
    let Prepared {
        record, mut env, ..
    } = prepared;
    let folder = record.folder().to_owned();
    if !env.complete {
        env.complete = true;
        record.write_env(&env)?;
        report::write(&folder).context("the report cannot be written")?;
        record.link_latest()?;
    }
    let (shown, lines) = (folder.display(), record.trials.len());
    eprintln!("{shown} is finished: it holds all {lines} measurements, nothing is left to do");
    Ok(folder)
}

impl Prepared {
    fn is_finished(&self) -> bool {
        if self.env.sequential.is_some() {
            return self.env.complete;
        }
        tasks(&self.visits, &self.record.trials, self.setup.size).is_empty()
    }
}

/// Carries out the plan, without the trials that the folder already holds.
///
/// Gives the time that was announced.
fn measure(prepared: &mut Prepared) -> Result<Duration, Failure> {
    let Prepared {
        setup,
        visits,
        record,
        env,
    } = prepared;
    let size = setup.size;
    let tasks = tasks(visits, &record.trials, size);
    let planned: Duration = tasks.iter().map(|task| task.time(size)).sum();
    let groups = tasks.iter().filter(|task| matches!(task, Task::Slices(..)));
    let groups = groups.count();
    let narrowing = match groups {
        0 => Duration::ZERO,
        _ => planned.mul_f64(size.narrowing_share()),
    };
    let total = planned + narrowing;
    let done = record.trials.len();
    if done == 0 {
        env.announced_s = Duration::as_secs_f64(&total);
    }
    eprintln!("{}", announcement(size, visits, done, total));
    let mut execution = Execution {
        spare: planned.mul_f64(SPARE_SHARE),
        narrowing: Narrowing::new(narrowing, groups),
        ..Execution::new(setup, record, total)
    };
    let result = tasks.into_iter().try_for_each(|task| execution.task(task));
    execution.progress.finish();
    env.remarks
        .extend(execution.bench_seen.map(|_| ANOTHER_BENCH.to_owned()));
    result.map(|()| total)
}

/// Carries out the rounds, and then what else was asked for; gives the time that it was to take at most.
fn measure_in_rounds(prepared: &mut Prepared, how: Sequential) -> Result<Duration, Failure> {
    let Prepared {
        setup,
        visits,
        record,
        env,
    } = prepared;
    let size = setup.size;
    let (rounds, rest) = Rounds::of(how, visits);
    let rest = tasks(&rest, &record.trials, size);
    let rest_time: Duration = rest.iter().map(|task| task.time(size)).sum();
    let first = rounds.first_look(size) + rest_time;
    let budget = Budget::of(how, env.duration_s, rest_time);
    let asked = |minutes| Duration::from_secs_f64(minutes * 60.0);
    let total = how.minutes.map_or(first, asked);
    eprintln!("{}", rounds.announcement(size, first, record.trials.len()));
    let mut execution = Execution::new(setup, record, total);
    let result = execution.rounds(&rounds, budget, env).and_then(|ended| {
        execution.spare = rest_time.mul_f64(SPARE_SHARE);
        rest.into_iter()
            .try_for_each(|task| execution.task(task))
            .map(|()| ended)
    });
    execution.progress.finish();
    if let Ok(Ended::Time) = result {
        eprintln!("the time is over: --resume goes on with more --minutes");
    }
    env.remarks
        .extend(execution.bench_seen.map(|_| ANOTHER_BENCH.to_owned()));
    env.trials_planned = record.trials.len() as u64;
    result.map(|_| total)
}

/// Whether a run took about as long as was announced, and a line that says how long.
fn as_announced(took: Duration, announced: Duration) -> (bool, String) {
    let ratio = took.as_secs_f64() / announced.as_secs_f64().max(1e-9);
    // Of a few seconds the start alone is a large share.
    let kept = (ratio - 1.0).abs() <= ANNOUNCED_OFF_SHARE_MAX
        || took.abs_diff(announced) <= ANNOUNCED_OFF_MAX;
    let said = format!(
        "took {}, announced {}",
        estimate::words(took),
        estimate::words(announced)
    );
    let off = match announced >= ANNOUNCED_OFF_MAX {
        true => format!(
            "{said}: {:+.0} %, more than 20 % apart",
            (ratio - 1.0) * 100.0
        ),
        false => format!("{said}: far apart"),
    };
    (kept, if kept { said } else { off })
}

impl Execution<'_> {
    fn task(&mut self, task: Task<'_>) -> Result<(), Failure> {
        if self.bench_seen.is_none() {
            self.bench_seen = self.setup.benches.other();
            if let Some(pid) = self.bench_seen {
                self.progress
                    .say(&format!("{ANOTHER_BENCH} (process {pid})"));
            }
        }
        let time = task.time(self.setup.size);
        match task {
            Task::Visit(visit, windows) => self.visit(visit, windows)?,
            Task::Slices(group, _) => self.slices(&group)?,
        }
        if let Some(narrowing) = &mut self.narrowing {
            narrowing.task_done(time);
        }
        Ok(())
    }

    /// Measures a visit, and once more the windows that only noise has spoilt.
    fn visit(&mut self, visit: &Visit, mut windows: Vec<Window>) -> Result<(), Failure> {
        self.progress.visit(visit);
        let time = estimate::visit(visit, self.setup.size);
        let known = Known {
            ceiling: ceiling(&self.record.trials, visit),
            closed_rps: closed_rps(&self.record.trials, visit),
        };
        for attempt in 0..ATTEMPTS_MAX {
            let trials = trial::run(self.setup, visit, &windows, known, attempt)?;
            let may_repeat = attempt + 1 < ATTEMPTS_MAX && self.spare >= time;
            let mut again = Vec::new();
            for (mut trial, window) in trials.into_iter().zip(windows) {
                if trial.validity == Validity::Invalid {
                    self.progress.say(&invalid_line(&trial));
                }
                if gates::is_noise(&trial.reasons) && may_repeat {
                    let text = format!("measured again as {}r", window.id);
                    let repeated = Reason::new(Code::Repeated, Effect::Notes, text);
                    trial.reasons.push(repeated);
                    again.push(window);
                }
                self.record.append(trial)?;
            }
            if again.is_empty() {
                break;
            }
            self.spare = self.spare.saturating_sub(time);
            windows = again;
        }
        self.progress.done(time);
        Ok(())
    }
}

fn invalid_line(trial: &Trial) -> String {
    let reasons = trial.reasons.text();
    format!(
        "INVALID {} {}, {}: {reasons}",
        trial.id, trial.label, trial.scenario
    )
}

/// The null server's throughput in the block and scenario of `visit`.
fn ceiling(trials: &[Trial], visit: &Visit) -> Ceiling {
    if visit.is_null() {
        return Ceiling::Itself;
    }
    let null = |t: &&Trial| {
        t.role == Role::Null && t.block == visit.block && t.scenario == visit.scenario.name
    };
    let found = trials.iter().filter(null).find_map(trial::as_ceiling);
    found.map_or(Ceiling::Unknown, Ceiling::Rps)
}

/// The throughput of this server in a closed loop in the block and scenario of `visit`.
fn closed_rps(trials: &[Trial], visit: &Visit) -> Option<f64> {
    let same = |t: &&Trial| {
        let measured = t.pass == Pass::Measure && t.shape.mode == Mode::Closed;
        measured
            && t.block == visit.block
            && t.scenario == visit.scenario.name
            && t.label == visit.contender.label
    };
    let same = trials.iter().filter(same);
    let figures = same.filter_map(|t| t.figures.as_ref());
    figures.map(|f| f.throughput_rps).find(|&rps| rps > 0.0)
}

fn announcement(size: Size, visits: &[Visit], done: usize, total: Duration) -> String {
    let lines: u64 = visits.iter().map(|visit| visit.lines_planned(size)).sum();
    let rest = match done {
        0 => String::new(),
        done => format!(", {done} measured before"),
    };
    format!(
        "{}: {} block(s), {} visits, {lines} measurements{rest}; about {}",
        size.name(),
        size.blocks(),
        visits.len(),
        estimate::words(total)
    )
}

fn tally(trials: &[Trial]) -> String {
    let of = |validity| trials.iter().filter(|t| t.validity == validity).count();
    let absent = trials.iter().filter(|t| t.lacks_route()).count();
    format!(
        "{} trials: {} valid, {} limited, {} invalid, {} blocked by design{}",
        trials.len(),
        of(Validity::Valid),
        of(Validity::Limited),
        of(Validity::Invalid),
        of(Validity::Blocks) - absent,
        match absent {
            0 => String::new(),
            n => format!(", {n} with a route that is not offered"),
        }
    )
}

/// A run in which no figure of any server may be used has failed, although it has a report.
fn usable(trials: &[Trial]) -> Result<(), Failure> {
    let measured = |t: &Trial| matches!(t.role, Role::Model | Role::Target);
    let some = |t: &Trial| {
        let good = |&figure: &Figure| t.reasons.worst(figure) != Some(Effect::Invalidates);
        t.validity != Validity::Invalid || (t.figures.is_some() && Figure::ALL.iter().any(good))
    };
    let usable = |t: &Trial| measured(t) && some(t);
    if trials.iter().any(usable) {
        return Ok(());
    }
    let failed = trials.iter().find(|t| measured(t) && !t.reasons.is_empty());
    let reason = failed.map_or_else(|| "nothing was measured".to_owned(), |t| t.reasons.text());
    Err(anyhow::anyhow!("no trial of any server is valid: {reason}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_announced_is_compared_with_the_time_taken() {
        let s = Duration::from_secs;
        assert_eq!(
            as_announced(s(79), s(80)),
            (true, "took 79 s, announced 80 s".into())
        );
        let (kept, said) = as_announced(s(900), s(660));
        assert!(
            !kept && said.contains("took 15 min, announced 11 min: +36 %"),
            "{said}"
        );
        assert!(
            !as_announced(s(60), s(80)).0,
            "too short is not as announced either"
        );
        assert!(as_announced(s(95), s(80)).0);
        // What is left of a resumed run may be next to nothing: no percentage of that is told.
        let (kept, said) = as_announced(s(4), Duration::ZERO);
        assert!(kept && !said.contains('%'), "{said}");
        let (kept, said) = as_announced(s(60), Duration::from_millis(1));
        assert!(!kept && !said.contains('%'), "{said}");
    }
}
