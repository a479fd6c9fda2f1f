//! What a run is asked for, and the digest of the plan that came of it.

use std::collections::BTreeMap;

use report::data::Sequential;
use schema::digest::digest;
use schema::load::BodyCheck;
use serde::{Deserialize, Serialize};

use crate::plan::own::Own;
use crate::plan::visit::Visit;

/// What a run was asked for: kept as `plan.json`, so that a resumed run measures the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `smoke`, `quick` or `full`.
    pub size: String,
    /// `--models`, as given; empty where only targets are measured.
    pub models: String,
    /// `--target`, as given.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The files of `--contenders`.
    #[serde(default)]
    pub contenders: Vec<String>,
    /// `--body-check`, where it was given.
    #[serde(default)]
    pub body_check: Option<BodyCheck>,
    /// Offered rates by scenario, where they are not those of the table.
    #[serde(default)]
    pub rates: BTreeMap<String, Vec<f64>>,
    /// What every row is asked, where it is not what the table says.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub own: Own,
    /// `--scenarios`, as given.
    pub scenarios: String,
    /// The text of `--workload`, which is then the only scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// `--passes`, as given.
    #[serde(default = "every_pass")]
    pub passes: String,
    /// `--minutes` and `--until`: rounds until verdicts are settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,
    /// The seed that everything random derives from.
    pub seed: u64,
    /// CPUs of the server.
    pub server_cpus: String,
    /// CPUs of the generator.
    pub load_cpus: String,
    /// Digest of the plan itself: it differs when models or scenarios have changed since.
    pub digest: String,
}

fn is_nothing(own: &Own) -> bool {
    *own == Own::default()
}

fn every_pass() -> String {
    "all".to_owned()
}

/// A digest of everything that a resumed run must share with the run it continues.
pub fn digest_of(visits: &[Visit]) -> String {
    let lines: String = visits
        .iter()
        .map(|v| {
            let s = v.scenario;
            let start = v.contender.target.as_ref().and_then(|t| t.start.as_ref());
            let mut more = start.map_or_else(String::new, |start| format!(" {}", start.command()));
            // Plans without these keep the digest that they had before there were any.
            if s.own || !s.headers.is_empty() || s.window.is_some() {
                more += &format!(" {} {:?} {:?}", s.own, s.headers, s.window);
            }
            if s.think_ms > 0.0 {
                more += &format!(" {}", s.think_ms);
            }
            format!(
                "{} {} {:?} {} {} {:?} {} {} {} {:?} {:?}{more}\n",
                v.block,
                v.contender.label,
                v.pass,
                s.name,
                v.path(),
                s.mix,
                s.connections,
                s.pipeline,
                v.idle,
                v.workers,
                v.windows
            )
        })
        .collect();
    format!("{:016x}", digest(lines.as_bytes()))
}
