//! The indifference zone: what a difference must exceed to count as one.

use schema::random::SplitMix64;

use super::comparison::ROTATIONS_MIN;
use super::evidence::{Evidence, LEVEL};
use super::median::percentile_95;
use super::sequential::{self, Bounds};
use super::signed_rank::hodges_lehmann;

/// A difference of 3 % does not change the choice of a model.
const FLOOR: f64 = 0.03;

/// Up to so many blocks every exchange of names is tried; beyond, a fixed sample of them.
const EXACT_BLOCKS_MAX: usize = 10;

/// Sampled exchanges beyond [`EXACT_BLOCKS_MAX`].
const SAMPLED: u64 = 1024;

/// The least zone, as a logarithm.
pub fn floor() -> f64 {
    FLOOR.ln_1p()
}

/// What counts as a difference at a single look, with such an indifference zone.
pub fn bounds(zone: f64) -> Bounds {
    Bounds {
        least: floor().min(zone),
        zone,
        within: zone,
    }
}

/// The noise of a column as its A/A placebo shows it, as logarithms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Noise {
    /// 95th percentile of the sizes that the session's estimate takes between equal servers.
    pub of_estimates: f64,
}

impl Noise {
    /// The noise that `placebo_logs`, the placebo's log-ratios by block, show; zero without any.
    ///
    /// METHOD's zone is "the larger of 3 % and the 95th percentile of the A/A ratios". The ratios
    /// are those that are compared with the zone: with intervals that is a Hodges-Lehmann estimate
    /// over all blocks, and the sample of them is what arises when the two names of one server are
    /// exchanged in every possible set of blocks, which makes no difference to a placebo. With
    /// ranges it is the ratios by block. (Ratios of single blocks would be wider by about the root
    /// of the number of blocks: more blocks would then not find a smaller difference.)
    pub fn of(placebo_logs: &[f64], evidence: Evidence) -> Self {
        let by_block = || placebo_logs.iter().map(|log| log.abs()).collect::<Vec<_>>();
        let of_estimates = match evidence {
            _ if placebo_logs.is_empty() => Vec::new(),
            // Of many rotations the interval itself tells how far equal servers may seem apart.
            Evidence::Intervals if placebo_logs.len() >= ROTATIONS_MIN => reach(placebo_logs),
            Evidence::Intervals => exchanged(placebo_logs),
            Evidence::Figures | Evidence::Ranges => by_block(),
        };
        Self {
            of_estimates: percentile_95(&of_estimates).unwrap_or(0.0),
        }
    }

    /// The indifference zone that follows: the larger of 3 % and the percentile.
    pub fn zone(self) -> f64 {
        self.of_estimates.max(floor())
    }
}

/// The indifference zone as a logarithm, from the placebo's log-ratios by block.
pub fn zone(placebo_logs: &[f64], evidence: Evidence) -> f64 {
    Noise::of(placebo_logs, evidence).zone()
}

/// The zone between two sessions as a logarithm: at least that of either, and wide enough for what
/// the estimates of both vary by, which are independent and so add up as squares, together with
/// what a control `moved` between the sessions.
pub fn zone_of_sessions(noises: &[Noise], moved: f64) -> f64 {
    let squares = noises.iter().map(|noise| noise.of_estimates.powi(2));
    let together = (squares.sum::<f64>() + moved * moved).sqrt();
    let own = noises.iter().map(|noise| noise.zone());
    own.fold(together.max(floor()), f64::max)
}

/// How far the interval of the placebo's ratios reaches from nothing; empty where there is none.
fn reach(logs: &[f64]) -> Vec<f64> {
    let told = sequential::judge(logs, 1.0 - LEVEL, Bounds::default());
    told.map(|each| each.low.abs().max(each.high.abs()))
        .into_iter()
        .collect()
}

/// The sizes of the Hodges-Lehmann estimates under every exchange of names, the mirrored half left
/// out.
fn exchanged(logs: &[f64]) -> Vec<f64> {
    let exact = logs.len() <= EXACT_BLOCKS_MAX;
    let patterns = if exact {
        1 << (logs.len() - 1)
    } else {
        SAMPLED
    };
    // The same sample every time.
    let mut random = SplitMix64::new(0);
    let estimate = |pattern: u64| {
        let signs = if exact { pattern } else { random.next_u64() };
        let flipped: Vec<f64> = logs
            .iter()
            .enumerate()
            .map(|(index, log)| {
                if signs >> (index % 64) & 1 == 1 {
                    -log
                } else {
                    *log
                }
            })
            .collect();
        hodges_lehmann(&flipped).map_or(0.0, f64::abs)
    };
    (0..patterns).map(estimate).collect()
}
