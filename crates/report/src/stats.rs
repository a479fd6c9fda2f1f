//! Statistics on trials and on slices. What goes in is one value per trial, or per rotation of slices,
//! never one per request.
//!
//! * [`median()`] with its [order-statistic interval](median_interval): no assumption on the
//!   distribution beyond independent trials (Conover, *Practical Nonparametric Statistics*, 3.2).
//! * [`hodges_lehmann`] with the [Wilcoxon interval](wilcoxon_interval): for within-block
//!   log-ratios of two models (Hollander and Wolfe, *Nonparametric Statistical Methods*, 3.2-3.3).
//! * [`shift`] with the [Mann-Whitney interval](shift_interval): for two sessions, which share no
//!   blocks (the same, 4.2-4.3).
//! * [`zone()`]: what a difference must exceed to count as one, from the A/A placebo.
//! * [`rank()`]: verdicts and tiers out of these.
//! * [`sequential`]: the same on a growing number of pairs, with looks that do not add to the error.
//! * [`resample`]: percentiles of merged histograms, by drawing rotations.
//! * [`speed`]: where a series changes its level.
//! * [`compare_counts`]: figures that are counted and hardly vary.
//! * [`dependence()`]: how much less neighbouring rotations tell than independent ones.

mod compare;
mod comparison;
mod counted;
mod dependence;
mod evidence;
mod median;
mod rank;
pub mod resample;
pub mod sequential;
mod signed_rank;
pub mod speed;
mod student;
mod unpaired;
mod zone;

pub use compare::{INFINITE_LOG, compare, compare_sessions, verdict_of_span};
pub use comparison::{Comparison, Verdict};
pub use counted::{Least, compare_counts};
pub use dependence::dependence;
pub use evidence::{Evidence, LEVEL};
pub use median::{
    Spread, median, median_interval, median_rank, middle, percentile_95, percentile_of,
};
pub use rank::{Ranked, rank, rank_by};
pub use signed_rank::{hodges_lehmann, wilcoxon_critical, wilcoxon_interval};
pub use student::student_critical;
pub use unpaired::{mann_whitney_critical, shift, shift_interval};
pub use zone::{Noise, bounds, floor, zone, zone_of_sessions};

#[cfg(test)]
mod tests;
