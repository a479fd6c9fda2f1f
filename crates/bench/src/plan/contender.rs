//! A row of the comparison.

use report::data::Role;

use crate::plan::calls::Calls;
use crate::plan::target::Target;
use crate::plan::workers::Workers;

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
    /// Model, placebo, null server or target.
    pub role: Role,
    pub workers: Workers,
    /// Who calls the service; `None` where the server does not say.
    pub calls: Option<Calls>,
    /// When the catalogue says to pick it; empty where it does not.
    pub pick_when: String,
    /// Whether it has a listener. One that serves an inherited connection has none, and no load can
    /// be measured on it.
    pub listens: bool,
    /// Whether it refuses requests under overload, unless told not to.
    pub sheds: bool,
    /// `true`: with its default pool size, whatever the scenario needs.
    pub default_pool: bool,
    /// The server that is running already, for a target.
    pub target: Option<Target>,
}

impl Contender {
    /// A model to be measured.
    pub fn model(model: &str, variant: &str, default: bool, workers: Workers) -> Self {
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
            workers,
            calls: None,
            pick_when: String::new(),
            listens: true,
            sheds: false,
            default_pool: false,
            target: None,
        }
    }

    /// A server that is running already. Its workers are not known, and are taken for loops.
    pub fn target(target: &Target) -> Self {
        Self {
            role: Role::Target,
            target: Some(target.clone()),
            ..Self::model(&target.name, "", true, Workers::LOOP)
        }
    }

    /// The same with its default pool size.
    pub fn with_default_pool(&self) -> Self {
        Self {
            label: format!("{} (default pool)", self.label),
            default_pool: true,
            ..self.clone()
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

    /// The null server: what machine and generator can do at most.
    pub fn null() -> Self {
        Self {
            role: Role::Null,
            ..Self::model("null", "", true, Workers::LOOP)
        }
    }
}
