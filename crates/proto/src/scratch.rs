//! What a worker lends to the connection it serves just now.

use std::time::SystemTime;

use crate::date::Date;

/// Room for the response that most requests get. Little, so that it may share its page with the
/// beginning of the buffer that is allocated next: whoever is forked for a request copies it.
const USUAL_OUTPUT_BYTES: usize = 1024;
/// A buffer of input of the usual size, and what the allocator keeps with it.
const PIECE_BYTES: usize = (64 << 10) + 64;

/// One worker's buffers: never a connection's. That is why ten thousand idle connections cost no
/// buffer, and why a request costs no allocation once the worker is warm.
#[derive(Debug)]
pub struct Scratch {
    /// Responses of the connection in hand; empty between two connections.
    pub(crate) output: Vec<u8>,
    /// Body of the response being made.
    pub(crate) body: Vec<u8>,
    /// Extra fields of the response being made.
    pub(crate) fields: Vec<u8>,
    pub(crate) date: Date,
    pub(crate) wall: fn() -> SystemTime,
    pub(crate) served: u64,
    pub(crate) refused: u64,
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
}

impl Scratch {
    /// Buffers of a new worker. `wall` tells the time of day for `Date`; it is asked once a second.
    pub fn new(wall: fn() -> SystemTime) -> Scratch {
        // Cut from a piece that has just room for a buffer of input, which comes to lie behind it.
        let mut output = Vec::with_capacity(USUAL_OUTPUT_BYTES + PIECE_BYTES);
        output.shrink_to(USUAL_OUTPUT_BYTES);
        Scratch {
            output,
            body: Vec::new(),
            fields: Vec::new(),
            date: Date::new(),
            wall,
            served: 0,
            refused: 0,
            spare: Vec::new(),
            spare_bytes: 0,
        }
    }

    /// Requests served with these buffers so far.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// Requests refused by the session itself so far: malformed, too large, too slow.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Drops the output of a connection that broke in the middle of its turn.
    pub fn discard_output(&mut self) {
        self.output.clear();
    }

    /// An empty buffer for a connection that has to keep something.
    pub(crate) fn lend(&mut self) -> Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back; beyond `bytes_max` of spare memory it is freed.
    pub(crate) fn take_back(&mut self, buffer: &mut Vec<u8>, bytes_max: usize) {
        let mut buffer = std::mem::take(buffer);
        if buffer.capacity() > 0 && self.spare_bytes + buffer.capacity() <= bytes_max {
            self.spare_bytes += buffer.capacity();
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
