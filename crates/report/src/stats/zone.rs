//! The indifference zone: what a difference must exceed to count as one.

use super::rank::Evidence;
use super::{hodges_lehmann, percentile_95};

/// Differences of 3 % matter to nobody's choice of a model.
const FLOOR: f64 = 0.03;

/// Up to so many blocks every exchange of names is tried; beyond, a fixed sample of them.
const EXACT_BLOCKS_MAX: usize = 12;

/// Sampled exchanges beyond [`EXACT_BLOCKS_MAX`].
const SAMPLED: u64 = 4096;

/// The least zone, as a logarithm.
pub fn floor() -> f64 {
    FLOOR.ln_1p()
}

/// The indifference zone as a logarithm: the larger of 3 % and the [`noise`] of the A/A placebo.
pub fn zone(placebo_logs: &[f64], evidence: Evidence) -> f64 {
    noise(placebo_logs, evidence).max(floor())
}

/// The zone between two sessions as a logarithm: wide enough for the [`noise`] of both, which are
/// independent and so add up as squares; 3 % at least. More than two may stand in it, such as what
/// a control moved between the sessions.
pub fn zone_of_sessions(noises: &[f64]) -> f64 {
    let squares: f64 = noises.iter().map(|noise| noise * noise).sum();
    squares.sqrt().max(floor())
}

/// The 95th percentile of the A/A ratios, from the placebo's log-ratios by block.
///
/// With intervals the ratio of a comparison is a Hodges-Lehmann estimate over its blocks, so the
/// A/A ratios are such estimates too: those that arise when the two names of one server are
/// exchanged in every possible set of blocks, which makes no difference to a placebo. (The ratios
/// of single blocks are larger by about the root of their number; a zone as wide as these hides a
/// server that is 10 % slower. `promises` measures both.) With ranges, it is the ratios by block
/// themselves. Zero where there is no placebo.
pub fn noise(placebo_logs: &[f64], evidence: Evidence) -> f64 {
    if placebo_logs.is_empty() {
        return 0.0;
    }
    let sizes: Vec<f64> = match evidence {
        Evidence::Intervals => exchanged(placebo_logs),
        Evidence::Figures | Evidence::Ranges => placebo_logs.iter().map(|log| log.abs()).collect(),
    };
    percentile_95(&sizes).unwrap_or(0.0)
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
    let estimate = |pattern: u64| {
        let signs = if exact { pattern } else { mixed(pattern) };
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

/// The bits of splitmix64 at `index`: the same sample every time.
fn mixed(index: u64) -> u64 {
    let mut z = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
