//! The servers of a scenario side by side: started fresh for the block, loaded in rotations, drained.
//!
//! Every slice is written before the next one is measured, so that nothing measured is lost. What is
//! known only when a server has ended, its drain above all, is a line of its own
//! ([`Pass::Drain`](report::data::Pass::Drain)).

use std::collections::{BTreeMap, BTreeSet};

use report::data::{Mode, Pass, Trial};
use schema::slice::Slice;
use schema::{Code, Reason, Reasons};

use crate::failure::{Failure, Unmeasured};
use crate::judge::fairness::Shares;
use crate::judge::gates::{self, Ceiling, Evidence};
use crate::observe::measured::Sample;
use crate::plan::estimate;
use crate::plan::rotation::{self, Rotation, Seen};
use crate::plan::visit::{Visit, Window};
use crate::run::execution::Execution;
use crate::run::slice_generator::Asked;
use crate::run::standing::{Ended, Standing};
use crate::run::trial::{as_ceiling, blank, judged};

mod narrow;

/// The servers of one scenario in one block, as places of the plan.
#[derive(Debug)]
pub struct Group<'a>(pub Vec<&'a Visit>);

/// What happened so far.
struct Progress<'a> {
    /// The servers that stand, at their places; `None` for one that does not, or not any more.
    standing: Vec<Option<Standing<'a>>>,
    /// The null server's closed-loop throughput, as it was last.
    null_rps: Option<f64>,
    /// Rotations that noise has spoilt.
    spoilt: Vec<u32>,
    slices: usize,
    /// Reasons of INVALID slices, and how often each was given.
    invalid: Vec<(String, usize)>,
    /// The first slice of each server of which replies had a wrong status, and what is said of it.
    refused: BTreeMap<String, String>,
}

impl<'a> Group<'a> {
    /// The null server.
    pub fn first(&self) -> &'a Visit {
        self.0[0]
    }

    /// The windows that take turns.
    pub fn windows(&self) -> &'a [Window] {
        &self.first().windows
    }

    /// The place of the window of such a load among those that take turns.
    pub fn window_of(&self, (mode, rate): (Mode, Option<f64>)) -> Option<usize> {
        let same = |own: Option<f64>| match (own, rate) {
            (Some(own), Some(rate)) => (own - rate).abs() < 0.001,
            (own, rate) => own.is_none() && rate.is_none(),
        };
        let mut windows = self.windows().iter();
        windows.position(|window| window.mode == mode && same(window.rate))
    }

    /// The rotations that are planned.
    pub fn planned(&self, per_window: u32) -> u32 {
        per_window * u32::try_from(self.windows().len()).unwrap_or(1)
    }

    fn holds(&self, trial: &Trial) -> bool {
        let first = self.first();
        let here = trial.block == first.block && trial.scenario == first.scenario.name;
        here && trial.pass == Pass::Measure
    }

    /// The rotations that `trials` hold of it.
    fn seen(&self, trials: &[Trial]) -> Seen {
        let mut seen = Seen::new();
        for trial in trials.iter().filter(|trial| self.holds(trial)) {
            if let Some(slice) = trial.slice {
                seen.entry(slice.rotation)
                    .or_default()
                    .insert(trial.label.clone());
            }
        }
        seen
    }

    /// Places of the servers that can be measured: not blocked by design, and not failed before. One
    /// that has failed has a line of a whole trial.
    fn able(&self, ids: &BTreeSet<String>) -> BTreeSet<usize> {
        let able = |visit: &Visit| {
            let failed = |window: &Window| ids.contains(&window.id);
            visit.blocked.is_none() && !visit.windows.iter().any(failed)
        };
        (0..self.0.len())
            .filter(|&place| able(self.0[place]))
            .collect()
    }

    /// The numbers under which its rotations are still to be measured.
    pub fn due(&self, per_window: u32, trials: &[Trial]) -> Vec<u32> {
        let ids = trials.iter().map(|trial| trial.id.clone()).collect();
        let able = self.able(&ids);
        let labels = able
            .iter()
            .map(|&place| self.0[place].contender.label.clone());
        if able.is_empty() {
            return Vec::new();
        }
        rotation::due(
            self.planned(per_window),
            &labels.collect(),
            &self.seen(trials),
        )
    }
}

