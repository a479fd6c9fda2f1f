//! Bytes of a connection that wait to be sent.

use crate::{Scratch, Turn};

/// Output is made in the buffer of the worker, and usually sent from there. If it must wait, it is kept
/// here.
#[derive(Debug, Default)]
pub(crate) struct Output {
    kept: Vec<u8>,
    /// How many bytes of the output were sent.
    sent: usize,
    /// A kernel that sends it later has what was kept.
    taken: bool,
}

impl Output {
    pub(crate) fn unsent<'s>(&'s self, scratch: &'s Scratch) -> &'s [u8] {
        let output = if self.kept.is_empty() {
            &scratch.buffers.output
        } else {
            &self.kept
        };
        &output[self.sent..]
    }

    pub(crate) fn is_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    pub(crate) fn keep(&mut self, scratch: &mut Scratch) -> &[u8] {
        if self.kept.is_empty() && !scratch.buffers.output.is_empty() {
            self.kept = scratch.take_buffer();
            std::mem::swap(&mut self.kept, &mut scratch.buffers.output);
        }
        &self.kept[self.sent..]
    }

    pub(crate) fn take(&mut self, scratch: &mut Scratch) -> Vec<u8> {
        self.keep(scratch);
        self.kept.drain(..std::mem::take(&mut self.sent));
        self.taken = true;
        std::mem::take(&mut self.kept)
    }

    pub(crate) fn give_back(&mut self, output: Vec<u8>) {
        self.kept = output;
        self.taken = false;
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Drops all output, sent or not.
    pub(crate) fn clear(&mut self, turn: &mut Turn<'_>) {
        self.sent = 0;
        turn.scratch.buffers.output.clear();
        if !self.kept.is_empty() {
            turn.return_buffer(&mut self.kept);
        }
    }
}
