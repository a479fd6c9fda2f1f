//! Which slots are free, and when each connection is to be looked at.

use std::time::{Duration, Instant};

use super::table::{Slot, Table};
use crate::{Source, Token, Wheel};

/// What the threads share under one lock, which most requests never take.
#[derive(Debug)]
pub(super) struct Deadlines {
    wheel: Wheel,
    /// The tick until which a thread waits at the set; 0 while none does.
    wait_ends: u64,
    /// Sources and ticks of the entries that have fired.
    fired: Vec<(Source, u64)>,
    free: Vec<u32>,
    /// Slots ever used: the first so many.
    used: u32,
    max: usize,
}

/// Nothing ends the wait but an event.
const NEVER: u64 = u64::MAX;

impl Deadlines {
    pub fn new(now: Instant, max: usize) -> Deadlines {
        Deadlines {
            wheel: Wheel::new(now),
            wait_ends: 0,
            fired: Vec::new(),
            free: Vec::new(),
            used: 0,
            max,
        }
    }

    pub fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// A free slot, unless all are taken.
    pub fn claim(&mut self, table: &Table) -> Option<Token> {
        if self.is_full() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let slot = table.slot(index);
        slot.set_tick(0);
        slot.suspension.end();
        Some(Token::new(index, slot.generation()))
    }

    /// The connection that `token` named has ended.
    pub fn release(&mut self, token: Token, slot: &Slot) {
        slot.next_generation();
        self.free.push(token.index());
    }

    /// Tokens of all slots that were ever used, as they are now.
    pub fn tokens(&self, table: &Table) -> Vec<Token> {
        let token = |index| Token::new(index, table.slot(index).generation());
        (0..self.used).map(token).collect()
    }

    /// Has an entry for `token` fire at `at`, unless the connection has ended. True if that is
    /// before the wait ends.
    pub fn schedule(&mut self, token: Token, slot: &Slot, at: Instant) -> bool {
        if slot.generation() != token.generation() {
            return false;
        }
        // One that has fired serves, too, for a thread is about to look at it.
        if slot.tick() != 0 && self.wheel.is_next(slot.tick()) {
            return false;
        }
        let tick = self.wheel.add(Source::Connection(token), at).tick();
        slot.set_tick(tick);
        tick < self.wait_ends
    }

    /// The same instead of the entry that has fired at `tick`, unless another is remembered.
    pub fn reschedule(&mut self, token: Token, slot: &Slot, tick: u64, at: Instant) -> bool {
        if slot.generation() != token.generation() || slot.tick() != tick {
            return false;
        }
        slot.set_tick(0);
        self.schedule(token, slot, at)
    }

    /// The same for what is no connection.
    pub fn add(&mut self, source: Source, at: Instant) -> bool {
        self.wheel.add(source, at).tick() < self.wait_ends
    }

    /// A wait begins at `now`. How long it may last.
    pub fn begin_wait(&mut self, now: Instant) -> Option<Duration> {
        let timeout = self.wheel.timeout(now);
        let ends = timeout.map(|timeout| self.wheel.tick_of(now + timeout));
        self.wait_ends = ends.unwrap_or(NEVER);
        timeout
    }

    /// The wait has ended. What has fired by `now`.
    pub fn end_wait(&mut self, now: Instant) -> impl Iterator<Item = (Source, u64)> + '_ {
        self.wait_ends = 0;
        self.wheel.advance(now, &mut self.fired);
        self.fired.drain(..)
    }
}
