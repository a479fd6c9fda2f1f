//! What runs did not say of their scenarios before `env.json` listed them.

use std::collections::BTreeSet;

use crate::data::Deciding::{
    self, GoodputRps, ResponseP50Us, ResponseP90Us, ResponseP99Us, ServerCpuUsPerRequest,
    ThroughputRps,
};
use crate::data::{Env, ScenarioInfo};

/// Every scenario of that time, in the order of presentation.
const SCENARIOS: [(&str, Deciding); 14] = [
    ("tiny-keepalive", ServerCpuUsPerRequest),
    ("tiny-pipelined", ServerCpuUsPerRequest),
    ("churn", ServerCpuUsPerRequest),
    ("latency", ResponseP50Us),
    ("large", ThroughputRps),
    ("cpu", ThroughputRps),
    ("bimodal", ResponseP90Us),
    ("blocking", ThroughputRps),
    ("cooperative", ThroughputRps),
    ("sqlite", ThroughputRps),
    ("idle-many", ServerCpuUsPerRequest),
    ("slow-clients", ResponseP99Us),
    ("overload", GoodputRps),
    ("poison", ResponseP99Us),
];

/// The scenarios of a run that does not list them: those above, and by name whatever else has a
/// purpose or an objective.
pub fn scenarios(env: &Env) -> Vec<ScenarioInfo> {
    let known: BTreeSet<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    let others: BTreeSet<&str> = (env.purposes.keys().chain(env.objectives.keys()))
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    let others = others.into_iter().map(|name| (name, Deciding::default()));
    let info = |(name, decides): (&str, Deciding)| ScenarioInfo {
        name: name.to_owned(),
        purpose: env.purposes.get(name).cloned().unwrap_or_default(),
        decides,
        measured: schema::Measured::Trials,
        objective: env.objectives.get(name).copied(),
        advice: None,
    };
    SCENARIOS.into_iter().chain(others).map(info).collect()
}
