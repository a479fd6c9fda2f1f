//! Connections that any thread may serve, each under a lock of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

/// Slots made at once.
const CHUNK: usize = 64;

impl Slot {
    fn new() -> Slot {
        Slot {
            open: Mutex::new(None),
            generation: AtomicU32::new(0),
            suspension: Suspension::none(),
            tick: AtomicU64::new(0),
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
