//! A lazy timer wheel.
//!
//! A connection's deadline moves with every request, almost always later. So an entry is not moved
//! with it: when the entry comes up, whoever owns it says when it is really due, and it goes back
//! in. Adding costs a push, a request costs nothing, and an idle connection about two pushes a
//! second.

use std::time::{Duration, Instant};

/// Ticks of 2^17 ns, 131 µs: how late an entry may come up.
const TICK_SHIFT: u32 = 17;
/// Ticks around the wheel, so that it spans 0.54 s; what is due later waits in the last.
const TICKS: usize = 4096;

/// An entry of the wheel, as its owner remembers it. Entries are never taken out: one that comes up
/// and is not the remembered one is stale.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    tick: u64,
    begins: Instant,
}

impl Timer {
    /// The tick at which it comes up.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether the entry that came up at `tick` is the one remembered; then it is forgotten.
    pub fn is_spent(timer: &mut Option<Timer>, tick: u64) -> bool {
        timer.take_if(|timer| timer.tick == tick).is_some()
    }
}

/// When ticks are, for those who have not the wheel at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    start: Instant,
}

impl Ticks {
    /// The ticks of a wheel that starts at `start`.
    pub(crate) fn from(start: Instant) -> Ticks {
        Ticks { start }
    }

    /// The tick at whose end `at` has passed. An entry that comes up at this one, or before, will do
    /// for a deadline at `at`.
    #[inline]
    pub(crate) fn of(self, at: Instant) -> u64 {
        let ns = at.saturating_duration_since(self.start).as_nanos() as u64;
        (ns >> TICK_SHIFT) + 1
    }
}

/// Tokens in the order of when they are to be looked at, to the precision of a tick.
#[derive(Debug)]
pub struct Wheel {
    start: Instant,
    /// The first tick that has not come up.
    now: u64,
    slots: Vec<Vec<u64>>,
    /// A bit for each slot that is not empty.
    full: [u64; TICKS / 64],
    len: usize,
}

impl Wheel {
    /// An empty wheel.
    pub fn new(start: Instant) -> Wheel {
        Wheel {
            start,
            now: 0,
            slots: (0..TICKS).map(|_| Vec::new()).collect(),
            full: [0; TICKS / 64],
            len: 0,
        }
    }

    /// The tick at whose end `at` has passed.
    pub fn tick_of(&self, at: Instant) -> u64 {
        Ticks::from(self.start).of(at)
    }

    /// Has `token` come up at `at`, or earlier where that is far away.
    pub fn add(&mut self, token: u64, at: Instant) -> Timer {
        let tick = self
            .tick_of(at)
            .clamp(self.now + 1, self.now + TICKS as u64 - 1);
        let slot = tick as usize % TICKS;
        self.slots[slot].push(token);
        self.full[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
        let begins = self.start + Duration::from_nanos((tick - 1) << TICK_SHIFT);
        Timer { tick, begins }
    }

    /// Sees to it that `token` comes up at `deadline` or earlier. Where the entry that `timer`
    /// remembers will do, this is one comparison, which is all that a request costs. True if a new
    /// entry was needed.
    #[inline]
    pub fn cover(&mut self, timer: &mut Option<Timer>, token: u64, deadline: Instant) -> bool {
        // One that comes up next does for a deadline that has passed, too: replaced at every call,
        // it would never be the one remembered when it comes up.
        let covered =
            timer.is_some_and(|timer| timer.begins <= deadline || timer.tick <= self.now + 1);
        if !covered {
            *timer = Some(self.add(token, deadline));
        }
        !covered
    }

    /// Whether an entry at `tick` has come up already, or is among the next to.
    pub(crate) fn is_at_hand(&self, tick: u64) -> bool {
        tick <= self.now + 1
    }

    /// Forgets an entry that has come up while its owner was away.
    pub fn forget_if_past(&self, timer: &mut Option<Timer>) {
        timer.take_if(|timer| timer.tick <= self.now);
    }

    /// Time until the next entry comes up, if there is any.
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        let tick = self.next()?;
        let due = self.start + Duration::from_nanos(tick << TICK_SHIFT);
        Some(due.saturating_duration_since(now))
    }

