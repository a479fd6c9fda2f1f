//! The table of predictions held against measurements: what was chosen, what was best, and what three other
//! ways of choosing lost.

use std::fmt::Write as _;

use advise::Answer;
use schema::profile::{Calibration, Profile};
use workload::Workload;

use super::again::Again;
use super::records::Cell;
use super::refused::{Refused, say};

/// Ways of choosing, as the table calls them.
const WAYS: [&str; 4] = [
    "pick",
    "always thread-pool",
    "always multi-reactor",
    "the README's rules",
];
/// A regret of no more is as good as none.
const REGRET_MAX: f64 = 0.10;
/// A prediction so near held.
const NEAR: (f64, f64) = (0.85, 1.15);

/// A trial's rate is random by so much.
const BEYOND: f64 = 1.02;

/// A cell as the sums have it.
struct Held {
    workload: usize,
    model: String,
    expected: f64,
    measured: f64,
    covered: bool,
    /// Whether the workload blocks or awaits.
    paused: bool,
    /// What was predicted by the profile alone, whatever the moment.
    alone: f64,
}

/// Rows, and their sums.
#[derive(Default)]
pub(super) struct Table {
    regrets: [Vec<f64>; 4],
    cells: Vec<Held>,
    /// Workloads in which no model kept the objective.
    undecided: usize,
    /// Workloads in which no model has a figure, and trials were spoilt.
    lost: usize,
    /// Cells in which no rate kept the objective, by what was said.
    failed: Vec<String>,
    /// Cells of which nothing is known.
    spoilt: usize,
    /// Cells in which one of the two was nothing and the other was not.
    contradicted: Vec<String>,
    /// Cells in which more was measured than can be.
    beyond: Vec<String>,
    /// When the last of them was measured, seconds since 1970.
    at_s: u64,
    /// Whether it was measured how fast the machine was.
    moments: bool,
    /// What the choice lost by what was measured again; nothing where it was the best.
    again: Vec<f64>,
    /// How many of these were measured again.
    measured_again: usize,
    /// Of what was measured again, whether it was so near the first measurement as a prediction ought to be: of the
    /// choices, and of those that were the best of the first.
    repeated: [Vec<bool>; 2],
}

impl Table {
    /// The head of the table, printed.
    pub(super) fn begin() -> Result<Self, Refused> {
        say(
            "| n | chosen | best | regret | again | thread-pool | multi-reactor | README | predicted / measured of the chosen |\n|---|---|---|---|---|---|---|---|---|",
        )?;
        Ok(Self::default())
    }

    /// Prints the row of a workload, by the answer for the moment at which it was measured; `alone` is the answer of
    /// the profile as it is. `again` is what was measured of the choice and the best once more.
    pub(super) fn row(
        &mut self,
        workload: &Workload,
        cells: &[Cell],
        answer: &Answer,
        alone: &Answer,
        again: Option<&Again>,
    ) -> Result<(), Refused> {
        let n = cells[0].workload;
        for cell in cells {
            self.add(workload, cell, answer, alone);
        }
        self.moments |= cells[0].moment.is_some();
        let of = |model: &str| cells.iter().find(|c| c.model == model);
        let rps = |model: &str| of(model).and_then(|c| c.measured).unwrap_or(0.0);
        let best = best(cells).map_or("none", |c| c.model.as_str());
        let chosen = chosen(answer);
        if rps(best) <= 0.0 {
            // Where nothing kept the objective, no choice can have lost anything.
            let (count, said) = match cells.iter().any(|c| c.spoilt) {
                true => (&mut self.lost, "not measured"),
                false => (&mut self.undecided, "none kept the objective"),
            };
            *count += 1;
            return say(&format!("| {n} | {chosen} | {said} | | | | | | |"));
        }
        let [pool, reactor, readme] = choices(workload);
        let choices = [chosen, pool, reactor, readme];
        // Of one whose trials were spoilt it is not known what it would have lost, nor of one that was not worth a
        // measurement by the predictions of that time and is by those of today.
        let carries = |model: &str| predicted(answer, model).is_some_and(|i| i.expected > 0.0);
        let is_known = |model: &str| match of(model) {
            Some(cell) => !cell.spoilt,
            None => !carries(model),
        };
        let regret = |model| is_known(model).then(|| advise::regret(rps(model), rps(best)));
        let regrets = choices.map(regret);
        for (all, regret) in self.regrets.iter_mut().zip(regrets) {
            all.extend(regret);
        }
        for (repeated, side) in self
            .repeated
            .iter_mut()
            .zip(again.iter().flat_map(|a| a.sides()))
        {
            let first = of(&side.model).and_then(|cell| cell.measured);
            let near = |rps: &f64| first.map(|first| held(*rps, first));
            repeated.extend(side.rps.iter().filter_map(near));
        }
        let again = match chosen == best {
            true => Some(0.0),
            false => again.and_then(Again::regret),
        };
        self.again.extend(again);
        self.measured_again += usize::from(chosen != best && again.is_some());
        let again = said(again);
        let [own, pool, reactor, prose] = regrets.map(said);
        say(&format!(
            "| {n} | {chosen} | {best} | {own} | {again} | {pool} | {reactor} | {prose} ({readme}) | {:.0} / {} |",
            predicted(answer, chosen).map_or(0.0, |i| i.expected),
            match is_known(chosen) {
                true => format!("{:.0}", rps(chosen)),
                false => "not measured".to_owned(),
            }
        ))
    }

