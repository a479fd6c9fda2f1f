//! Connections that any thread may serve, each under a lock of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use server::{Connection, Need};

use super::suspension::Suspension;
use crate::Token;

/// A slot for one connection at a time. The thread that holds the lock serves the connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub open: Mutex<Option<Open>>,
    /// Of the connection that is here, or will be next. Changes only under the lock of the
    /// deadlines.
    generation: AtomicU32,
    pub suspension: Suspension,
    /// When its entry in the wheel fires, 0 for none. Set under the lock of the deadlines, cleared
    /// by the thread that looks at an entry that has fired.
    tick: AtomicU64,
    /// How often in a row an entry has fired while a thread served the connection.
    put_off: AtomicU32,
}

/// An open connection and what the set watches it for.
#[derive(Debug)]
pub(super) struct Open {
    pub connection: Connection,
    pub need: Need,
}

/// Slots that stay where they are in memory, made as they are needed.
#[derive(Debug)]
pub(super) struct Table {
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
}

/// When a deadline is looked at again that passed while a thread served the connection, or was about to: at first,
/// which is about a tick of the wheel, and at most.
const FIRST: Duration = Duration::from_micros(125);
const BEING_SERVED: Duration = Duration::from_millis(50);

/// Slots made at once.
const CHUNK: usize = 64;

impl Slot {
    fn new() -> Slot {
        Slot {
            open: Mutex::new(None),
            generation: AtomicU32::new(0),
            suspension: Suspension::none(),
            tick: AtomicU64::new(0),
            put_off: AtomicU32::new(0),
        }
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The connection that was here has ended.
    pub fn next_generation(&self) {
        let next = Token::generation_after(self.generation());
        self.generation.store(next, Ordering::Relaxed);
    }

    pub fn tick(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    pub fn set_tick(&self, tick: u64) {
        self.tick.store(tick, Ordering::Relaxed);
    }

    /// An entry has fired while a thread served the connection: how long until the deadline is looked at again.
    ///
    /// That thread may be at the very end of it, having seen that an entry serves, and have lost its CPU: so at first
    /// the time is short. It doubles, since the thread may also compute for seconds.
    pub fn put_off(&self) -> Duration {
        let times = self.put_off.fetch_add(1, Ordering::Relaxed);
        let doubled = FIRST.saturating_mul(1 << times.min(16));
        doubled.min(BEING_SERVED)
    }

    /// An entry has fired while no thread served the connection.
    pub fn looked_at(&self) {
        self.put_off.store(0, Ordering::Relaxed);
    }
}

impl Table {
    /// Room for `max` connections.
    pub fn new(max: usize) -> Table {
        Table {
            chunks: (0..max.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Slot number `index`, below the table's size.
    pub fn slot(&self, index: u32) -> &Slot {
        let index = index as usize;
        let chunk =
            self.chunks[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Slot::new()).collect());
        &chunk[index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_cannot_be_looked_at_is_put_off_by_ever_more_and_never_by_much() {
        let table = Table::new(1);
        let slot = table.slot(0);
        let ms: Vec<u128> = (0..40).map(|_| slot.put_off().as_micros()).collect();
        assert_eq!(ms[..4], [125, 250, 500, 1_000]);
        assert!(ms[9..].iter().all(|&us| us == 50_000), "{ms:?}");
        slot.looked_at();
        assert_eq!(slot.put_off(), FIRST);
    }
}
