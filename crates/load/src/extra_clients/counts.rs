//! What became of the extra clients, in exact counts that add up.

use schema::load::IdleFigures;
use serde::{Deserialize, Serialize};

use crate::durations::Durations;

/// What became of the extra clients; `None` where none were asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExtraCounts {
    pub(crate) idle: Option<IdleFigures>,
    pub(crate) slow: Option<SlowCounts>,
    pub(crate) poison: Option<PoisonCounts>,
}

/// What became of the slow clients of one sort.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlowSideCounts {
    pub(crate) asked: u64,
    pub(crate) opened: u64,
    pub(crate) closed_by_server: u64,
    pub(crate) finished: u64,
    pub(crate) open_at_end: u64,
    /// From connecting until the server closed.
    pub(crate) life: Durations,
}

/// What became of the slow clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlowCounts {
    pub(crate) senders: SlowSideCounts,
    pub(crate) readers: SlowSideCounts,
}

/// What became of the poisoned requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PoisonCounts {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    /// Of those answered, from the intended start to the end of the reply.
    pub(crate) response: Durations,
}

impl SlowSideCounts {
    pub(crate) fn new(asked: u64) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    fn merge(&mut self, other: &Self) {
        self.asked += other.asked;
        self.opened += other.opened;
        self.closed_by_server += other.closed_by_server;
        self.finished += other.finished;
        self.open_at_end += other.open_at_end;
        self.life.merge(&other.life);
    }
}

impl SlowCounts {
    pub(crate) fn side(&mut self, reads_slowly: bool) -> &mut SlowSideCounts {
        if reads_slowly {
            &mut self.readers
        } else {
            &mut self.senders
        }
    }
}

impl PoisonCounts {
    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.response.merge(&other.response);
    }
}

impl ExtraCounts {
    /// Whether the same sorts of extra clients were asked for in both.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let asked = |counts: &Self| {
            let Self { idle, slow, poison } = counts;
            (idle.is_some(), slow.is_some(), poison.is_some())
        };
        asked(self) == asked(other)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if let (Some(sum), Some(idle)) = (&mut self.idle, &other.idle) {
            sum.asked += idle.asked;
            sum.opened += idle.opened;
            sum.open_at_end += idle.open_at_end;
            sum.closed_by_server += idle.closed_by_server;
        }
        if let (Some(sum), Some(slow)) = (&mut self.slow, &other.slow) {
            sum.senders.merge(&slow.senders);
            sum.readers.merge(&slow.readers);
        }
        if let (Some(sum), Some(poison)) = (&mut self.poison, &other.poison) {
            sum.merge(poison);
        }
    }
}
