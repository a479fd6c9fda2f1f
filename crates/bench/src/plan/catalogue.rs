//! Which models the server under test has, and which of them are asked for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;

use crate::failure::{Failure, ensure_usage};
use crate::plan::calls::Calls;
use crate::plan::contender::Contender;
use crate::plan::passes;
use crate::plan::workers::{Told, Workers};

/// Why a variant without a listener cannot be measured by an HTTP load.
const INHERITS: &str = "it serves the one connection that it inherits and ends, so that a super-server is what would be measured";

/// What `SERVER models --json` says of one variant, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    model: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    default: bool,
    listens: Option<bool>,
    /// Earlier versions do not shed.
    #[serde(default)]
    sheds: bool,
    calls: Option<Calls>,
    #[serde(default)]
    pick_when: String,
    #[serde(flatten)]
    told: Told,
}

/// The models of a server, in its own order.
#[derive(Debug, Clone)]
pub struct Catalogue(Vec<Contender>);

impl Catalogue {
    /// Asks the server that `--server` names, or else this command.
    pub fn of(server: Option<&Path>, own: &Path) -> Result<Self, Failure> {
        Self::ask(server.unwrap_or(own)).map_err(|error| match server {
            Some(_) => Failure::usage(format!("--server: {error:#}")),
            None => error.into(),
        })
    }

    /// Asks the server.
    pub fn ask(server: &Path) -> anyhow::Result<Self> {
        let output = Command::new(server)
            .args(["models", "--json"])
            .output()
            .with_context(|| format!("cannot run the server {}", server.display()))?;
        let command = format!("`{} models --json`", server.display());
        ensure!(
            output.status.success(),
            "{command} ended with {}",
            output.status
        );
        Self::parse(&output.stdout, &command)
    }

    /// Reads what `command` printed.
    fn parse(json: &[u8], command: &str) -> anyhow::Result<Self> {
        let entries: Vec<Entry> = serde_json::from_slice(json)
            .with_context(|| format!("{command} printed no list of models"))?;
        let contender = |entry: &Entry| {
            // A model that has only one variant may say so with `-`, or not at all.
            let variant = entry.variant.as_deref().filter(|v| *v != "-").unwrap_or("");
            let alone = entries.iter().filter(|e| e.model == entry.model).count() == 1;
            let unsaid = |what: &str| {
                let model = &entry.model;
                anyhow!("{command} does not say of {model} {what}: it is of another version")
            };
            let workers = Workers::told(&entry.told).map_err(unsaid)?;
            let default = entry.default || alone;
            let listens = entry.listens.ok_or_else(|| unsaid("whether it listens"))?;
            Ok(Contender {
                listens,
                sheds: entry.sheds,
                calls: entry.calls,
                pick_when: entry.pick_when.clone(),
                ..Contender::model(&entry.model, variant, default, workers)
            })
        };
        let contenders: anyhow::Result<Vec<Contender>> = entries.iter().map(contender).collect();
        Ok(Self(contenders?))
    }

    /// The contenders that `spec` names: `a,b:variant`, `b:all` (every variant of a model), `all`
    /// (default variants) or `all-variants`.
    pub fn choose(&self, spec: &str) -> Result<Vec<Contender>, Failure> {
        let mut chosen: Vec<Contender> = Vec::new();
        for name in passes::names(spec) {
            let wanted = |c: &&Contender| match (name, name.split_once(':')) {
                ("all", _) => c.default,
                ("all-variants", _) => true,
                (_, Some((model, "all"))) => c.model == model,
                (_, Some((model, variant))) => c.model == model && c.variant == variant,
                (model, None) => c.model == model && c.default,
            };
            let found: Vec<&Contender> = self.listening().filter(wanted).collect();
            ensure_usage!(!found.is_empty(), "{}", self.unknown(name));
            for contender in found {
                if !chosen.contains(contender) {
                    chosen.push(contender.clone());
                }
            }
        }
        ensure_usage!(!chosen.is_empty(), "--models names no model");
        Ok(chosen)
    }

    /// The one of that model and variant (`-` where it has only one) that listens.
    pub fn find(&self, model: &str, variant: &str) -> Option<&Contender> {
        let variant = if variant == "-" { "" } else { variant };
        let same = |c: &&Contender| c.model == model && c.variant == variant;
        self.listening().find(same)
    }

    /// The variants that serve HTTP on a listener of their own.
    fn listening(&self) -> impl Iterator<Item = &Contender> {
        self.0.iter().filter(|c| c.listens)
    }

    /// The variants of `chosen` models that are never measured, and why.
    pub fn left_out(&self, chosen: &[Contender]) -> Vec<String> {
        let related = |c: &&Contender| chosen.iter().any(|other| other.model == c.model);
        let out = self.0.iter().filter(related).filter(|c| !c.listens);
        out.map(|c| format!("{} is left out: {INHERITS}.", c.label))
            .collect()
    }

