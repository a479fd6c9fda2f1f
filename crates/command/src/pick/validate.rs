//! Predictions held to account: generated workloads, measured over all models, beside what was predicted.
//!
//! `--validate SEED --out FILE` measures, a line for each cell, and goes on where it ended. `--validate SEED
//! --against FILE` predicts all stored workloads again, without measuring. Both print the same table.
//!
//! A profile is of another hour, and a machine that others use, too, is not as fast in every hour. So the moment is
//! measured with the capacities (a few seconds every few minutes), and predictions are held to what was measured
//! by the profile as it would be then. By the profile alone they are made, too: that is what an answer rests on,
//! and what its intervals are made from.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use advise::{Answer, Facts, Options};
use bench::Asked;
use schema::profile::{Moment, Profile};
use workload::Workload;

use super::again::{self, Again};
use super::check;
use super::records::{self, Cell};
use super::refused::{Refused, failed, unusable};
use super::table::{self, Table};

/// A candidate that is predicted to carry less than this share of the best is not measured, unless one of the
/// other ways of choosing would take it; and then roughly.
const CONTENDS_SHARE: f64 = 0.7;
/// A CPU that is away for more of its time is used by others, whom the gates of a trial do not let pass either.
const AWAY_SHARE_MAX: f64 = 0.05;
/// How long a moment lasts.
const MOMENT: Duration = Duration::from_secs(240);

/// What is held to account.
pub(super) struct Asking<'a> {
    pub seed: u64,
    pub profile: &'a Profile,
    pub facts: &'a [Facts],
    /// Where choice and best are kept that were measured again, and whether those are measured that are not there.
    pub again: Option<(&'a Path, bool)>,
}

/// `A..B` as two numbers.
pub(super) fn subset(text: &str) -> Result<(usize, usize), Refused> {
    let bad = || {
        unusable(format!(
            "--subset {text}: it must be FIRST..END, within 0..1000"
        ))
    };
    let (first, end) = text.split_once("..").ok_or_else(bad)?;
    let first: usize = first.parse().map_err(|_| bad())?;
    let end: usize = end.parse().map_err(|_| bad())?;
    if first >= end || end > 1_000 {
        return Err(bad());
    }
    Ok((first, end))
}

/// Workloads by which intervals were made cannot show that they hold.
pub(super) fn apart(seed: u64, profile: &Profile) -> Result<(), Refused> {
    match profile.calibration.as_ref().filter(|c| c.seed == seed) {
        Some(_) => Err(unusable(format!(
            "--validate {seed}: the profile's intervals were made from the workloads of this seed; take another"
        ))),
        None => Ok(()),
    }
}

