//! Connections that any thread may take in hand, each under a lock of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use server::{Connection, Need};

use super::suspension::Suspension;
use crate::Token;

/// A place for one connection at a time. Whoever has the lock has the connection in hand.
#[derive(Debug)]
pub(super) struct Place {
    pub held: Mutex<Option<Held>>,
    /// Of the connection that is here, or will be next. Changes only under the clockwork's lock.
    generation: AtomicU32,
    pub suspension: Suspension,
    /// When its entry in the wheel comes up, 0 for none. Set under the clockwork's lock, cleared by
    /// whoever looks at an entry that has come up.
    tick: AtomicU64,
}

/// A connection and how the set watches it.
#[derive(Debug)]
pub(super) struct Held {
    pub connection: Connection,
    pub need: Need,
}

/// Places that stay where they are, made as they are needed.
#[derive(Debug)]
pub(super) struct Table {
    chunks: Box<[OnceLock<Box<[Place]>>]>,
}

/// Places made at once.
const CHUNK: usize = 64;

impl Place {
    fn new() -> Place {
        Place {
            held: Mutex::new(None),
            generation: AtomicU32::new(0),
            suspension: Suspension::none(),
            tick: AtomicU64::new(0),
        }
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The connection that was here has gone.
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

    /// Place number `index`, below the table's size.
    pub fn place(&self, index: u32) -> &Place {
        let index = index as usize;
        let chunk =
            self.chunks[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Place::new()).collect());
        &chunk[index % CHUNK]
    }
}
