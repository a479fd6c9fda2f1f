//! Connections beside the load and apart from its figures: idle ones, slow ones, poisoned requests.

mod counts;
mod exchange;
mod idle;
mod poison;
mod slow;

pub(crate) use self::counts::{Beside, Poison, Slow, SlowSide};
pub(crate) use self::idle::Idle;
pub(crate) use self::poison::poison;
pub(crate) use self::slow::slow;
