//! The scenarios of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A scenario as the run's folder describes it: what it shows, and the figure that decides it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScenarioInfo {
    /// Its name, as `turnstile bench --scenarios` takes it.
    pub name: String,
    /// One sentence: what it is there to show.
    pub purpose: String,
    /// The figure by which servers are ranked in it, fixed before any result is seen.
    pub decides: Deciding,
    /// In slices side by side, or in trials of one server at a time.
    pub measured: schema::Measured,
    /// What a server must keep for a rate to count as served; `None` where no capacity is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// Which models the server's catalogue advises for it; `None` where it advises none, and in runs
    /// recorded before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// What the catalogue of the server (`models --json`) advises in a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advice {
    /// Why: what the scenario asks of a model.
    pub because: String,
    /// The models that have it, with the sentence that says when to pick each.
    pub models: BTreeMap<String, String>,
}

/// What a server must keep for a rate to count as served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Objective {
    /// The percentile of the response, intended start to done, at most so many µs.
    pub p99_us: f64,
    /// Outcomes other than a correct answer, at most this share of all.
    pub errors_max_share: f64,
    /// The percentile, where it is not the 99th that the first field is named after.
    #[serde(skip_serializing_if = "is_usual")]
    pub percentile: f64,
    /// The kinds of the mix that it is about, the first and the one behind the last; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<[usize; 2]>,
}

/// The percentile that is meant where none is named.
const USUAL: f64 = 99.0;

fn is_usual(percentile: &f64) -> bool {
    *percentile == USUAL
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            p99_us: 0.0,
            errors_max_share: 0.0,
            percentile: USUAL,
            kinds: None,
        }
    }
}

impl Objective {
    /// What the generator is asked for so that it tells this percentile: `95@0..3`; `None` where it does
    /// so anyway.
    pub fn asked(&self) -> Option<String> {
        let kinds = self.kinds.map(|[first, end]| format!("@{first}..{end}"));
        let usual = is_usual(&self.percentile) && kinds.is_none();
        (!usual).then(|| format!("{}{}", self.percentile, kinds.unwrap_or_default()))
    }

    /// `p99`, or `p95 of its class`.
    pub fn name(&self) -> String {
        let of = if self.kinds.is_some() {
            " of its class"
        } else {
            ""
        };
        format!("p{}{of}", self.percentile)
    }
}

/// A figure that can decide a scenario, named as [`Figures`](super::Figures) names it.
///
/// The *common rate* is the highest offered rate that at least half of the models hold with VALID
/// trials. A model that does not hold it comes last: an overloaded server serves few requests, and
/// those cheaply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deciding {
    /// Correct answers per second in the closed loop; where its leader is LIMITED, a ranking would
    /// rank the generator, and the server's CPU per request at the common rate decides instead.
    #[default]
    ThroughputRps,
    /// The server's CPU per request at the common rate: where a closed loop runs into the generator
    /// before it runs into a good server, the CPU that a given load costs remains comparable.
    ServerCpuUsPerRequest,
    /// Median response at the common rate: of one connection's requests the slowest in a hundred show
    /// the machine, and differ tenfold between two runs of one server.
    ResponseP50Us,
    /// 90th percentile of the response at the common rate: where fewer than one request in ten is a
    /// long one, what the others wait for it.
    ResponseP90Us,
    /// 99th percentile of the response at the common rate.
    ResponseP99Us,
    /// Correct answers within the objective per second while twice the capacity is offered.
    GoodputRps,
}
