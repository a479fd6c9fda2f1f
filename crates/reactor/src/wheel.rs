//! A lazy timer wheel.
//!
//! A connection's deadline moves with every request, almost always later. The entry is not moved
//! with it: when the entry fires, its owner looks at the deadline, and adds another entry if that
//! has not passed. Adding costs a push, a request costs nothing, and an idle connection costs about
//! two pushes per second.

use std::time::{Duration, Instant};

use crate::Source;

/// Ticks of 2^17 ns, 131 µs: an entry may fire that late.
const TICK_SHIFT: u32 = 17;
/// Ticks of one turn of the wheel, 0.54 s; an entry for a later time fires at its end. There are as
/// many as two levels of 64 bits tell apart.
const TICKS: usize = 64 * 64;

/// An entry of the wheel, as its owner remembers it. Entries are never taken out: one that fires
/// and is not the remembered one is stale.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    tick: u64,
    begins: Instant,
}

impl Timer {
    /// The tick at which it fires.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether the entry that fired at `tick` is the one remembered; then it is forgotten.
    pub fn take_fired(timer: &mut Option<Timer>, tick: u64) -> bool {
        timer.take_if(|timer| timer.tick == tick).is_some()
    }
}

/// The time of ticks, for threads that do not hold the lock of the wheel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    start: Instant,
}

impl Ticks {
    /// The ticks of a wheel that starts at `start`.
    pub(crate) fn from(start: Instant) -> Ticks {
        Ticks { start }
    }

    /// The tick at whose end `at` has passed. An entry that fires at this one, or
    /// before, serves a deadline at `at`.
    #[inline]
    pub(crate) fn of(self, at: Instant) -> u64 {
        let ns = at.saturating_duration_since(self.start).as_nanos() as u64;
        (ns >> TICK_SHIFT) + 1
    }
}

/// Sources of events, in the order of the times at which their deadlines are to be looked at.
#[derive(Debug)]
pub struct Wheel {
    start: Instant,
    /// The first tick whose entries have not fired.
    now: u64,
    /// Packed sources.
    slots: Vec<Vec<u64>>,
    /// A bit for each slot that is not empty.
    full: [u64; 64],
    /// A bit for each word of `full` that is not zero.
    full_words: u64,
}

impl Wheel {
    /// An empty wheel.
    pub fn new(start: Instant) -> Wheel {
        Wheel {
            start,
            now: 0,
            slots: (0..TICKS).map(|_| Vec::new()).collect(),
            full: [0; 64],
            full_words: 0,
        }
    }

    /// The tick at whose end `at` has passed.
    pub fn tick_of(&self, at: Instant) -> u64 {
        Ticks::from(self.start).of(at)
    }

    /// Adds an entry that fires at `at`, or earlier if that is more than a turn away.
    pub fn add(&mut self, source: Source, at: Instant) -> Timer {
        let tick = self
            .tick_of(at)
            .clamp(self.now + 1, self.now + TICKS as u64 - 1);
        let slot = tick as usize % TICKS;
        self.slots[slot].push(source.pack());
        self.full[slot / 64] |= 1 << (slot % 64);
        self.full_words |= 1 << (slot / 64);
        let begins = self.start + Duration::from_nanos((tick - 1) << TICK_SHIFT);
        Timer { tick, begins }
    }

    /// Makes sure that an entry fires at `deadline` or earlier. If the one that `timer` remembers
    /// does, this is one comparison, which is all that a request costs. True if a new entry was
    /// needed.
    #[inline]
    pub fn arm(&mut self, timer: &mut Option<Timer>, source: Source, deadline: Instant) -> bool {
        let serves =
            timer.is_some_and(|timer| timer.begins <= deadline || self.is_next(timer.tick));
        if !serves {
            *timer = Some(self.add(source, deadline));
        }
        !serves
    }

    /// Whether an entry at `tick` is among the next to fire, or has fired. It serves a deadline
    /// that has passed as well: replaced at every call, no entry would ever be the one remembered
    /// when it fires.
    #[inline]
    pub(crate) fn is_next(&self, tick: u64) -> bool {
        tick <= self.now + 1
    }

    /// Forgets an entry that has fired while its owner was elsewhere.
    pub fn forget_if_past(&self, timer: &mut Option<Timer>) {
        timer.take_if(|timer| timer.tick <= self.now);
    }