impl Asking<'_> {
    /// Measures workloads `first` to `end` over the default variants, about a minute and a quarter each, and
    /// prints the table. With `out`, what was measured is kept there, and what is there is not measured
    /// again.
    pub(super) fn measure(
        &self,
        (first, end): (usize, usize),
        out: Option<&Path>,
    ) -> Result<ExitCode, Refused> {
        let stored = out.map_or_else(|| Ok(Vec::new()), records::read);
        let stored = stored.map_err(|line| unusable(format!("--out {line}")))?;
        let mut table = Table::begin()?;
        let mut moment: Option<(Instant, Moment)> = None;
        let generated = advise::generated(self.seed, end);
        for (n, workload) in generated.iter().enumerate().skip(first) {
            let text = workload.to_string();
            let same = |w: &&Vec<Cell>| (w[0].seed, w[0].workload) == (self.seed, n);
            // One that the machine has spoilt altogether is measured again.
            let tried = |cells: &&Vec<Cell>| cells.iter().any(|c| !c.trials.is_empty());
            let cells = match stored.iter().find(same).filter(tried) {
                Some(cells) if cells[0].toml == text => cells.clone(),
                Some(_) => {
                    return Err(unusable(format!(
                        "--out: workload {n} in it is another than this version generates; take a new file"
                    )));
                }
                None => {
                    let now = match moment.take().filter(|(at, _)| at.elapsed() < MOMENT) {
                        Some(now) => now,
                        None => (Instant::now(), self.moment()?),
                    };
                    let cells = self.measured(n, workload, &now.1)?;
                    moment = Some(now);
                    if let Some(file) = out {
                        records::append(file, &cells).map_err(failed)?;
                    }
                    cells
                }
            };
            self.row(&mut table, workload, &cells)?;
        }
        table.end()?;
        Ok(ExitCode::SUCCESS)
    }

    /// Predicts the workloads that are stored in `file`, and prints the table.
    pub(super) fn against(
        &self,
        (first, end): (usize, usize),
        file: &Path,
    ) -> Result<Table, Refused> {
        let stored = records::read(file).map_err(|line| unusable(format!("--against {line}")))?;
        let asked =
            |w: &&Vec<Cell>| w[0].seed == self.seed && (first..end).contains(&w[0].workload);
        let stored: Vec<&Vec<Cell>> = stored.iter().filter(asked).collect();
        if stored.is_empty() {
            return Err(unusable(format!(
                "--against {}: no whole workload of seed {} is in it",
                file.display(),
                self.seed
            )));
        }
        let mut table = Table::begin()?;
        for cells in stored {
            let workload = Workload::parse(&cells[0].toml)
                .map_err(|line| unusable(format!("--against {}: {line}", file.display())))?;
            self.row(&mut table, &workload, cells)?;
        }
        table.end()?;
        Ok(table)
    }

    fn moment(&self) -> Result<Moment, Refused> {
        let found = bench::moment(&advise::probed(self.facts));
        let moment = found.map_err(|e| failed(format!("{e:#}")))?;
        for (whose, seen) in [
            ("server's", &moment.stalls),
            ("load generator's", &moment.client_stalls),
        ] {
            let away = seen.away_share();
            if away > AWAY_SHARE_MAX {
                eprintln!(
                    "turnstile pick: the {whose} CPU was away for {:.0} % of the time: others use it, and what is measured now will be left out",
                    away * 100.0
                );
            }
        }
        Ok(moment)
    }

    /// The row of a workload, predicted with the workers that were measured: by the profile as it would be at the
    /// moment of the measurement, and by the profile alone.
    fn row(&self, table: &mut Table, workload: &Workload, cells: &[Cell]) -> Result<(), Refused> {
        let sized = cells.iter().filter_map(|c| {
            let workers = c.workers?;
            Some((c.model.clone(), c.variant.clone(), workers))
        });
        let sized: Vec<_> = sized.collect();
        let alone = self.predict(workload, self.profile, sized.clone())?;
        let then = match &cells[0].moment {
            Some(moment) => {
                let then = advise::at(self.profile, self.facts, moment);
                self.predict(workload, &then, sized)?
            }
            None => alone.clone(),
        };
        let cpus = workload.machine.cpus;
        let cores = cpus.unwrap_or(self.profile.machine.server_cpus) as usize;
        for cell in cells {
            let same = |f: &&Facts| f.model == cell.model && f.variant == cell.variant;
            if let Some(facts) = self.facts.iter().find(same) {
                table.bounded(cell, advise::work_bound(workload, facts, cores));
            }
        }
        let again = self.again(workload, cells, &then)?;
        table.row(workload, cells, &then, &alone, again.as_ref())
    }

    /// What was measured again of the choice and the best, or is now.
    fn again(
        &self,
        workload: &Workload,
        cells: &[Cell],
        answer: &Answer,
    ) -> Result<Option<Again>, Refused> {
        let chosen = cells.iter().find(|c| c.model == table::chosen(answer));
        let (Some((file, measures)), Some(chosen), Some(best)) =
            (self.again, chosen, table::best(cells))
        else {
            return Ok(None);
        };
        let stored = again::read(file).map_err(|line| unusable(format!("--again {line}")))?;
        // Of one that was measured twice the later counts; one that the machine has spoilt is measured once more.
        let found = stored.into_iter().rfind(|a| a.is_of(chosen, best));
        if let Some(found) = found.filter(|a| !measures || a.regret().is_some()) {
            return Ok(Some(found));
        }
        let is_known = best.measured.is_some() && !chosen.spoilt;
        if !measures || !is_known || chosen.model == best.model {
            return Ok(None);
        }
        let found = again::measure(workload, (chosen, best), self.facts);
        let found = found.map_err(failed)?;
        again::append(file, &found).map_err(failed)?;
        Ok(Some(found))
    }

    fn predict(
        &self,
        workload: &Workload,
        profile: &Profile,
        sized: Vec<(String, String, u32)>,
    ) -> Result<Answer, Refused> {
        let options = Options {
            brief: true,
            defaults: true,
            seed: self.seed,
            sized,
            ..Options::default()
        };
        // What is measured is the workload as it is sent, whose longest times are shorter: where an objective is
        // close to them, that decides.
        let sent = workload::as_sent(workload);
        advise::advise(&sent, profile, self.facts, &options).map_err(failed)
    }

    /// Measures the default variants that may be the best, and those that the other ways of choosing would take.
    /// What is predicted far below the best would have to carry half as much again as predicted to be chosen.
    fn measured(
        &self,
        n: usize,
        workload: &Workload,
        moment: &Moment,
    ) -> Result<Vec<Cell>, Refused> {
        let now = advise::at(self.profile, self.facts, moment);
        let answer = self.predict(workload, &now, Vec::new())?;
        let ranked = answer.candidates.iter();
        let ranked: Vec<_> = ranked.filter_map(|c| Some((c, c.capacity_rps?))).collect();
        let best = ranked.iter().map(|(_, c)| c.expected).fold(0.0, f64::max);
        let contends = |rps: f64| rps >= best * CONTENDS_SHARE;
        let others = table::choices(workload);
        let able: Vec<_> = ranked
            .into_iter()
            .filter(|(line, c)| contends(c.expected) || others.contains(&line.model.as_str()))
            .collect();
        let asked: Vec<Asked> = able
            .iter()
            .map(|(line, capacity)| Asked {
                coarse: !contends(capacity.expected),
                ..check::asked(line, self.facts)
            })
            .collect();
        let found = bench::capacities(workload, &asked).map_err(|e| failed(e.to_string()))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_s = since.map_or(0, |time| time.as_secs());
        let each = able.iter().zip(found);
        let cells = each.map(|((line, capacity), measured)| Cell {
            seed: self.seed,
            workload: n,
            toml: workload.to_string(),
            cells: able.len(),
            at_s,
            moment: Some(moment.clone()),
            model: line.model.clone(),
            variant: line.variant.clone(),
            workers: line.workers,
            low: capacity.low,
            expected: capacity.expected,
            high: capacity.high,
            measured: measured.rps,
            why: measured.why,
            spoilt: measured.spoilt,
            closed_rps: measured.closed_rps,
            trials: measured
                .trials
                .iter()
                .map(|t| (t.rate, t.p99_us, t.errors_share))
                .collect(),
            clients: measured.clients,
        });
        Ok(cells.collect())
    }
}