impl Execution<'_> {
    /// Measures a group, as far as the folder does not hold it.
    pub fn slices(&mut self, group: &Group<'_>) -> Result<(), Failure> {
        let (per_window, _) = self.setup.size.slices();
        let due = group.due(per_window, &self.record.trials);
        self.rotations(group, &due)
    }

    /// Starts the servers of a group, measures the rotations `due` and those again that noise has spoilt,
    /// and ends the servers.
    pub fn rotations(&mut self, group: &Group<'_>, due: &[u32]) -> Result<(), Failure> {
        if due.is_empty() {
            return Ok(());
        }
        self.progress.visit(group.first());
        let mut so_far = self.start(group)?;
        for &number in due {
            self.rotate(group, number, &mut so_far)?;
        }
        self.repeat(group, &mut so_far)?;
        let able = so_far.standing.iter().flatten();
        let slice = estimate::slice(group.first().scenario, self.setup.size);
        let rotations = u32::try_from(due.len()).unwrap_or(u32::MAX);
        let thought = able
            .map(|each| estimate::standing(each.visit, self.setup.size) + slice * rotations)
            .sum();
        self.narrow(group, &mut so_far, thought)?;
        if let Some(line) = so_far.invalid_line(group) {
            self.progress.say(&line);
        }
        for (label, text) in &so_far.refused {
            let name = group.first().scenario.name;
            self.progress
                .say(&format!("{label}, {name}, in its first such slice: {text}"));
        }
        for standing in so_far.standing.into_iter().flatten() {
            let visit = standing.visit;
            match standing.end(self.setup) {
                Ok(ended) => self.record.append(self.drain_line(visit, ended))?,
                Err(Unmeasured::Because(reason)) => self.failed(visit, &reason)?,
                Err(Unmeasured::Interrupted) => return Err(Failure::Interrupted),
            }
        }
        Ok(())
    }

    /// Starts the servers, one after the other.
    fn start<'a>(&mut self, group: &Group<'a>) -> Result<Progress<'a>, Failure> {
        let ids = self.record.ids();
        let able = group.able(&ids);
        let mut so_far = Progress {
            standing: Vec::new(),
            null_rps: None,
            spoilt: Vec::new(),
            slices: 0,
            invalid: Vec::new(),
            refused: BTreeMap::new(),
        };
        for (place, &visit) in group.0.iter().enumerate() {
            let standing = match able.contains(&place) {
                true => self.stand(visit)?,
                false => None,
            };
            if let Some(null) = standing.as_ref().filter(|s| s.visit.is_null()) {
                so_far.null_rps = Some(null.warm_up_rps()).filter(|&rps| rps > 0.0);
            }
            so_far.standing.push(standing);
            let time = estimate::standing(visit, self.setup.size);
            self.progress.done(time);
        }
        Ok(so_far)
    }

    fn stand<'a>(&mut self, visit: &'a Visit) -> Result<Option<Standing<'a>>, Failure> {
        match Standing::start(self.setup, visit) {
            Ok(standing) => Ok(Some(standing)),
            Err(Unmeasured::Interrupted) => Err(Failure::Interrupted),
            Err(Unmeasured::Because(reason)) => self.failed(visit, &reason).map(|()| None),
        }
    }

    /// Writes for each window of a server that it cannot be measured any more.
    fn failed(&mut self, visit: &Visit, reason: &Reason) -> Result<(), Failure> {
        let label = &visit.contender.label;
        self.progress.say(&format!(
            "INVALID {label}, {}: {reason}",
            visit.scenario.name
        ));
        for window in &visit.windows {
            let trial = judged(blank(self.setup, visit, window, 0), [reason.clone()]);
            self.record.append(trial)?;
        }
        Ok(())
    }

    /// Loads each server that stands once.
    fn rotate(
        &mut self,
        group: &Group<'_>,
        number: u32,
        so_far: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let rotation = Rotation::new(
            group.first().seed,
            number,
            group.windows().len(),
            group.0.len(),
        );
        let order = rotation.order.iter().copied();
        let standing: Vec<usize> = order
            .filter(|&place| so_far.standing[place].is_some())
            .collect();
        let mut noisy = false;
        for (position, &place) in (0..).zip(&standing) {
            noisy |= self.load(&rotation, position, place, so_far)?;
        }
        if noisy {
            so_far.spoilt.push(number);
        }
        let servers = u32::try_from(standing.len()).unwrap_or(0);
        self.progress
            .done(estimate::slice(group.first().scenario, self.setup.size) * servers);
        self.progress.visit(group.first());
        Ok(())
    }

    /// Loads the server at `place` for its slice of a rotation; `true` when noise has spoilt that.
    fn load(
        &mut self,
        rotation: &Rotation,
        position: u32,
        place: usize,
        so_far: &mut Progress<'_>,
    ) -> Result<bool, Failure> {
        let Some(standing) = &mut so_far.standing[place] else {
            return Ok(false);
        };
        let visit = standing.visit;
        let length = visit.scenario.slice(self.setup.size);
        let window = &visit.windows[rotation.window];
        let asked = Asked {
            seconds: length.as_secs_f64(),
            rate: window.rate.filter(|_| window.mode == Mode::Open),
            seed: rotation.seed,
        };
        let began_s = self.record.age_s();
        match standing.slice(self.setup, &asked) {
            Ok(mut sample) => {
                let beyond = so_far.beyond(place);
                sample.others.beside(beyond);
                let Some(standing) = &mut so_far.standing[place] else {
                    return Ok(false);
                };
                standing
                    .lateness
                    .add(gates::is_late(&standing.figures(&sample)));
                let slice = Slice {
                    rotation: rotation.number,
                    position,
                    seconds: asked.seconds,
                    began_s: Some(began_s),
                };
                let mut trial = self.slice_line(standing, window, slice, &sample, so_far.null_rps);
                trial.seed = asked.seed;
                let noisy = so_far.count(&trial);
                self.record.append(trial)?;
                Ok(noisy)
            }
            Err(Unmeasured::Interrupted) => Err(Failure::Interrupted),
            Err(Unmeasured::Because(reason)) => {
                so_far.standing[place] = None;
                self.failed(visit, &reason).map(|()| false)
            }
        }
    }

    /// Measures the rotations that noise has spoilt once more, as long as there is time to spare.
    fn repeat(&mut self, group: &Group<'_>, so_far: &mut Progress<'_>) -> Result<(), Failure> {
        let (per_window, _) = self.setup.size.slices();
        let servers = u32::try_from(group.0.len()).unwrap_or(0);
        let time = estimate::slice(group.first().scenario, self.setup.size) * servers;
        for number in std::mem::take(&mut so_far.spoilt) {
            if self.spare < time {
                break;
            }
            self.spare -= time;
            let seen = group.seen(&self.record.trials);
            let number = rotation::next(group.planned(per_window), number, &seen);
            self.rotate(group, number, so_far)?;
        }
        Ok(())
    }

    /// The line of a slice, judged by the gates.
    fn slice_line(
        &self,
        standing: &Standing<'_>,
        window: &Window,
        slice: Slice,
        sample: &Sample,
        null_rps: Option<f64>,
    ) -> Trial {
        let visit = standing.visit;
        let mut trial = blank(self.setup, visit, window, 0);
        trial.id = format!("{}.{}", window.id, slice.rotation);
        trial.order = slice.position;
        trial.shape.duration_s = slice.seconds;
        trial.slice = Some(slice);
        trial.response_hdr.clone_from(&sample.load.response_hdr);
        trial.load_command.clone_from(&sample.command);
        let figures = standing.figures(sample);
        let ceiling = match (visit.is_null(), null_rps) {
            (true, _) => Ceiling::Itself,
            (false, Some(rps)) => Ceiling::Rps(rps),
            (false, None) => Ceiling::Unknown,
        };
        let reasons = gates::judge(&Evidence {
            slice: true,
            usually_late: standing.lateness.is_usual(),
            ..Evidence::of(&trial.shape, &figures, sample, ceiling)
        });
        trial.figures = Some(figures);
        judged(trial, reasons.0.into_iter().chain(standing.notes(sample)))
    }

    /// The line of how a server ended.
    fn drain_line(&self, visit: &Visit, ended: Ended) -> Trial {
        // Any of its windows stands for it: nothing in this line is about the load.
        let window = &visit.windows[0];
        let mut blank = blank(self.setup, visit, window, 0);
        blank.shape.duration_s = 0.0;
        let Reasons(problems) = ended.drained.problems;
        let fresh = Shares::of_connections(&ended.fresh, ended.workers);
        let trial = Trial {
            id: format!("{}.d", window.id),
            pass: Pass::Drain,
            drain_connections: ended.drained.drain_ms.is_some().then_some(ended.held),
            workers_connections: fresh.counts,
            jain_connections: fresh.jain,
            figures: Some(ended.figures),
            ..blank
        };
        judged(trial, problems)
    }
}

