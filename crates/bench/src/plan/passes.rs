//! Which passes and scenarios a run consists of.

use report::data::Pass;

use crate::failure::{Failure, bail_usage, ensure_usage};
use crate::plan::scenario::Scenario;
use crate::plan::scenarios::SCENARIOS;
use crate::plan::size::Size;

/// The passes that are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passes(Vec<Pass>);

const NAMES: [(&str, Pass); 4] = [
    ("measure", Pass::Measure),
    ("capacity", Pass::Capacity),
    ("memory", Pass::Memory),
    ("system-calls", Pass::SystemCalls),
];

impl Passes {
    /// The passes that `spec` names; `all` is every one.
    pub fn parse(spec: &str) -> Result<Self, Failure> {
        let mut passes = Vec::new();
        for name in names(spec) {
            match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, pass)) => passes.push(*pass),
                None if name == "all" => passes.extend(NAMES.map(|(_, pass)| pass)),
                None => {
                    let known = NAMES.map(|(known, _)| known).join(", ");
                    bail_usage!("unknown pass '{name}': {known}");
                }
            }
        }
        ensure_usage!(!passes.is_empty(), "--passes names no pass");
        Ok(Self(passes))
    }

    /// Whether `pass` is run.
    pub fn has(&self, pass: Pass) -> bool {
        self.0.contains(&pass)
    }

    /// The same without `pass`.
    pub fn without(self, pass: Pass) -> Self {
        Self(self.0.into_iter().filter(|p| *p != pass).collect())
    }
}

/// The default of `--scenarios`.
pub fn default_scenarios(size: Size) -> &'static str {
    match size {
        Size::Smoke | Size::Quick => "key",
        Size::Full => "all",
    }
}

/// The scenarios that `spec` names, in the table's order; `key` and `all` are groups.
pub fn scenarios(spec: &str) -> Result<Vec<&'static Scenario>, Failure> {
    for name in names(spec) {
        if !["all", "key"].contains(&name) && !SCENARIOS.iter().any(|s| s.name == name) {
            let known: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
            bail_usage!("unknown scenario '{name}': {}", known.join(", "));
        }
    }
    let asked = |s: &&Scenario| {
        names(spec).any(|name| name == "all" || name == s.name || (name == "key" && s.key))
    };
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(asked).collect();
    ensure_usage!(!chosen.is_empty(), "--scenarios names no scenario");
    Ok(chosen)
}

/// The parts of a list with commas that are not empty.
pub(super) fn names(spec: &str) -> impl Iterator<Item = &str> {
    spec.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_named_one_by_one_or_in_groups() {
        let of = |spec| {
            let chosen = scenarios(spec).expect("known");
            chosen.iter().map(|s| s.name).collect::<Vec<_>>()
        };
        assert_eq!(of("cpu,latency"), ["latency", "cpu"]);
        assert_eq!(of("all").len(), SCENARIOS.len());
        assert_eq!(
            of("key"),
            [
                "tiny-keepalive",
                "churn",
                "bimodal",
                "blocking",
                "idle-many"
            ]
        );
        assert_eq!(of("key,sqlite").len(), 6);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = scenarios("cpu,tiny").expect_err("unknown").to_string();
        assert!(error.starts_with("unknown scenario 'tiny': tiny-keepalive,"));
        assert!(scenarios(",").is_err());
        let error = Passes::parse("speed").expect_err("unknown").to_string();
        assert!(
            error.starts_with("unknown pass 'speed': measure,"),
            "{error}"
        );
        assert!(Passes::parse("").is_err());
    }

    #[test]
    fn passes_are_named_one_by_one_or_all() {
        let all = Passes::parse("all").expect("known");
        assert!(NAMES.iter().all(|(_, pass)| all.has(*pass)));
        let less = all.without(Pass::SystemCalls);
        assert!(!less.has(Pass::SystemCalls) && less.has(Pass::Memory));
        let one = Passes::parse("measure").expect("known");
        assert!(one.has(Pass::Measure) && !one.has(Pass::Capacity));
    }
}
