//! Does the rule keep its word? Sessions simulated from the noise of recorded trials.
//!
//! Two promises: where every "model" is the same binary, at least 95 % of comparisons declare no
//! difference; a server that is 10 % slower is declared slower in at least 9 of 10 full sessions.
//! A real session takes hours, so these are drawn: no server runs here.
//!
//! Of each column (scenario, load and figure) of a recorded run every VALID trial is split into the
//! row's level, what its block shared, and the rest. A simulated trial is a drawn block effect plus a
//! mean of drawn rests, as many as recorded windows make up its own: a full run's windows of
//! [`FULL_WINDOW_S`] are 2.5 times as long as a quick run's, and 2 times as the closed loops of the
//! run in `tests/recorded`, which took 1 s. This assumes that the noise of successive windows is independent; a
//! session of windows as recorded is what remains if longer windows calm nothing. Trials are lost as
//! often as the recorded run lost them to the gates.

use std::collections::BTreeMap;
use std::path::Path;

use report::costs::{self, Column};
use report::stats::{self, Evidence, Verdict};
use schema::random::SplitMix64;

/// What a figure is taken over in a full run, seconds: each closed and open window, twice the
/// capacity in overload, and the window of the poisoned request. `Size::Full` in
/// `bench/src/plan/size.rs`; a test holds the two against each other.
pub const FULL_WINDOW_S: f64 = 2.0;

/// Blocks of a full run and of a quick one: `Size::blocks`.
pub const FULL_BLOCKS: u32 = 16;
/// Blocks of a quick run.
pub const QUICK_BLOCKS: u32 = 3;

/// The noise of one column of a recorded run.
#[derive(Debug, Clone)]
pub struct Noise {
    /// `tiny-keepalive`.
    pub scenario: String,
    /// `server CPU per request, at 20,000/s`.
    pub figure: String,
    /// `true` for the figure that decides its scenario.
    pub decides: bool,
    /// VALID trials it is taken from.
    pub trials: usize,
    /// What they were taken over, seconds.
    pub window_s: f64,
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
    /// What a figure is taken over, seconds; `None` for as long as was recorded.
    pub window_s: Option<f64>,
}

impl Session {
    /// A full run of twelve models.
    pub const FULL: Self = Self {
        rows: 12,
        blocks: FULL_BLOCKS,
        window_s: Some(FULL_WINDOW_S),
    };
    /// A quick one, its windows as recorded in one.
    pub const QUICK: Self = Self {
        rows: 12,
        blocks: QUICK_BLOCKS,
        window_s: None,
    };
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

/// The noise of every column of the run in `dir` that has three rows of several VALID trials in
/// three blocks or more.
pub fn noise(dir: &Path) -> anyhow::Result<Vec<Noise>> {
    let columns = costs::columns(dir)?;
    Ok(columns.into_iter().filter_map(Noise::of).collect())
}

/// The parts of costs by row and block.
struct Split {
    blocks: Vec<f64>,
    rests: Vec<f64>,
}

/// Levels of rows and effects of blocks by least squares, with trials missing here and there; `None`
/// for fewer than three rows or blocks.
///
/// Taking out the means of rows and of blocks in turn converges to it. What was taken out with them
/// comes back as the usual correction for degrees of freedom.
fn split(rows: &mut [BTreeMap<u32, f64>]) -> Option<Split> {
    const TURNS: u32 = 200;
    let mut effects: BTreeMap<u32, f64> = BTreeMap::new();
    for row in rows.iter() {
        effects.extend(row.keys().map(|&block| (block, 0.0)));
    }
    let count: usize = rows.iter().map(BTreeMap::len).sum();
    let (levels, blocks) = (rows.len(), effects.len());
    let free = (count + 1).checked_sub(levels + blocks)?;
    if levels < 3 || blocks < 3 || free == 0 {
        return None;
    }
    for _ in 0..TURNS {
        for row in rows.iter_mut() {
            let level = row.values().sum::<f64>() / row.len() as f64;
            row.values_mut().for_each(|cost| *cost -= level);
        }
        for (block, effect) in &mut effects {
            let here = || rows.iter().filter_map(|row| row.get(block));
            let mean = here().sum::<f64>() / here().count() as f64;
            *effect += mean;
            let here = rows.iter_mut().filter_map(|row| row.get_mut(block));
            here.for_each(|cost| *cost -= mean);
        }
    }
    let rest_scale = (count as f64 / free as f64).sqrt();
    let block_scale = (blocks as f64 / (blocks as f64 - 1.0)).sqrt();
    let middle = effects.values().sum::<f64>() / blocks as f64;
    let rests = rows.iter().flat_map(BTreeMap::values);
    Some(Split {
        blocks: effects
            .values()
            .map(|each| (each - middle) * block_scale)
            .collect(),
        rests: rests.map(|each| each * rest_scale).collect(),
    })
}

impl Noise {
    fn of(column: Column) -> Option<Self> {
        let mut rows = column.rows;
        rows.retain(|costs| costs.len() > 1);
        let split = split(&mut rows)?;
        Some(Self {
            scenario: column.scenario,
            figure: column.figure,
            decides: column.decides,
            trials: split.rests.len(),
            window_s: column.window_s,
            blocks: split.blocks,
            rests: split.rests,
            lost: column.lost,
        })
    }

