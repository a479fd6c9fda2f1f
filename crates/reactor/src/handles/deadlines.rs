//! Which places are free, and when each is to be looked at.

use std::time::{Duration, Instant};

use super::table::{Place, Table};
use crate::{Token, Wheel};

/// What the threads share under one lock, which most requests never take.
#[derive(Debug)]
pub(super) struct Clockwork {
    wheel: Wheel,
    /// The tick until which somebody waits at the set; 0 while nobody does.
    wait_ends: u64,
    /// Numbers and ticks of the entries that have come up.
    due: Vec<(u64, u64)>,
    free: Vec<u32>,
    /// Places ever used: the first so many.
    used: u32,
    max: usize,
}

/// Nothing ends the wait but an event.
const NEVER: u64 = u64::MAX;

impl Clockwork {
    pub fn new(now: Instant, max: usize) -> Clockwork {
        Clockwork {
            wheel: Wheel::new(now),
            wait_ends: 0,
            due: Vec::new(),
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

    /// A free place, unless all are taken.
    pub fn claim(&mut self, table: &Table) -> Option<Token> {
        if self.is_full() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let place = table.place(index);
        place.set_tick(0);
        place.suspension.end();
        Some(Token::new(index, place.generation()))
    }

    /// The connection that `token` named has gone.
    pub fn release(&mut self, token: Token, place: &Place) {
        place.next_generation();
        self.free.push(token.index());
    }

    /// Tokens of all places that were ever used, as they stand now.
    pub fn tokens(&self, table: &Table) -> Vec<Token> {
        let token = |index| Token::new(index, table.place(index).generation());
        (0..self.used).map(token).collect()
    }

    /// Has `token` come up at `at`, unless it has gone. True if that is before the wait ends.
    pub fn schedule(&mut self, token: Token, place: &Place, at: Instant) -> bool {
        if place.generation() != token.generation() {
            return false;
        }
        // One that comes up next does for a deadline that has passed, too, and so does one that has
        // come up and that somebody is about to look at: replaced at every call, none would ever be
        // the one remembered.
        if place.tick() != 0 && self.wheel.is_at_hand(place.tick()) {
            return false;
        }
        let tick = self.wheel.add(token.number(), at).tick();
        place.set_tick(tick);
        tick < self.wait_ends
    }

    /// The same instead of the entry that has come up at `tick`, unless another is remembered.
    pub fn reschedule(&mut self, token: Token, place: &Place, tick: u64, at: Instant) -> bool {
        if place.generation() != token.generation() || place.tick() != tick {
            return false;
        }
        place.set_tick(0);
        self.schedule(token, place, at)
    }

    /// The same for a number that is no connection's.
    pub fn schedule_number(&mut self, number: u64, at: Instant) -> bool {
        self.wheel.add(number, at).tick() < self.wait_ends
    }

    /// How long to wait from `now` on, and that somebody does.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        let timeout = self.wheel.timeout(now);
        let ends = timeout.map(|timeout| self.wheel.tick_of(now + timeout));
        self.wait_ends = ends.unwrap_or(NEVER);
        timeout
    }

    /// Nobody waits any more. What has come up by `now`.
    pub fn waited(&mut self, now: Instant) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.wait_ends = 0;
        self.wheel.advance(now, &mut self.due);
        self.due.drain(..)
    }
}