    /// Notes a cell of which more was measured than `most_rps`, which the handler's own work allows.
    pub(super) fn bounded(&mut self, cell: &Cell, most_rps: f64) {
        if let Some(measured) = cell.measured.filter(|rps| *rps > most_rps * BEYOND) {
            self.beyond.push(format!(
                "{} {}: measured {measured:.0}/s, and the work alone allows {most_rps:.0}/s",
                cell.workload, cell.model
            ));
        }
    }

    fn add(&mut self, workload: &Workload, cell: &Cell, answer: &Answer, alone: &Answer) {
        self.at_s = self.at_s.max(cell.at_s);
        let expected = predicted(answer, &cell.model);
        let label = format!("{} {}", cell.workload, cell.model);
        match (cell.measured, expected) {
            (Some(measured), Some(interval)) if interval.expected > 0.0 => self.cells.push(Held {
                workload: cell.workload,
                model: cell.model.clone(),
                expected: interval.expected,
                measured,
                covered: (interval.low..=interval.high).contains(&measured),
                paused: workload.pauses(),
                alone: predicted(alone, &cell.model).map_or(0.0, |i| i.expected),
            }),
            (Some(measured), _) => self
                .contradicted
                .push(format!("{label}: predicted none, measured {measured:.0}/s")),
            (None, Some(interval)) if interval.expected > 0.0 => {
                let line = format!(
                    "{label}: predicted {:.0}/s; {}",
                    interval.expected, cell.why
                );
                match cell.spoilt {
                    true => self.spoilt += 1,
                    false => self.failed.push(line),
                }
            }
            (None, _) => {}
        }
    }

    /// Writes into `profile` how far its predictions were off, and by which workloads that is known.
    pub(super) fn calibrate(&self, seed: u64, profile: &mut Profile) {
        // An answer rests on the profile alone, and so do these; what it is corrected by does not depend on the hour.
        let told = || self.cells.iter().filter(|c| c.alone > 0.0);
        profile.residuals = told().map(|c| (c.measured / c.alone).ln()).collect();
        profile.residuals_paused = told().map(|c| c.paused).collect();
        let middle_off = |paused: bool| {
            let same = self.cells.iter().filter(|c| c.paused == paused);
            let mut off: Vec<f64> = same.map(|c| (c.measured / c.expected).ln()).collect();
            off.sort_by(f64::total_cmp);
            (off.len() >= advise::RESIDUALS_MIN).then(|| off[off.len() / 2])
        };
        profile.calibration = Some(Calibration {
            seed,
            workloads: self.regrets[0].len() + self.undecided,
            at_s: self.at_s,
            computing_off: middle_off(false),
            pausing_off: middle_off(true),
            lent_by: None,
        });
    }

