//! From a workload and a machine's profile to a ranked, explained choice of a model.
//!
//! ```text
//! rules      needs, limits, memory: what cannot serve it at all, with the figure that says so
//! bounds     utilisation and seats: what is not worth simulating
//! simulate   the capacity at the objective, with the same requests for all
//! answer     tiers, the choice within a tier, what would change it, and what it rests on
//! ```
//!
//! What a variant is comes from `models --json` ([`Facts`]), what it costs from the profile. No model is
//! known here by its name.

#![forbid(unsafe_code)]

mod answer;
mod bounds;
mod calibrated;
mod candidate;
mod change;
mod choose;
mod facts;
mod generate;
mod html;
mod moment;
mod plan;
mod plot;
mod priced;
mod profile;
mod question;
mod rules;
mod sizing;
mod text;
mod tiers;

pub use answer::{
    Answer, CandidateLine, Interval, Plan, Recommended, Response, Sizing, WorkersLine,
};
pub use bounds::work_bound;
pub use calibrated::{RESIDUALS_MIN, lend};
pub use candidate::Candidate;
pub use choose::{Options, advise};
pub use facts::Facts;
pub use generate::{generated, regret};
pub use html::page;
pub use moment::{at, probed, slowness};
pub use plan::plan;
pub use plot::plots;
pub use profile::{Foreign, read, suits};
pub use sizing::upper_bound;
pub use text::text;

#[cfg(test)]
mod tests;
