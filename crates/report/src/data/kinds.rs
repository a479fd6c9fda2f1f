//! Which kind of server, pass, load and outcome a trial was of.

use serde::{Deserialize, Serialize};

/// Who a trial's server was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A model, measured.
    Model,
    /// The A/A placebo: a model that is in the block already, under a second name.
    Placebo,
    /// The null server: constant reply, no parsing. The most that machine and generator can do.
    Null,
    /// A server that was running already, given by its address.
    Target,
}

/// What a trial is there for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Speed and cost: the only pass whose figures are compared.
    #[default]
    Measure,
    /// Memory at several numbers of connections: [`Trial::memory_steps`](super::Trial::memory_steps).
    Memory,
    /// System calls, counted by a tracer that slows everything down: no speed figures.
    SystemCalls,
    /// How a server that was measured in slices ended: its drain, and the connections of its workers.
    /// Its findings are about all slices of its scenario, block and label.
    Drain,
    /// The search for the highest rate within the objective: [`Trial::capacity`](super::Trial::capacity).
    Capacity,
}

impl Pass {
    /// `true` for the pass that most trials are of, which is not written.
    pub fn is_measure(&self) -> bool {
        *self == Self::Measure
    }
}

/// How far a trial's figures may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Validity {
    /// Every gate passed.
    Valid,
    /// The generator or machine may be the limit: shown as "at least", never ranked.
    Limited,
    /// A gate failed: never drawn.
    Invalid,
    /// The model cannot do this shape by design; `reasons` says why. Nothing was measured.
    Blocks,
}