    fn unknown(&self, name: &str) -> String {
        let (model, variant) = name.split_once(':').unwrap_or((name, ""));
        let known = |c: &&Contender| c.model == model && c.variant == variant;
        if self.0.iter().find(known).is_some_and(|c| !c.listens) {
            return format!("'{name}' cannot be measured: {INHERITS}");
        }
        let variants: Vec<&str> = self
            .listening()
            .filter(|c| c.model == model)
            .map(|c| c.variant.as_str())
            .collect();
        if variants.is_empty() {
            let mut models: Vec<&str> = self.listening().map(|c| c.model.as_str()).collect();
            models.dedup();
            format!("unknown model '{name}': {}", models.join(", "))
        } else {
            format!(
                "unknown variant '{name}': {model} has {}",
                variants.join(", ")
            )
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Four models, one with two variants, one that serves an inherited connection.
    pub(crate) fn catalogue() -> Catalogue {
        let json = br#"[
            {"model":"iterative","variant":"-","default":true,"roles":{"accepts":"main"},
             "workers":"one","holds":"one","processes":true,"shares":false,"listens":true},
            {"model":"iterative","variant":"inetd","default":false,
             "workers":"one","holds":"one","processes":true,"shares":false,"listens":false},
            {"model":"prefork","variant":"accept","default":true,
             "workers":"pool","holds":"workers","processes":true,"shares":false,"listens":true},
            {"model":"prefork","variant":"flock","default":false,
             "workers":"pool","holds":"workers","processes":true,"shares":false,"listens":true},
            {"model":"single-reactor","variant":"epoll","default":true,
             "workers":"one","holds":"many","processes":false,"shares":false,"listens":true},
            {"model":"thread-pool","variant":null,
             "workers":"pool","holds":"workers","processes":false,"shares":false,"listens":true}
        ]"#;
        Catalogue::parse(json, "models").expect("a good list")
    }

    fn labels(spec: &str) -> Vec<String> {
        catalogue()
            .choose(spec)
            .expect("known")
            .into_iter()
            .map(|c| c.label)
            .collect()
    }

    #[test]
    fn names_variants_and_groups_are_chosen_once_each() {
        assert_eq!(
            labels("all"),
            ["iterative", "prefork", "single-reactor", "thread-pool"]
        );
        assert_eq!(
            labels("all-variants"),
            [
                "iterative",
                "prefork",
                "prefork:flock",
                "single-reactor",
                "thread-pool"
            ]
        );
        assert_eq!(
            labels("prefork:flock, prefork,prefork"),
            ["prefork:flock", "prefork"]
        );
        assert_eq!(labels("prefork:accept"), ["prefork"]);
        assert_eq!(labels("prefork:all"), ["prefork", "prefork:flock"]);
        assert_eq!(labels("iterative:all"), ["iterative"]);
        assert_eq!(
            labels("all,prefork:flock").last().map(String::as_str),
            Some("prefork:flock")
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for (spec, says) in [
            (
                "preforked",
                "unknown model 'preforked': iterative, prefork, single-reactor, thread-pool",
            ),
            (
                "prefork:futex",
                "unknown variant 'prefork:futex': prefork has accept, flock",
            ),
            (
                "forked:all",
                "unknown model 'forked:all': iterative, prefork, single-reactor, thread-pool",
            ),
            (",", "--models names no model"),
        ] {
            let error = catalogue().choose(spec).expect_err(spec);
            assert_eq!((error.code(), error.to_string().as_str()), (2, says));
        }
    }

    #[test]
    fn inetd_is_left_out_with_its_reason() {
        let error = catalogue()
            .choose("iterative:inetd")
            .expect_err("no listener");
        assert!(error.to_string().contains("connection that it inherits"));
        let chosen = catalogue().choose("all-variants").expect("known");
        let said = catalogue().left_out(&chosen);
        assert!(
            said[0].starts_with("iterative:inetd is left out"),
            "{said:?}"
        );
        let chosen = catalogue().choose("prefork:all").expect("known");
        assert!(catalogue().left_out(&chosen).is_empty());
    }

    /// It serves HTTP as the others do, and datagrams in addition.
    #[test]
    fn a_variant_that_echoes_datagrams_too_is_measured() {
        let json = br#"[{"model":"signal-driven","variant":"-","default":true,
                         "workers":"one","holds":"many","processes":false,"shares":false,"listens":true},
                        {"model":"signal-driven","variant":"udp",
                         "workers":"one","holds":"many","processes":false,"shares":false,"listens":true}]"#;
        let catalogue = Catalogue::parse(json, "models").expect("a good list");
        let chosen = catalogue.choose("all-variants").expect("known");
        let labels: Vec<_> = chosen.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["signal-driven", "signal-driven:udp"]);
        assert!(catalogue.left_out(&chosen).is_empty());
    }

    #[test]
    fn what_the_server_says_of_its_workers_is_kept() {
        let json = br#"[{"model":"pool-of-a-kind","workers":"pool","workers_default":8,
                         "holds":"workers","processes":false,"shares":false,"listens":true}]"#;
        let chosen = Catalogue::parse(json, "models")
            .and_then(|c| c.choose("all").map_err(|f| anyhow!("{f}")))
            .expect("known");
        assert_eq!(chosen[0].workers.asked_for(20, false, 1), Some(20));
    }

    #[test]
    fn a_command_of_another_version_is_not_guessed_at() {
        let json = br#"[{"model":"prefork","workers":"pool","workers_default":64}]"#;
        let error = Catalogue::parse(json, "models").expect_err("it does not say what it holds");
        assert_eq!(
            error.to_string(),
            "models does not say of prefork what an open connection keeps busy: it is of another version"
        );
        let error = Catalogue::parse(b"{}", "models").expect_err("no list");
        assert!(format!("{error:#}").starts_with("models printed no list of models: "));
    }
}