    /// Standard deviation of a trial within its block, as a share.
    pub fn deviation(&self) -> f64 {
        let squares: f64 = self.rests.iter().map(|each| each * each).sum();
        (squares / self.rests.len() as f64).sqrt()
    }

    /// Comparisons with the best of the column in `sessions` sessions of equal servers, and how many
    /// declared a difference.
    pub fn equal(&self, session: Session, sessions: u32, seed: u64) -> Tally {
        let mut random = SplitMix64::new(seed);
        let mut tally = Tally::default();
        for _ in 0..sessions {
            let (rows, zone) = self.draw(session, 0.0, &mut random);
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
        let mut random = SplitMix64::new(seed);
        let mut tally = Tally::default();
        for _ in 0..sessions {
            let (rows, zone) = self.draw(session, factor.ln(), &mut random);
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
        let mut random = SplitMix64::new(seed);
        let mut tally = Tally::default();
        let evidence = Evidence::of(session.blocks);
        for _ in 0..sessions {
            let mut noises = [stats::Noise::default(); 2];
            let mut drawn = [0.0, factor.ln()]
                .into_iter()
                .zip(&mut noises)
                .map(|(by, noise)| {
                    let mut rows = self.rows(session, &mut random);
                    *noise = stats::Noise::of(&placebo(&rows), evidence);
                    rows.truncate(session.rows);
                    let moved =
                        |row: &BTreeMap<u32, f64>| row.values().map(|each| each + by).collect();
                    rows.iter().map(moved).collect::<Vec<Vec<f64>>>()
                });
            let (Some(before), Some(after)) = (drawn.next(), drawn.next()) else {
                continue;
            };
            let zone = stats::zone_of_sessions(&noises, 0.0);
            for (before, after) in before.iter().zip(&after) {
                let said = stats::compare_sessions(after, before, zone, evidence);
                tally.asked += 1;
                tally.declared +=
                    u32::from(said.is_some_and(|each| each.verdict == Verdict::Slower));
            }
        }
        tally
    }

    /// What a slice of `slice_s` seconds is off by, a logarithm: a rest as recorded, as wide as so short a
    /// slice makes it.
    #[allow(dead_code)] // Sessions of trials have none.
    pub fn rest(&self, slice_s: f64, random: &mut SplitMix64) -> f64 {
        drawn(&self.rests, random) * (self.window_s / slice_s).max(1.0).sqrt()
    }

    /// Log-ratios of `pairs` pairs of slices of `slice_s` seconds of two servers, of which the first
    /// costs `factor` times as much. Each half is a rest as recorded, as wide as so short a slice makes
    /// it; what a rotation shares cancels. A part `carried` of each pair's noise is that of the pair
    /// before.
    #[allow(dead_code)] // Sessions of trials have none.
    pub fn pairs(
        &self,
        (pairs, slice_s): (usize, f64),
        factor: f64,
        carried: f64,
        random: &mut SplitMix64,
    ) -> Vec<f64> {
        let scale = (self.window_s / slice_s).max(1.0).sqrt();
        let fresh = (1.0 - carried * carried).sqrt();
        let noise = |random: &mut SplitMix64| {
            (drawn(&self.rests, random) - drawn(&self.rests, random)) * scale
        };
        let mut last = noise(random);
        let mut next = || {
            last = carried * last + fresh * noise(random);
            last + factor.ln()
        };
        (0..pairs).map(|_| next()).collect()
    }

    /// The rows of a session, the first of them slower by `log`, and the zone its placebo gives.
    fn draw(
        &self,
        session: Session,
        log: f64,
        random: &mut SplitMix64,
    ) -> (Vec<BTreeMap<u32, f64>>, f64) {
        let mut rows = self.rows(session, random);
        let zone = stats::zone(&placebo(&rows), Evidence::of(session.blocks));
        rows.truncate(session.rows);
        rows[0].values_mut().for_each(|cost| *cost += log);
        (rows, zone)
    }

    /// Logarithmic costs by block of equal servers; the last row is the placebo of the one before.
    fn rows(&self, session: Session, random: &mut SplitMix64) -> Vec<BTreeMap<u32, f64>> {
        let shared: Vec<f64> = (0..session.blocks)
            .map(|_| drawn(&self.blocks, random))
            .collect();
        // The mean of 2.5 rests is that of two whole ones, with the deviation that 2.5 would have.
        let windows = session.window_s.map_or(1.0, |each| each / self.window_s);
        let whole = (windows as u32).max(1);
        let scale = (f64::from(whole) / windows).sqrt();
        let trial = |random: &mut SplitMix64| {
            let rests = (0..whole).map(|_| drawn(&self.rests, random));
            rests.sum::<f64>() / f64::from(whole) * scale
        };
        let mut row = |_| {
            let mut costs = BTreeMap::new();
            for (block, shared) in (0..).zip(&shared) {
                let cost = shared + trial(random);
                if random.uniform() >= self.lost {
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

/// One of `values`.
fn drawn(values: &[f64], random: &mut SplitMix64) -> f64 {
    let index = (random.uniform() * values.len() as f64) as usize;
    values.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_missing_trial_counts_and_the_split_adds_up() {
        let base = |level: f64| BTreeMap::from([(0, level), (1, level + 0.3), (2, level - 0.1)]);
        let mut rows = vec![base(1.0), base(5.0), base(9.0)];
        rows[2].remove(&1);
        let exact = split(&mut rows).expect("three rows in three blocks");
        assert_eq!(exact.rests.len(), 8);
        assert!(exact.rests.iter().all(|rest| rest.abs() < 1e-9));
        let scale = 1.5_f64.sqrt();
        let span = (exact.blocks[1] - exact.blocks[2]) / scale;
        assert!((span - 0.4).abs() < 1e-9, "{:?}", exact.blocks);
        // The noisy row that lost a trial is the one that tells of the noise.
        let mut noisy = vec![base(1.0), base(5.0), base(9.0)];
        noisy[2].remove(&1);
        noisy[2].insert(2, 9.4);
        let told = split(&mut noisy).expect("the same");
        assert!(told.rests.iter().any(|rest| rest.abs() > 0.1));
        assert!(split(&mut [base(1.0), base(2.0)]).is_none());
    }

    #[test]
    fn a_mean_over_a_broken_number_of_windows_has_its_deviation() {
        let noise = Noise {
            scenario: String::new(),
            figure: String::new(),
            decides: true,
            trials: 2,
            window_s: 0.8,
            blocks: vec![0.0],
            rests: vec![-1.0, 1.0],
            lost: 0.0,
        };
        let session = Session {
            rows: 400,
            blocks: 10,
            ..Session::FULL
        };
        let rows = noise.rows(session, &mut SplitMix64::new(3));
        let costs: Vec<f64> = rows.iter().flat_map(|row| row.values().copied()).collect();
        let variance = costs.iter().map(|each| each * each).sum::<f64>() / costs.len() as f64;
        assert!(
            (variance / (0.8 / FULL_WINDOW_S) - 1.0).abs() < 0.1,
            "{variance}"
        );
    }
}
