//! What a response is made in: the part of a worker's [`Scratch`](crate::Scratch) that it borrows.

use std::any::Any;
use std::time::SystemTime;

use crate::date::Date;

/// Room for the response to most requests. It is small, so that it shares a page with the beginning of
/// the buffer that is allocated next: a process that is forked for a request copies one page for both.
const USUAL_OUTPUT_BYTES: usize = 1024;
/// An input buffer of the default size, and the allocator's own data for it.
const PIECE_BYTES: usize = (64 << 10) + 64;

/// The buffers of the current response, and what its head takes from the worker.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Responses of the current connection; empty between two connections.
    pub(crate) output: Vec<u8>,
    /// Body of the current response.
    pub(crate) body: Vec<u8>,
    /// Fields that the service has added to the current response.
    pub(crate) fields: Vec<u8>,
    pub(crate) date: Date,
    pub(crate) wall: fn() -> SystemTime,
    /// What the session of the present response is to keep.
    pub(crate) held: Option<Box<dyn Any + Send + Sync>>,
}

impl Buffers {
    pub(crate) fn new(wall: fn() -> SystemTime) -> Buffers {
        // Part of an allocation with just enough room behind it for the input buffer, which is
        // allocated there.
        let mut output = Vec::with_capacity(USUAL_OUTPUT_BYTES + PIECE_BYTES);
        output.shrink_to(USUAL_OUTPUT_BYTES);
        Buffers {
            output,
            body: Vec::new(),
            fields: Vec::new(),
            date: Date::new(),
            wall,
            held: None,
        }
    }
}
