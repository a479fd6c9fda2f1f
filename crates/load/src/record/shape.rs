//! What was asked for in a run, as it is kept in its record.

use schema::digest::digest;
use schema::load::{Arrivals, BodyCheck};
use serde::{Deserialize, Serialize};

use crate::clock::duration_ns;
use crate::kind::Kind;
use crate::percentile::Percentile;
use crate::plan::{Pace, Plan};
use crate::profile::Step;

/// Rates and shares are kept in billionths: whole numbers add up, and are read back, exactly.
pub(crate) const NANO: f64 = 1e9;

/// What must be equal in runs that are added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) url: String,
    pub(crate) arrivals: Option<Arrivals>,
    pub(crate) pipeline: usize,
    pub(crate) new_connection: bool,
    /// The share of requests on connections of their own, in billionths.
    #[serde(default)]
    pub(crate) churn_nano: u64,
    /// How long clients think.
    #[serde(default)]
    pub(crate) think_ns: u64,
    pub(crate) unp_bytes: Option<u32>,
    pub(crate) method: String,
    pub(crate) headers: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) body_bytes: usize,
    /// A digest of the requests from a file.
    #[serde(default)]
    pub(crate) script_digest: Option<u64>,
    /// A digest of the body that was given.
    #[serde(default)]
    pub(crate) body_digest: Option<u64>,
    pub(crate) expect_status: Vec<u16>,
    pub(crate) body_check: Option<BodyCheck>,
    #[serde(default)]
    pub(crate) percentile: Option<Percentile>,
    #[serde(default)]
    pub(crate) objective_ns: Option<u64>,
    pub(crate) duration_ns: u64,
    pub(crate) timeout_ns: u64,
    pub(crate) drain_ns: u64,
    /// Lengths of the profile's steps; empty without a profile.
    pub(crate) steps_ns: Vec<u64>,
    pub(crate) slow_bytes_per_s: u32,
    pub(crate) slow_path: String,
    pub(crate) poison_path: Option<String>,
}

/// The rates offered in a step by all generators together, in billionths of a request per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    from_nano: u64,
    to_nano: u64,
}

impl Offer {
    pub(crate) fn from(self) -> f64 {
        self.from_nano as f64 / NANO
    }

    pub(crate) fn to(self) -> f64 {
        self.to_nano as f64 / NANO
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.from_nano += other.from_nano;
        self.to_nano += other.to_nano;
    }
}

impl Shape {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            url: plan.target.to_string(),
            arrivals: match plan.pace {
                Pace::Closed => None,
                Pace::Open { arrivals, .. } => Some(arrivals),
            },
            pipeline: plan.pipeline,
            new_connection: plan.new_connection,
            churn_nano: (plan.churn * NANO).round() as u64,
            think_ns: duration_ns(plan.think),
            unp_bytes: plan.unp_bytes,
            method: plan.method.clone(),
            headers: plan.headers.clone(),
            kinds: plan.requests.clone(),
            body_bytes: plan.body_bytes,
            script_digest: plan.script.as_ref().map(|script| script.digest()),
            body_digest: plan.body.as_deref().map(digest),
            expect_status: plan.expect_status.clone(),
            body_check: plan.body_check,
            percentile: plan.percentile,
            objective_ns: plan.objective.map(duration_ns),
            duration_ns: duration_ns(plan.duration),
            timeout_ns: duration_ns(plan.timeout),
            drain_ns: duration_ns(plan.drain),
            steps_ns: plan
                .profile
                .iter()
                .map(|s| duration_ns(s.duration))
                .collect(),
            slow_bytes_per_s: plan.slow.bytes_per_s,
            slow_path: plan.slow.path.clone(),
            poison_path: plan.poison.as_ref().map(|poison| poison.path.clone()),
        }
    }
}

/// What a plan offers in its window, step by step.
pub(super) fn offers(plan: &Plan) -> Vec<Offer> {
    let nano = |rate: f64| (rate * NANO).round() as u64;
    // The first step is the warm-up, which is not part of the window.
    let steps = plan.steps().into_iter().skip(1);
    let offer = |step: Step| Offer {
        from_nano: nano(step.rate_from),
        to_nano: nano(step.rate_to),
    };
    steps.map(offer).collect()
}