    /// Prints the sums.
    pub(super) fn end(&self) -> Result<(), Refused> {
        let mut text = String::from("\n");
        for (name, regrets) in WAYS.iter().zip(&self.regrets) {
            let within = regrets.iter().filter(|r| **r <= REGRET_MAX).count();
            let worst = regrets.iter().copied().fold(0.0, f64::max);
            let _ = writeln!(
                text,
                "- {name}: regret at most 10 % in {within} of {}, {:.0} % at worst",
                regrets.len(),
                worst * 100.0
            );
        }
        if self.measured_again > 0 {
            let within = self.again.iter().filter(|r| **r <= REGRET_MAX).count();
            let worst = self.again.iter().copied().fold(0.0, f64::max);
            let _ = writeln!(
                text,
                "- pick, with choice and best measured again in {} workloads, and a regret of 0 where the choice was the best: regret at most 10 % in {within} of {}, {:.0} % at worst",
                self.measured_again,
                self.again.len(),
                worst * 100.0
            );
        }
        let (undecided, lost, spoilt) = (self.undecided, self.lost, self.spoilt);
        if undecided > 0 {
            text += &format!("- no model kept the objective in {undecided} more workloads\n");
        }
        if lost > 0 {
            text += &format!("- in {lost} more workloads every trial was spoilt\n");
        }
        let n = self.cells.len();
        let share = |many: usize| many as f64 / n.max(1) as f64 * 100.0;
        let near = self.cells.iter().filter(|c| c.is_near()).count();
        let covered = self.cells.iter().filter(|c| c.covered).count();
        let _ = writeln!(
            text,
            "- predicted capacity within 15 % of measured in {near} of {n} cells ({:.0} %); measured within the 90 % interval in {covered} ({:.0} %)",
            share(near),
            share(covered)
        );
        if self.moments {
            let alone = |c: &&Held| held(c.alone, c.measured);
            let near = self.cells.iter().filter(alone).count();
            let _ = writeln!(
                text,
                "- by the profile as it is, without what was measured of the moment: {near} of {n} ({:.0} %)",
                share(near)
            );
        }
        self.repeats(&mut text);
        self.by_model(&mut text);
        for (what, lines) in [
            ("Predicted to keep the objective, and did not", &self.failed),
            ("Predicted not to keep it, and did", &self.contradicted),
            (
                "Measured above what is possible, in trials that were too short",
                &self.beyond,
            ),
        ] {
            if !lines.is_empty() {
                let _ = writeln!(text, "\n{what}:");
                for line in lines {
                    let _ = writeln!(text, "- {line}");
                }
            }
        }
        self.furthest(&mut text);
        if spoilt > 0 {
            text += &format!(
                "\n{spoilt} more cells were not measured: the machine or the generator spoilt their trials.\n"
            );
        }
        say(text.trim_end_matches('\n'))
    }

    /// How near a measurement is to another one of the same server: the noise that is in both.
    fn repeats(&self, text: &mut String) {
        let [of_choice, of_best] = &self.repeated;
        if of_choice.len() + of_best.len() == 0 {
            return;
        }
        let near = |all: &[bool]| all.iter().filter(|near| **near).count();
        let _ = writeln!(
            text,
            "- a second measurement of the same server was within 15 % of the first in {} of {} where it was the choice, and in {} of {} where it was the best of the first",
            near(of_choice),
            of_choice.len(),
            near(of_best),
            of_best.len()
        );
    }

    fn by_model(&self, text: &mut String) {
        text.push_str(
            "\n| model | cells | within 15 % | covered | median measured / predicted |\n",
        );
        text.push_str("|---|---|---|---|---|\n");
        let mut models: Vec<&str> = self.cells.iter().map(|c| c.model.as_str()).collect();
        models.sort_unstable();
        models.dedup();
        for model in models {
            let own: Vec<&Held> = self.cells.iter().filter(|c| c.model == model).collect();
            let mut ratios: Vec<f64> = own.iter().map(|c| c.measured / c.expected).collect();
            ratios.sort_by(f64::total_cmp);
            let _ = writeln!(
                text,
                "| {model} | {} | {} | {} | {:.2} |",
                own.len(),
                own.iter().filter(|c| c.is_near()).count(),
                own.iter().filter(|c| c.covered).count(),
                ratios[ratios.len() / 2]
            );
        }
    }

    /// The cells that are furthest off.
    fn furthest(&self, text: &mut String) {
        let mut off: Vec<&Held> = self.cells.iter().filter(|c| !c.is_near()).collect();
        let far = |c: &Held| (c.measured / c.expected).ln().abs();
        off.sort_by(|a, b| far(b).total_cmp(&far(a)));
        if !off.is_empty() {
            text.push_str("\nFurthest off (workload, model, predicted, measured):\n");
        }
        for c in off.iter().take(40) {
            let _ = writeln!(
                text,
                "- {} {}: {:.0}, {:.0} ({:+.0} %)",
                c.workload,
                c.model,
                c.expected,
                c.measured,
                (c.measured / c.expected - 1.0) * 100.0
            );
        }
    }
}

impl Held {
    fn is_near(&self) -> bool {
        held(self.expected, self.measured)
    }
}

fn held(expected: f64, measured: f64) -> bool {
    (NEAR.0..=NEAR.1).contains(&(expected / measured))
}

/// A regret, for the table.
fn said(regret: Option<f64>) -> String {
    match regret {
        Some(regret) => format!("{:.0} %", regret * 100.0),
        None => "not measured".to_owned(),
    }
}

/// The model that an answer recommends.
pub(super) fn chosen(answer: &Answer) -> &str {
    let recommended = answer.recommended.as_ref();
    recommended.map_or("none", |r| r.model.as_str())
}

/// The cell of which most was measured.
pub(super) fn best(cells: &[Cell]) -> Option<&Cell> {
    let rps = |cell: &&Cell| cell.measured.unwrap_or(0.0);
    cells.iter().max_by(|a, b| rps(a).total_cmp(&rps(b)))
}

