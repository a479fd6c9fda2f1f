//! What happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// What a core runs has ended, or its slice has.
    Core { core: u32 },
    /// The back end that a thread was blocked on has answered.
    Unblocked { thread: u32 },
    /// The back end that a request awaits has answered.
    Waited { request: u32 },
    /// A core is away until a time, by its stall of that number.
    Stalled { core: u32, stall: u32 },
    /// A core is back.
    Back { core: u32 },
    /// A client has thought.
    Thought { client: u32 },
}

/// When something happens, ns, and which of those that happen then it is: the one that was made first is first.
type When = (u64, u32);

/// Events in order of time, and of their making where the time is the same.
///
/// A core has one event at most, and another one in its place whenever something comes in between: it is kept
/// apart, so that none is left behind in the heap.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Flat, so that an entry is 24 bytes: most of what a simulation does is to move them.
    heap: BinaryHeap<Reverse<(u64, u32, Event)>>,
    cores: Vec<Option<When>>,
    made: u32,
}

impl Events {
    /// Of a server with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores: vec![None; cores],
            ..Self::default()
        }
    }

    fn when(&mut self, ns: u64) -> When {
        self.made = self.made.wrapping_add(1);
        (ns, self.made)
    }

    pub(crate) fn at(&mut self, ns: u64, event: Event) {
        let (ns, made) = self.when(ns);
        self.heap.push(Reverse((ns, made, event)));
    }

    /// What a core runs ends at `ns`, and not when it was said before.
    pub(crate) fn core_at(&mut self, ns: u64, core: u32) {
        let when = self.when(ns);
        self.cores[core as usize] = Some(when);
    }

    /// A core runs nothing.
    pub(crate) fn core_rests(&mut self, core: u32) {
        self.cores[core as usize] = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty() && self.cores.iter().all(Option::is_none)
    }

    /// The core whose event is the next of all cores.
    fn next_core(&self) -> Option<(When, u32)> {
        let set = self.cores.iter().zip(0..);
        set.filter_map(|(when, core)| Some(((*when)?, core))).min()
    }

    pub(crate) fn next_at(&self) -> u64 {
        let other = self.heap.peek().map(|Reverse((ns, ..))| *ns);
        let core = self.next_core().map(|(when, _)| when.0);
        other.unwrap_or(u64::MAX).min(core.unwrap_or(u64::MAX))
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        let other = self.heap.peek().map(|Reverse((ns, made, _))| (*ns, *made));
        match self.next_core() {
            Some((when, core)) if other.is_none_or(|other| when < other) => {
                self.cores[core as usize] = None;
                Some((when.0, Event::Core { core }))
            }
            _ => self.heap.pop().map(|Reverse((ns, _, event))| (ns, event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_a_core_has_one() {
        let mut events = Events::new(2);
        assert!(events.is_empty());
        events.at(30, Event::Waited { request: 1 });
        events.core_at(20, 1);
        events.core_at(30, 0);
        events.at(30, Event::Waited { request: 2 });
        events.core_at(40, 1);
        assert_eq!(events.next_at(), 30);
        let order = [
            (30, Event::Waited { request: 1 }),
            (30, Event::Core { core: 0 }),
            (30, Event::Waited { request: 2 }),
            (40, Event::Core { core: 1 }),
        ];
        for expected in order {
            assert_eq!(events.pop(), Some(expected));
        }
        events.core_at(50, 0);
        events.core_rests(0);
        assert!(events.is_empty() && events.pop().is_none());
        assert_eq!(events.next_at(), u64::MAX);
    }
}