    /// Time until the next entry fires, if there is any.
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        let tick = self.next()?;
        let due = self.start + Duration::from_nanos(tick << TICK_SHIFT);
        Some(due.saturating_duration_since(now))
    }

    /// The first tick with an entry.
    #[inline]
    fn next(&self) -> Option<u64> {
        let first = self.now as usize % TICKS;
        let word = first / 64;
        let bits = self.full[word] & (u64::MAX << (first % 64));
        let slot = if bits != 0 {
            word * 64 + bits.trailing_zeros() as usize
        } else {
            // The words behind it in their order, and then itself, for the low bits that are left.
            let behind = self.full_words.rotate_right(word as u32 + 1);
            if behind == 0 {
                return None;
            }
            let word = (word + 1 + behind.trailing_zeros() as usize) % 64;
            word * 64 + self.full[word].trailing_zeros() as usize
        };
        Some(self.now + ((slot + TICKS - first) % TICKS) as u64)
    }

    /// Fires all entries up to `now`: adds them to `fired`, each with its tick.
    pub fn advance(&mut self, now: Instant, fired: &mut Vec<(Source, u64)>) {
        let passed = now.saturating_duration_since(self.start).as_nanos() as u64 >> TICK_SHIFT;
        while let Some(tick) = self.next().filter(|&tick| tick <= passed) {
            let slot = tick as usize % TICKS;
            let sources = self.slots[slot].drain(..).map(Source::unpack);
            fired.extend(sources.map(|source| (source, tick)));
            self.full[slot / 64] &= !(1 << (slot % 64));
            if self.full[slot / 64] == 0 {
                self.full_words &= !(1 << (slot / 64));
            }
            self.now = tick;
        }
        self.now = self.now.max(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source::Listener(0);

    /// Against the obvious: a sorted list. Nothing comes early, nothing is late by more than a tick
    /// and the step of the clock, and nothing is lost.
    #[test]
    fn agrees_with_a_sorted_list() {
        let start = Instant::now();
        let (mut wheel, mut fired, mut seed) = (Wheel::new(start), Vec::new(), 7u64);
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let (mut pending, mut now): (Vec<(usize, Instant)>, Instant) = (Vec::new(), start);
        for number in 0..5_000 {
            let at = now + Duration::from_micros(random(500_000));
            wheel.add(Source::Listener(number), at);
            pending.push((number, at));
            if let Some(timeout) = wheel.timeout(now) {
                let first = pending.iter().map(|entry| entry.1).min().unwrap();
                assert!(
                    now + timeout >= first.min(now + timeout)
                        && now + timeout <= first + Duration::from_micros(263)
                );
            }
            now += Duration::from_micros(random(300));
            wheel.advance(now, &mut fired);
            for (source, _) in fired.drain(..) {
                let place = pending
                    .iter()
                    .position(|entry| Source::Listener(entry.0) == source)
                    .expect("fires once");
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
        let (mut wheel, mut fired, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(wheel.arm(&mut timer, SOURCE, at(100)));
        assert!(
            !wheel.arm(&mut timer, SOURCE, at(100)) && !wheel.arm(&mut timer, SOURCE, at(9_000))
        );
        assert!(wheel.arm(&mut timer, SOURCE, at(50)), "earlier does");
        wheel.advance(at(200), &mut fired);
        let ours: Vec<_> = fired
            .iter()
            .map(|&(_, tick)| Timer::take_fired(&mut timer, tick))
            .collect();
        assert_eq!(ours, [true, false], "the first entry is stale");
    }

    #[test]
    fn an_entry_that_fired_unseen_is_not_relied_upon() {
        let start = Instant::now();
        let (mut wheel, mut fired, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |ms| start + Duration::from_millis(ms);
        wheel.arm(&mut timer, SOURCE, at(100));
        wheel.forget_if_past(&mut timer);
        assert!(timer.is_some(), "it is to come");
        wheel.advance(at(200), &mut fired);
        wheel.forget_if_past(&mut timer);
        assert!(timer.is_none());
    }

    #[test]
    fn a_deadline_in_the_past_fires_however_often_it_is_armed() {
        let start = Instant::now();
        let (mut wheel, mut fired, mut timer) = (Wheel::new(start), Vec::new(), None);
        let at = |us| start + Duration::from_micros(us);
        wheel.advance(at(100_000), &mut fired);
        let mut came = 0;
        for us in (100_000..102_000).step_by(10) {
            wheel.advance(at(us), &mut fired);
            wheel.arm(&mut timer, SOURCE, at(50_000));
            came += fired
                .drain(..)
                .filter(|&(_, tick)| Timer::take_fired(&mut timer, tick))
                .count();
        }
        assert!((10..=16).contains(&came), "{came} times");
    }

    #[test]
    fn far_entries_fire_early_to_be_added_again() {
        let start = Instant::now();
        let (mut wheel, mut fired) = (Wheel::new(start), Vec::new());
        wheel.add(SOURCE, start + Duration::from_secs(10));
        assert!(wheel.timeout(start).unwrap() < Duration::from_secs(1));
        wheel.advance(start + Duration::from_secs(1), &mut fired);
        assert_eq!(fired.len(), 1);
        assert_eq!(wheel.timeout(start), None);
    }
}
