//! Does the rule keep its word? Sessions simulated from the noise of recorded trials.
//!
//! Two promises: where every "model" is the same binary, at least 95 % of comparisons declare no
//! difference; a server that is 10 % slower is declared slower in at least 9 of 10 full sessions.
//! A real session takes hours, so these are drawn: no server runs here.
//!
//! Of each column (scenario, load and figure) of a recorded run the VALID trials are split into the
//! row's level, what its block shared, and the rest. A simulated trial is a drawn block effect plus
//! the mean of drawn rests, one for each recorded window that its own window is long: this assumes
//! that the noise of successive windows is independent, and `windows: 1` is what remains if longer
//! windows calm nothing. Trials are lost as often as the recorded run lost them to the gates.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cell::State;
use crate::data::Validity;
use crate::metric::Metric;
use crate::primary::{self, Choice};
use crate::read;
use crate::run::Run;
use crate::stats::{self, Evidence, INFINITE_LOG, Verdict};

/// The noise of one column of a recorded run.
#[derive(Debug, Clone)]
pub struct Noise {
    /// `tiny-keepalive, server CPU a request, at 20,000/s`.
    pub name: String,
    /// `true` for the figure that decides its scenario.
    pub decides: bool,
    /// What blocks shared, logarithms.
    blocks: Vec<f64>,
    /// What remained of each trial, logarithms.
    rests: Vec<f64>,
    /// Share of trials that the gates left out.
    lost: f64,
}

/// A simulated session.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Rows measured, the placebo not counted.
    pub rows: usize,
    /// Blocks.
    pub blocks: u32,
    /// Recorded windows that a window of this session is long.
    pub windows: usize,
}

/// What the rule said, as counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Comparisons, or sessions, that had an answer.
    pub asked: u32,
    /// Of these, declared different, or slower.
    pub declared: u32,
}

impl Tally {
    /// The share declared; zero of nothing.
    pub fn share(self) -> f64 {
        f64::from(self.declared) / f64::from(self.asked.max(1))
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.declared += other.declared;
    }
}

/// The noise of every column of the run in `dir` that has three rows with three blocks or more.
///
/// # Errors
/// As [`crate::write`]: an unreadable run.
pub fn noise(dir: &Path) -> anyhow::Result<Vec<Noise>> {
    let run = read::run(dir)?;
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        let deciding = primary::choose(&run, scenario);
        for window in run.windows(scenario) {
            let metrics: &[Metric] = match window.rate() {
                None => &[Metric::Throughput],
                Some(_) => &[Metric::ServerCpu, Metric::P50, Metric::P99],
            };
            for &metric in metrics {
                let choice = Choice { metric, window };
                let noise = column(&run, scenario, choice);
                found.extend(noise.map(|noise| Noise {
                    decides: choice == deciding,
                    ..noise
                }));
            }
        }
    }
    Ok(found)
}

fn column(run: &Run, scenario: &str, choice: Choice) -> Option<Noise> {
    let (mut tried, mut lost) = (0.0, 0.0);
    let mut rows: Vec<BTreeMap<u32, f64>> = Vec::new();
    for row in &run.rows {
        let cell = run.cell(&row.label, scenario, choice.window);
        for trial in &cell.trials {
            tried += f64::from(u8::from(trial.validity != Validity::Blocks));
            lost += f64::from(u8::from(trial.validity == Validity::Invalid));
        }
        let mut costs = cell.costs(choice.metric);
        costs.retain(|_, cost| cost.abs() < INFINITE_LOG);
        if cell.state == State::Valid && costs.len() == run.blocks as usize {
            rows.push(costs);
        }
    }
    let (count, blocks) = (rows.len() as f64, f64::from(run.blocks));
    if rows.len() < 3 || run.blocks < 3 {
        return None;
    }
    for costs in &mut rows {
        let level = costs.values().sum::<f64>() / blocks;
        costs.values_mut().for_each(|cost| *cost -= level);
    }
    let shared = |block: u32| rows.iter().filter_map(|row| row.get(&block)).sum::<f64>() / count;
    let ids: Vec<u32> = rows[0].keys().copied().collect();
    let effects: BTreeMap<u32, f64> = ids.iter().map(|&id| (id, shared(id))).collect();
    // What was taken out with the means comes back as the usual correction for degrees of freedom.
    let rest_scale = (count * blocks / ((count - 1.0) * (blocks - 1.0))).sqrt();
    let block_scale = (blocks / (blocks - 1.0)).sqrt();
    let rest = |(block, cost): (&u32, &f64)| (cost - effects.get(block)?).into();
    let rests = rows.iter().flatten().filter_map(rest);
    let rests = rests.map(|each: f64| each * rest_scale).collect();
    Some(Noise {
        name: format!(
            "{scenario}, {}, {}",
            choice.metric.name(),
            choice.window.describe()
        ),
        decides: false,
        blocks: effects.values().map(|each| each * block_scale).collect(),
        rests,
        lost: lost / f64::max(tried, 1.0),
    })
}

