//! What became of the connections beside the load, in exact counts that add up.

use schema::load::IdleFigures;
use serde::{Deserialize, Serialize};

use crate::spread::Durations;

/// What became of the connections beside the load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) idle: Option<IdleFigures>,
    pub(crate) slow: Option<Slow>,
    pub(crate) poison: Option<Poison>,
}

/// What became of the slow clients of one sort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlowSide {
    pub(crate) asked: u64,
    pub(crate) opened: u64,
    pub(crate) closed_by_server: u64,
    pub(crate) finished: u64,
    pub(crate) open_at_end: u64,
    /// From connecting to the server's close.
    pub(crate) life: Durations,
}

/// What became of the slow clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slow {
    pub(crate) senders: SlowSide,
    pub(crate) readers: SlowSide,
}

/// What became of the poisoned requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Poison {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    /// Of those answered, intended start to done.
    pub(crate) response: Durations,
}

impl SlowSide {
    pub(crate) fn new(asked: u64) -> Self {
        Self {
            asked,
            opened: 0,
            closed_by_server: 0,
            finished: 0,
            open_at_end: 0,
            life: Durations::new(),
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

impl Slow {
    pub(crate) fn side(&mut self, reads_slowly: bool) -> &mut SlowSide {
        if reads_slowly {
            &mut self.readers
        } else {
            &mut self.senders
        }
    }
}

impl Poison {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            answered: 0,
            lost: 0,
            response: Durations::new(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.response.merge(&other.response);
    }
}

impl Beside {
    /// Whether the same sorts of connections were asked for in both.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let asked = |beside: &Self| {
            let Self { idle, slow, poison } = beside;
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
