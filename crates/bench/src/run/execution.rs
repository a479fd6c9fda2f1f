//! What all steps of a run share while it is carried out.

use std::time::Duration;

use crate::run::narrowing::Narrowing;
use crate::run::progress::Progress;
use crate::run::record::Record;
use crate::run::setup::Setup;

/// A plan while it is carried out.
pub(super) struct Execution<'a> {
    pub(super) setup: &'a Setup,
    pub(super) record: &'a mut Record,
    pub(super) progress: Progress,
    /// Time left for second attempts: a noisy machine must not make a run twice as long as announced.
    pub(super) spare: Duration,
    /// Time to make zones narrower, where the size has some.
    pub(super) narrowing: Option<Narrowing>,
    /// That another bench runs has been said.
    pub(super) bench_seen: Option<u32>,
}

impl<'a> Execution<'a> {
    /// One that is to take `total`, with no time for anything beyond its plan.
    pub(super) fn new(setup: &'a Setup, record: &'a mut Record, total: Duration) -> Self {
        Self {
            progress: Progress::new(total, setup.size.blocks()),
            setup,
            record,
            spare: Duration::ZERO,
            narrowing: None,
            bench_seen: None,
        }
    }
}