impl Noise {
    /// Standard deviation of a trial within its block, as a share.
    pub fn deviation(&self) -> f64 {
        let squares: f64 = self.rests.iter().map(|each| each * each).sum();
        (squares / self.rests.len() as f64).sqrt()
    }

    /// Comparisons with the best of the column in `sessions` sessions of equal servers, and how many
    /// declared a difference.
    pub fn equal(&self, session: Session, sessions: u32, seed: u64) -> Tally {
        let mut seeded = Seeded(seed);
        let mut tally = Tally::default();
        for _ in 0..sessions {
            let (rows, zone) = self.draw(session, 0.0, &mut seeded);
            let places = stats::rank(&rows, zone, Evidence::of(session.blocks));
            for place in places.into_iter().flatten().filter(|place| !place.best) {
                tally.asked += 1;
                tally.declared += u32::from(place.tier > 1);
            }
        }
        tally
    }

    /// Sessions in which one server costs `factor` times the others, and in how many it is declared
    /// slower than the best.
    pub fn slowed(&self, session: Session, factor: f64, sessions: u32, seed: u64) -> Tally {
        let mut seeded = Seeded(seed);
        let mut tally = Tally::default();
        for _ in 0..sessions {
            let (rows, zone) = self.draw(session, factor.ln(), &mut seeded);
            let places = stats::rank(&rows, zone, Evidence::of(session.blocks));
            let slower = |place: stats::Ranked| place.against_best.verdict == Verdict::Slower;
            tally.asked += 1;
            tally.declared += u32::from(places[0].is_some_and(slower));
        }
        tally
    }

    /// Pairs of sessions of the same build, one after the other, and in how many of `rows` rows
    /// each the second is declared slower; with `factor` over 1 it is slower.
    pub fn compared(&self, session: Session, factor: f64, sessions: u32, seed: u64) -> Tally {
        let mut seeded = Seeded(seed);
        let mut tally = Tally::default();
        let evidence = Evidence::of(session.blocks);
        for _ in 0..sessions {
            let mut noises = [0.0; 2];
            let mut drawn = [0.0, factor.ln()]
                .into_iter()
                .zip(&mut noises)
                .map(|(by, noise)| {
                    let mut rows = self.rows(session, &mut seeded);
                    *noise = stats::noise(&placebo(&rows), evidence);
                    rows.truncate(session.rows);
                    let moved =
                        |row: &BTreeMap<u32, f64>| row.values().map(|each| each + by).collect();
                    rows.iter().map(moved).collect::<Vec<Vec<f64>>>()
                });
            let (Some(before), Some(after)) = (drawn.next(), drawn.next()) else {
                continue;
            };
            let zone = stats::zone_of_sessions(&noises);
            for (before, after) in before.iter().zip(&after) {
                let said = stats::compare_sessions(after, before, zone, evidence);
                tally.asked += 1;
                tally.declared +=
                    u32::from(said.is_some_and(|each| each.verdict == Verdict::Slower));
            }
        }
        tally
    }

    /// The rows of a session, the first of them slower by `log`, and the zone its placebo gives.
    fn draw(
        &self,
        session: Session,
        log: f64,
        seeded: &mut Seeded,
    ) -> (Vec<BTreeMap<u32, f64>>, f64) {
        let mut rows = self.rows(session, seeded);
        let zone = stats::zone(&placebo(&rows), Evidence::of(session.blocks));
        rows.truncate(session.rows);
        rows[0].values_mut().for_each(|cost| *cost += log);
        (rows, zone)
    }

    /// Logarithmic costs by block of equal servers; the last row is the placebo of the one before.
    fn rows(&self, session: Session, seeded: &mut Seeded) -> Vec<BTreeMap<u32, f64>> {
        let shared: Vec<f64> = (0..session.blocks)
            .map(|_| seeded.of(&self.blocks))
            .collect();
        let trial = |seeded: &mut Seeded| {
            let rests = (0..session.windows).map(|_| seeded.of(&self.rests));
            rests.sum::<f64>() / session.windows as f64
        };
        let mut row = |_| {
            let mut costs = BTreeMap::new();
            for (block, shared) in (0..).zip(&shared) {
                let cost = shared + trial(seeded);
                if seeded.uniform() >= self.lost {
                    costs.insert(block, cost);
                }
            }
            costs
        };
        (0..=session.rows).map(&mut row).collect()
    }
}

/// The log-ratios by block of the last two rows.
fn placebo(rows: &[BTreeMap<u32, f64>]) -> Vec<f64> {
    let [.., original, copy] = rows else {
        return Vec::new();
    };
    let log = |(block, cost): (&u32, &f64)| Some(cost - original.get(block)?);
    copy.iter().filter_map(log).collect()
}

/// Uniform numbers from a seed (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn of(&mut self, values: &[f64]) -> f64 {
        let index = (self.uniform() * values.len() as f64) as usize;
        values.get(index).copied().unwrap_or(0.0)
    }
}
