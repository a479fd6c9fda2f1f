//! Which models there are, as the server under test tells it, and which of them were asked for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use report::data::Role;
use serde::Deserialize;

use crate::failure::Failure;

/// What `SERVER models --json` says of one model and variant; the rest of it is not needed here.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    model: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    default: bool,
}

/// The models of a server, in its own order.
#[derive(Debug, Clone)]
pub struct Catalogue(Vec<Contender>);

/// A row of the comparison: a model and variant, in the role it plays in the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// Model name, `null` for the null server.
    pub model: String,
    /// Variant, empty for a model that has one only.
    pub variant: String,
    /// `true` for the variant that `serve --model` runs when none is named.
    pub default: bool,
    /// What the report calls the row.
    pub label: String,
    /// Model, placebo or null server.
    pub role: Role,
}

impl Contender {
    /// A model to be measured.
    pub fn model(model: &str, variant: &str, default: bool) -> Self {
        let label = if default {
            model.to_owned()
        } else {
            format!("{model}:{variant}")
        };
        Self {
            model: model.into(),
            variant: variant.into(),
            default,
            label,
            role: Role::Model,
        }
    }

    /// The A/A placebo: the same server under a second name.
    pub fn placebo(&self) -> Self {
        Self {
            label: format!("{} (A/A)", self.label),
            role: Role::Placebo,
            ..self.clone()
        }
    }

    /// The null server: the ceiling of machine and generator.
    pub fn null() -> Self {
        Self {
            role: Role::Null,
            ..Self::model("null", "", true)
        }
    }
}

impl Catalogue {
    /// Asks the server.
    ///
    /// # Errors
    /// When it cannot be run, fails, or prints something else than a list of models.
    pub fn ask(server: &Path) -> anyhow::Result<Self> {
        let output = Command::new(server)
            .args(["models", "--json"])
            .output()
            .with_context(|| format!("cannot run the server {}", server.display()))?;
        if !output.status.success() {
            bail!(
                "`{} models --json` ended with {}",
                server.display(),
                output.status
            );
        }
        Self::parse(&output.stdout).with_context(|| {
            format!(
                "`{} models --json` printed no list of models",
                server.display()
            )
        })
    }

    fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let entries: Vec<Entry> = serde_json::from_slice(json)?;
        let contenders = entries.iter().map(|entry| {
            // A model that has only one variant may say so with `-`, or not at all.
            let variant = entry.variant.as_deref().filter(|v| *v != "-").unwrap_or("");
            let alone = entries.iter().filter(|e| e.model == entry.model).count() == 1;
            Contender::model(&entry.model, variant, entry.default || alone)
        });
        Ok(Self(contenders.collect()))
    }

    /// The contenders that `spec` names: `a,b:variant`, `all` (default variants) or `all-variants`.
    ///
    /// # Errors
    /// A usage failure that names what is not known, and what is.
    pub fn choose(&self, spec: &str) -> Result<Vec<Contender>, Failure> {
        let mut chosen: Vec<Contender> = Vec::new();
        for name in spec
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let found: Vec<&Contender> = match (name, name.split_once(':')) {
                ("all", _) => self.listening().filter(|c| c.default).collect(),
                ("all-variants", _) => self.listening().collect(),
                (_, Some((model, variant))) => self
                    .listening()
                    .filter(|c| c.model == model && c.variant == variant)
                    .collect(),
                (model, None) => self
                    .listening()
                    .filter(|c| c.model == model && c.default)
                    .collect(),
            };
            if found.is_empty() {
                return Err(Failure::usage(self.unknown(name)));
            }
            for contender in found {
                if !chosen.contains(contender) {
                    chosen.push(contender.clone());
                }
            }
        }
        if chosen.is_empty() {
            return Err(Failure::usage("--models names no model"));
        }
        Ok(chosen)
    }

    /// Contenders that open their own listener: `inetd` serves the one connection it inherits.
    fn listening(&self) -> impl Iterator<Item = &Contender> {
        self.0.iter().filter(|c| c.variant != "inetd")
    }

    fn unknown(&self, name: &str) -> String {
        let model = name.split(':').next().unwrap_or(name);
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
            {"model":"iterative","variant":"-","default":true,"roles":{"accepts":"main"}},
            {"model":"iterative","variant":"inetd","default":false},
            {"model":"prefork","variant":"accept","default":true},
            {"model":"prefork","variant":"flock","default":false},
            {"model":"single-reactor","variant":"epoll","default":true},
            {"model":"thread-pool","variant":null}
        ]"#;
        Catalogue::parse(json).expect("a good list")
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
    }

    #[test]
    fn what_is_not_known_is_named_beside_what_is() {
        for (spec, says) in [
            (
                "preforked",
                "unknown model 'preforked': iterative, prefork, single-reactor, thread-pool",
            ),
            (
                "prefork:futex",
                "unknown variant 'prefork:futex': prefork has accept, flock",
            ),
            (",", "--models names no model"),
        ] {
            let error = catalogue().choose(spec).expect_err(spec);
            assert_eq!((error.code(), error.to_string().as_str()), (2, says));
        }
    }
}