/// How many servers a rotation loads.
fn servers_standing(so_far: &Progress<'_>) -> u32 {
    u32::try_from(so_far.standing.iter().flatten().count()).unwrap_or(0)
}

impl Progress<'_> {
    /// By how much more others use while the server at `place` is loaded than while another is.
    fn beyond(&self, place: usize) -> [f64; 2] {
        let all = || self.standing.iter().flatten().map(|each| &each.beside);
        let own = self.standing[place].as_ref();
        own.map_or([0.0; 2], |own| own.beside.beyond(all()))
    }

    /// Counts a slice; `true` when noise has spoilt it.
    fn count(&mut self, trial: &Trial) -> bool {
        self.slices += 1;
        if trial.role == report::data::Role::Null {
            self.null_rps = as_ceiling(trial).or(self.null_rps);
        }
        let invalid = |reason: &&Reason| reason.effect == schema::Effect::Invalidates;
        for reason in trial.reasons.iter().filter(invalid) {
            let known = self
                .invalid
                .iter_mut()
                .find(|(text, _)| *text == reason.text);
            match known {
                Some((_, times)) => *times += 1,
                None => self.invalid.push((reason.text.clone(), 1)),
            }
        }
        let refused = |reason: &&Reason| reason.code == Code::WrongStatuses;
        if let Some(reason) = trial.reasons.iter().find(refused) {
            let first = self.refused.entry(trial.label.clone());
            first.or_insert_with(|| reason.text.clone());
        }
        gates::is_noise(&trial.reasons)
    }

    /// One line about the slices that are INVALID, if some are: the reason that was given most, and how
    /// many there are.
    fn invalid_line(&self, group: &Group<'_>) -> Option<String> {
        let (text, _) = self.invalid.iter().max_by_key(|(_, times)| *times)?;
        let times: usize = self.invalid.iter().map(|(_, times)| times).sum();
        let (name, slices) = (group.first().scenario.name, self.slices);
        Some(format!(
            "INVALID in {name}: {times} findings in {slices} slices, such as: {text}"
        ))
    }
}
