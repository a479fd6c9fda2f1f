//! What happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// What a core runs has ended, or its slice has; stale if the core's version has moved on.
    Core { core: u32, version: u32 },
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

/// Events in order of time, and of their making where the time is the same.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<(u64, u32, Event)>>,
    made: u32,
}

impl Events {
    pub(crate) fn at(&mut self, ns: u64, event: Event) {
        self.made = self.made.wrapping_add(1);
        self.heap.push(Reverse((ns, self.made, event)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(crate) fn next_at(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |Reverse((ns, _, _))| *ns)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((ns, _, event))| (ns, event))
    }
}
