//! What an event is about, and the number as which the kernel carries that.

use crate::Token;

/// What a selector reports, or a timer wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A connection is ready, or its deadline may have passed.
    Connection(Token),
    /// A connection waits at this listener.
    Listener(usize),
    /// The drain begins.
    Drain,
    /// Another thread has put something into a queue that is looked at after every wait.
    Wake,
    /// A pause in accepting is over.
    AcceptPause,
}

/// Set in every number that is not a connection's.
const OTHER: u64 = 1 << 63;
const DRAIN: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
const ACCEPT_PAUSE: u64 = u64::MAX - 2;

impl Source {
    /// As one number.
    #[inline(always)]
    pub fn pack(self) -> u64 {
        match self {
            Source::Connection(token) => token.number(),
            Source::Listener(index) => OTHER + index as u64,
            Source::Drain => DRAIN,
            Source::Wake => WAKE,
            Source::AcceptPause => ACCEPT_PAUSE,
        }
    }

    /// Back from the number.
    #[inline(always)]
    pub fn unpack(number: u64) -> Source {
        if number & OTHER == 0 {
            return Source::Connection(Token::from_number(number));
        }
        match number {
            DRAIN => Source::Drain,
            WAKE => Source::Wake,
            ACCEPT_PAUSE => Source::AcceptPause,
            listener => Source::Listener((listener - OTHER) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let highest = Token::new(u32::MAX, Token::generation_after(u32::MAX - 1));
        for source in [
            Source::Connection(Token::new(0, 0)),
            Source::Connection(highest),
            Source::Listener(0),
            Source::Listener(65_535),
            Source::Drain,
            Source::Wake,
            Source::AcceptPause,
        ] {
            assert_eq!(Source::unpack(source.pack()), source);
        }
    }
}
