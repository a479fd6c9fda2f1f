//! What all parts of a run share.

use schema::random::SplitMix64;

use super::plan::Times;
use super::record::Record;
use crate::failure::Unmeasured;
use crate::run::setup::Setup;

/// What all parts share.
pub(super) struct Session {
    pub(super) setup: Setup,
    pub(super) times: Times,
    pub(super) record: Record,
    pub(super) random: SplitMix64,
    pub(super) seed: u64,
}

/// What ends a part of one model.
pub(super) enum Stopped {
    /// It cannot be measured; or all is interrupted.
    Unmeasured(Unmeasured),
    /// The folder cannot be written.
    Failed(anyhow::Error),
}

impl From<Unmeasured> for Stopped {
    fn from(why: Unmeasured) -> Self {
        Self::Unmeasured(why)
    }
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
