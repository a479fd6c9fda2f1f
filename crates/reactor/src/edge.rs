//! What a loop remembers of a connection if its selector reports changes and not states.
//!
//! A change is reported once. A loop that learns of one and does not act on all of it, because the
//! connection waits for time or for room, or because its turn is over, has to step the connection
//! later by itself: no other event will follow.

use server::Need;

use crate::Ready;

/// What a selector of changes has reported, of any number of events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub readable: bool,
    pub writable: bool,
    /// The peer has sent its FIN, or is gone.
    pub ended: bool,
}

/// What is known of one connection and has not been acted upon.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct EdgeState {
    /// There may be something to receive.
    readable: bool,
    /// The peer has, or may have, sent its FIN, which only a receive behind all data finds: a
    /// receive that came short has not seen it, and no change will follow.
    half_closed: bool,
    /// It is in the queue of connections whose next turn the loop begins by itself, or in that of those
    /// which wait for the pool.
    queued: bool,
}

impl EdgeState {
    /// Records an event. True if the connection is to be stepped for it now; one that is queued has
    /// its turn in this round anyway.
    pub(crate) fn on_event(&mut self, ready: &Ready, need: Need) -> bool {
        self.readable |= ready.readable;
        self.half_closed |= ready.half_closed || ready.hung_up;
        match need {
            Need::Readable => ready.readable && !self.queued,
            // An event of one kind comes with the state of the other: room is not reported without.
            Need::Writable => ready.writable && !self.queued,
            Need::Time => ready.hung_up,
            Need::Compute | Need::Closed => false,
        }
    }

    /// Records a step that began with `before` and ended with `need`; `spent` is what
    /// [`Connection::would_block`](server::Connection::would_block) says after it. True if the
    /// connection is to be queued for another turn.
    pub(crate) fn on_step(&mut self, before: Need, need: Need, spent: bool) -> bool {
        if before == Need::Readable {
            // Spent by a send that found no room, it may still have something to receive; the event
            // that reports room reports that as well.
            self.readable = !spent || self.half_closed;
        }
        let more = match need {
            Need::Readable => self.readable,
            Need::Writable => !spent,
            Need::Time | Need::Compute | Need::Closed => false,
        };
        let is_new = more && !self.queued;
        self.queued |= more;
        is_new
    }

    /// A receive has found neither bytes nor FIN.
    pub(crate) fn found_nothing(&mut self) {
        self.half_closed = false;
    }

    /// Records what was reported while another thread had the connection. True if there may be room to
    /// send: that thread may have found none before.
    pub(crate) fn on_event_in_pool(&mut self, seen: &Seen) -> bool {
        self.readable |= seen.readable;
        self.half_closed |= seen.ended;
        seen.writable
    }

    /// It has to wait for its turn. True if it is to be queued for that, since it is in no queue.
    pub(crate) fn enqueue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// It has left the queue, for its turn.
    pub(crate) fn dequeued(&mut self) {
        self.queued = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    const INPUT: Ready = Ready {
        source: Source::Drain,
        readable: true,
        writable: false,
        half_closed: false,
        hung_up: false,
    };
    const ROOM: Ready = Ready {
        readable: false,
        writable: true,
        ..INPUT
    };
    const FIN: Ready = Ready {
        half_closed: true,
        ..INPUT
    };

    #[test]
    fn a_short_receive_is_the_last_until_the_next_event() {
        let mut edge = EdgeState::default();
        assert!(
            !edge.on_event(&ROOM, Need::Readable),
            "nobody asked for room"
        );
        assert!(edge.on_event(&INPUT, Need::Readable));
        assert!(!edge.on_step(Need::Readable, Need::Readable, true));
        assert!(edge.on_event(&INPUT, Need::Readable));
    }

    #[test]
    fn a_receive_that_filled_its_buffer_queues_once() {
        let mut edge = EdgeState::default();
        assert!(edge.on_event(&INPUT, Need::Readable));
        assert!(edge.on_step(Need::Readable, Need::Readable, false));
        assert!(
            !edge.on_event(&INPUT, Need::Readable),
            "its turn comes anyway"
        );
        edge.dequeued();
        assert!(edge.on_step(Need::Readable, Need::Readable, false));
    }

    #[test]
    fn a_fin_behind_data_is_looked_for() {
        let mut edge = EdgeState::default();
        assert!(edge.on_event(&FIN, Need::Readable));
        assert!(edge.on_step(Need::Readable, Need::Readable, true));
    }

    #[test]
    fn a_fin_that_is_not_there_is_looked_for_once() {
        let mut edge = EdgeState::default();
        assert!(edge.on_event(&FIN, Need::Readable));
        edge.found_nothing();
        assert!(!edge.on_step(Need::Readable, Need::Readable, true));
    }

    #[test]
    fn what_comes_while_it_waits_or_writes_is_remembered() {
        for need in [Need::Time, Need::Writable] {
            let mut edge = EdgeState::default();
            assert!(!edge.on_event(&INPUT, need));
            assert!(edge.on_step(need, Need::Readable, true), "{need:?}");
        }
    }

    #[test]
    fn what_comes_while_another_thread_has_it_is_remembered() {
        let mut edge = EdgeState::default();
        assert!(edge.on_event(&INPUT, Need::Readable));
        assert!(!edge.on_step(Need::Readable, Need::Compute, true));
        let mut seen = Seen::default();
        assert!(!edge.on_event_in_pool(&seen));
        assert!(!edge.on_step(Need::Writable, Need::Readable, false));
        seen.readable = true;
        assert!(!edge.on_event_in_pool(&seen));
        assert!(edge.on_step(Need::Writable, Need::Readable, false));
        assert!(!edge.enqueue(), "it is queued already");
        seen.writable = true;
        assert!(edge.on_event_in_pool(&seen));
    }

    #[test]
    fn a_turn_that_ended_early_is_taken_up_again() {
        let mut edge = EdgeState::default();
        assert!(edge.on_event(&INPUT, Need::Readable));
        assert!(
            !edge.on_step(Need::Readable, Need::Writable, true),
            "no room"
        );
        assert!(edge.on_event(&ROOM, Need::Writable));
        assert!(edge.on_step(Need::Writable, Need::Writable, false));
    }
}