    /// The first tick with an entry.
    fn next(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let first = self.now as usize % TICKS;
        // Word by word, beginning inside the first, which comes again at the end for its low bits.
        for step in 0..=self.full.len() {
            let word = (first / 64 + step) % self.full.len();
            let mask = match step {
                0 => u64::MAX << (first % 64),
                _ if step == self.full.len() => !(u64::MAX << (first % 64)),
                _ => u64::MAX,
            };
            let bits = self.full[word] & mask;
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(self.now + ((slot + TICKS - first) % TICKS) as u64);
            }
        }
        None
    }

    /// Moves everything that has come up by `now` to `due`, with the tick at which it did.
    pub fn advance(&mut self, now: Instant, due: &mut Vec<(u64, u64)>) {
        let passed = now.saturating_duration_since(self.start).as_nanos() as u64 >> TICK_SHIFT;
        while let Some(tick) = self.next().filter(|&tick| tick <= passed) {
            let slot = tick as usize % TICKS;
            self.len -= self.slots[slot].len();
            due.extend(self.slots[slot].drain(..).map(|token| (token, tick)));
            self.full[slot / 64] &= !(1 << (slot % 64));
            self.now = tick;
        }
        self.now = self.now.max(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the obvious: a sorted list. Nothing comes early, nothing is late by more than a tick
    /// and the step of the clock, and nothing is lost.
    #[test]
    fn agrees_with_a_sorted_list() {
        let start = Instant::now();
        let (mut wheel, mut due, mut seed) = (Wheel::new(start), Vec::new(), 7u64);
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let (mut pending, mut now): (Vec<(u64, Instant)>, Instant) = (Vec::new(), start);
        for token in 0..5_000u64 {
            let at = now + Duration::from_micros(random(500_000));
            wheel.add(token, at);
            pending.push((token, at));
            if let Some(timeout) = wheel.timeout(now) {
                let first = pending.iter().map(|entry| entry.1).min().unwrap();
                assert!(
                    now + timeout >= first.min(now + timeout)
                        && now + timeout <= first + Duration::from_micros(263)
                );
            }
            now += Duration::from_micros(random(300));
            wheel.advance(now, &mut due);
            for (token, _) in due.drain(..) {
                let place = pending
                    .iter()
                    .position(|entry| entry.0 == token)
                    .expect("comes up once");
                let (_, at) = pending.swap_remove(place);
                assert!(now >= at, "early");
                assert!(
                    now - at < Duration::from_micros(131 + 132 + 300),
                    "late by {:?}",
                    now - at
                );
            }
            assert!(
                pending
                    .iter()
                    .all(|entry| entry.1 + Duration::from_micros(132) > now),
                "lost"
            );
        }
    }

    #[test]
    fn a_deadline_that_moves_later_needs_no_new_entry() {
        let start = Instant::now();
        let (mut wheel, mut due, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(wheel.cover(&mut timer, 1, at(100)));
        assert!(!wheel.cover(&mut timer, 1, at(100)) && !wheel.cover(&mut timer, 1, at(9_000)));
        assert!(wheel.cover(&mut timer, 1, at(50)), "earlier does");
        wheel.advance(at(200), &mut due);
        let ours: Vec<_> = due
            .iter()
            .map(|&(_, tick)| Timer::is_spent(&mut timer, tick))
            .collect();
        assert_eq!(ours, [true, false], "the first entry is stale");
    }

    #[test]
    fn an_entry_that_came_up_unseen_is_not_relied_upon() {
        let start = Instant::now();
        let (mut wheel, mut due, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |ms| start + Duration::from_millis(ms);
        wheel.cover(&mut timer, 1, at(100));
        wheel.forget_if_past(&mut timer);
        assert!(timer.is_some(), "it is to come");
        wheel.advance(at(200), &mut due);
        wheel.forget_if_past(&mut timer);
        assert!(timer.is_none());
    }

    #[test]
    fn a_deadline_in_the_past_comes_up_however_often_it_is_covered() {
        let start = Instant::now();
        let (mut wheel, mut due, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |us| start + Duration::from_micros(us);
        wheel.advance(at(100_000), &mut due);
        let mut came = 0;
        for us in (100_000..102_000).step_by(10) {
            wheel.advance(at(us), &mut due);
            wheel.cover(&mut timer, 1, at(50_000));
            came += due
                .drain(..)
                .filter(|&(_, tick)| Timer::is_spent(&mut timer, tick))
                .count();
        }
        assert!((10..=16).contains(&came), "{came} times");
    }

    #[test]
    fn far_entries_come_up_early_to_be_asked_again() {
        let start = Instant::now();
        let (mut wheel, mut due) = (Wheel::new(start), Vec::new());
        wheel.add(1, start + Duration::from_secs(10));
        assert!(wheel.timeout(start).unwrap() < Duration::from_secs(1));
        wheel.advance(start + Duration::from_secs(1), &mut due);
        assert_eq!(due.len(), 1);
        assert_eq!(wheel.timeout(start), None);
    }
}
