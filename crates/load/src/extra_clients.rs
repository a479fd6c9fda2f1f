//! Clients in addition to the load, which are not part of its figures: idle connections, slow
//! clients, poisoned requests.

mod counts;
mod exchange;
mod idle;
mod poison;
mod slow;

pub(crate) use self::counts::{ExtraCounts, PoisonCounts, SlowCounts, SlowSideCounts};
pub(crate) use self::idle::IdleConnections;
pub(crate) use self::poison::send_poison;
pub(crate) use self::slow::run_slow_clients;
