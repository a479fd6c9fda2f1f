//! What an edge-triggered loop must remember.
//!
//! A change is reported once. A loop that learns of one and does not act on all of it, because the
//! connection waits for time or for room, or because others have their turn, has to come back by
//! itself: nobody will tell it again.

use server::Need;

use crate::Ready;

/// What is known of one connection, and has not been acted upon.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct News {
    /// There may be something to receive.
    readable: bool,
    /// The peer has, or may have, sent its FIN, which only a receive behind all data finds: a receive
    /// that came short has not seen it, and no change will follow.
    half_closed: bool,
    /// The loop comes back to it by itself.
    queued: bool,
}

impl News {
    /// Takes note of an event. True if the connection is to be stepped for it now; one that is
    /// queued has its turn in this round anyway.
    pub(crate) fn hear(&mut self, ready: &Ready, need: Need) -> bool {
        self.readable |= ready.readable;
        self.half_closed |= ready.half_closed || ready.hung_up;
        match need {
            Need::Readable => ready.readable && !self.queued,
            // A change of one kind comes with the state of the other: room is not reported without.
            Need::Writable => ready.writable && !self.queued,
            Need::Time => ready.hung_up,
            Need::Compute | Need::Closed => false,
        }
    }

    /// Takes note of a step that began with `before` and ended with `need`; see
    /// [`Connection::would_block`](server::Connection::would_block) for `spent`. True if the loop must
    /// come back to the connection by itself, and does not know yet.
    pub(crate) fn stepped(&mut self, before: Need, need: Need, spent: bool) -> bool {
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

    /// Its turn has come.
    pub(crate) fn dequeue(&mut self) {
        self.queued = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Ready = Ready {
        token: 0,
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
    fn a_short_receive_is_the_last_until_news_come() {
        let mut news = News::default();
        assert!(!news.hear(&ROOM, Need::Readable), "nobody asked for room");
        assert!(news.hear(&INPUT, Need::Readable));
        assert!(!news.stepped(Need::Readable, Need::Readable, true));
        assert!(news.hear(&INPUT, Need::Readable));
    }

    #[test]
    fn a_receive_that_filled_its_buffer_queues_once() {
        let mut news = News::default();
        assert!(news.hear(&INPUT, Need::Readable));
        assert!(news.stepped(Need::Readable, Need::Readable, false));
        assert!(!news.hear(&INPUT, Need::Readable), "its turn comes anyway");
        news.dequeue();
        assert!(news.stepped(Need::Readable, Need::Readable, false));
    }

    #[test]
    fn a_fin_behind_data_is_looked_for() {
        let mut news = News::default();
        assert!(news.hear(&FIN, Need::Readable));
        assert!(news.stepped(Need::Readable, Need::Readable, true));
    }

    #[test]
    fn a_fin_that_is_not_there_is_looked_for_once() {
        let mut news = News::default();
        assert!(news.hear(&FIN, Need::Readable));
        news.found_nothing();
        assert!(!news.stepped(Need::Readable, Need::Readable, true));
    }

    #[test]
    fn what_comes_while_it_waits_or_writes_is_remembered() {
        for need in [Need::Time, Need::Writable] {
            let mut news = News::default();
            assert!(!news.hear(&INPUT, need));
            assert!(news.stepped(need, Need::Readable, true), "{need:?}");
        }
    }

    #[test]
    fn a_turn_that_ended_early_is_taken_up_again() {
        let mut news = News::default();
        assert!(news.hear(&INPUT, Need::Readable));
        assert!(
            !news.stepped(Need::Readable, Need::Writable, true),
            "no room"
        );
        assert!(news.hear(&ROOM, Need::Writable));
        assert!(news.stepped(Need::Writable, Need::Writable, false));
    }
}