/// What the other ways of choosing would take.
pub(super) fn choices(workload: &Workload) -> [&'static str; 3] {
    ["thread-pool", "multi-reactor", by_the_readme(workload)]
}

fn predicted(answer: &Answer, model: &str) -> Option<advise::Interval> {
    let line = answer.candidates.iter().find(|c| c.model == model);
    line.and_then(|c| c.capacity_rps)
}

/// A handler that computes for so long is a long one: what a page of a template takes.
const LONG_US: f64 = 1_000.0;

/// The README's rules in prose ("How to pick", before there was `pick`), read as a person would:
///
/// 1. A handler that blocks takes `thread-pool`; `reactor-pool` where connections are many and mostly idle.
/// 2. A short one that never blocks takes a loop, `single-reactor` for one CPU and `multi-reactor` for several;
///    `async-tasks` where the code awaits other services.
/// 3. For one that computes for long "any model with a worker per CPU will do": `thread-pool`, the first
///    that the rules name.
/// 4. Where a crash must be alone, `prefork`.
fn by_the_readme(workload: &Workload) -> &'static str {
    let [cpu, blocked, wait] = workload.means_us();
    let many_and_idle = workload.connections >= 100 && workload.active * 2 < workload.connections;
    if workload.needs.crash_isolation {
        "prefork"
    } else if blocked > 0.0 || workload.classes.iter().any(|c| !c.lock.is_empty()) {
        if many_and_idle {
            "reactor-pool"
        } else {
            "thread-pool"
        }
    } else if wait > 0.0 {
        "async-tasks"
    } else if cpu >= LONG_US {
        "thread-pool"
    } else if workload.machine.cpus.is_some_and(|cpus| cpus > 1) {
        "multi-reactor"
    } else {
        "single-reactor"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was spoilt is neither a loss nor a failure; what kept no objective is both.
    #[test]
    fn spoilt_cells_are_left_out_of_what_choices_lost() {
        let cell = |model: &str, measured: Option<f64>, spoilt: bool| Cell {
            model: model.into(),
            measured,
            spoilt,
            ..Cell::default()
        };
        let line = |model: &str| advise::CandidateLine {
            model: model.into(),
            capacity_rps: Some(advise::Interval {
                low: 90.0,
                expected: 100.0,
                high: 110.0,
            }),
            ..advise::CandidateLine::default()
        };
        let answer = Answer {
            recommended: Some(advise::Recommended {
                model: "thread-pool".into(),
                ..advise::Recommended::default()
            }),
            candidates: vec![line("thread-pool"), line("multi-reactor")],
            ..Answer::default()
        };
        let workload = Workload::parse("rate = 10\n[[class]]\nblocked_us = 9\n").expect("whole");
        let held = |pool: Option<f64>, reactor: Option<f64>, spoilt: bool| {
            let cells = [
                cell("thread-pool", pool, spoilt),
                cell("multi-reactor", reactor, false),
            ];
            let mut table = Table::default();
            let printed = table.row(&workload, &cells, &answer, &answer, None);
            assert!(printed.is_ok());
            let lost = table.regrets[0].clone();
            (
                lost,
                table.spoilt,
                table.failed.len(),
                table.lost,
                table.undecided,
            )
        };
        assert_eq!(
            held(Some(50.0), Some(100.0), false),
            (vec![0.5], 0, 0, 0, 0)
        );
        assert_eq!(held(None, Some(100.0), false), (vec![1.0], 0, 1, 0, 0));
        assert_eq!(held(None, Some(100.0), true), (vec![], 1, 0, 0, 0));
        assert_eq!(held(None, None, true), (vec![], 1, 1, 1, 0));
        assert_eq!(held(None, None, false), (vec![], 0, 2, 0, 1));
    }

    #[test]
    fn the_rules_in_prose_are_followed() {
        for (text, model) in [
            ("[[class]]\ncpu_us = 50\nblocked_us = 200\n", "thread-pool"),
            (
                "connections = 500\nactive = 20\n[[class]]\nblocked_us = 200\n",
                "reactor-pool",
            ),
            ("[[class]]\ncpu_us = 50\n", "single-reactor"),
            (
                "[[class]]\ncpu_us = 50\n[machine]\ncpus = 2\n",
                "multi-reactor",
            ),
            ("[[class]]\ncpu_us = 50\nwait_us = 900\n", "async-tasks"),
            ("[[class]]\ncpu_us = 5000\n", "thread-pool"),
            (
                "[[class]]\ncpu_us = 50\n[needs]\ncrash_isolation = true\n",
                "prefork",
            ),
        ] {
            let workload = Workload::parse(&format!("rate = 10\n{text}")).expect(text);
            assert_eq!(by_the_readme(&workload), model, "{text}");
        }
    }
}
