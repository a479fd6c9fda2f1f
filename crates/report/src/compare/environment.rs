//! What differs between the environments of two runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::data::Env;

/// One fact that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `true` for the machine and its settings, `false` for what was built and how it was asked for.
    pub machine: bool,
    /// What it is: `kernel`, `limits.somaxconn`, `build.rustc`.
    pub name: String,
    /// In the earlier run; empty when it was not recorded.
    pub before: String,
    /// In the later run.
    pub after: String,
}

/// Every difference, the machine's first. Seeds and times always differ and are left out.
pub fn differences(before: &Env, after: &Env) -> Vec<Difference> {
    let (ours, theirs) = (facts(before), facts(after));
    let names: BTreeSet<&(bool, String)> = ours.keys().chain(theirs.keys()).collect();
    let mut found: Vec<Difference> = names
        .into_iter()
        .filter_map(|key| {
            let of = |facts: &BTreeMap<_, String>| facts.get(key).cloned().unwrap_or_default();
            let (before, after) = (of(&ours), of(&theirs));
            (before != after).then(|| Difference {
                machine: key.0,
                name: key.1.clone(),
                before,
                after,
            })
        })
        .collect();
    found.sort_by_key(|each| !each.machine);
    found
}

fn facts(env: &Env) -> BTreeMap<(bool, String), String> {
    let machine = [
        ("cpu", env.cpu.clone()),
        ("cpus", env.cpus.to_string()),
        ("kernel", env.kernel.clone()),
        ("memory_mib", env.memory_mib.to_string()),
        ("virtual_machine", env.virtual_machine.to_string()),
    ];
    let build = [
        ("turnstile", env.turnstile.clone()),
        ("commit", env.commit.clone()),
        ("size", env.size.clone()),
        ("server_cpus", env.server_cpus.clone()),
        ("load_cpus", env.load_cpus.clone()),
    ];
    let named = |machine: bool, pairs: &[(&str, String)]| {
        let of = |(name, value): &(&str, String)| ((machine, (*name).to_owned()), value.clone());
        pairs.iter().map(of).collect::<Vec<_>>()
    };
    let below = |machine: bool, prefix: &str, map: &BTreeMap<String, String>| {
        let of = |(name, value): (&String, &String)| {
            ((machine, format!("{prefix}.{name}")), value.clone())
        };
        map.iter().map(of).collect::<Vec<_>>()
    };
    [
        named(true, &machine),
        below(true, "limits", &env.limits),
        named(false, &build),
        below(false, "build", &env.build),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_the_machine_first() {
        let before = Env {
            kernel: "6.12".into(),
            commit: "a".into(),
            limits: BTreeMap::from([("nofile".into(), "1024".into())]),
            seed: 1,
            ..Env::default()
        };
        let after = Env {
            kernel: "6.18".into(),
            commit: "b".into(),
            seed: 2,
            ..Env::default()
        };
        let found = differences(&before, &after);
        let names: Vec<&str> = found.iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names, ["kernel", "limits.nofile", "commit"]);
        assert_eq!(
            (found[1].before.as_str(), found[1].after.as_str()),
            ("1024", "")
        );
        assert!(differences(&before, &before).is_empty());
    }
}
