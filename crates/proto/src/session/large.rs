//! Bodies beyond the limit of memory: the service takes them in pieces, or whole up to a limit of its own.

use crate::Turn;
use crate::answer::intake;
use crate::chunked::{Chunked, Decoded};
use crate::head::{self, Head, Parsed};
use crate::intake::{Given, Intake, Taking};
use crate::upload::{Begun, Framing};

use super::{Phase, Session, tell_to_continue};

/// Bodies beyond the limit of memory.
impl Session {
    /// Consumes a head whose body of `length` bytes is large.
    #[cold]
    #[inline(never)]
    pub(super) fn consume_large(
        &mut self,
        head: &Head<'_, '_>,
        length: u64,
        data: &[u8],
        turn: &mut Turn<'_>,
    ) -> usize {
        let origin = self.origin(turn.now);
        let (sink, bytes_max) = match intake(head, Some(length), origin, turn) {
            Some(Intake::Memory(bytes_max)) if length <= bytes_max => (None, bytes_max),
            Some(Intake::Pieces(sink, bytes_max)) if length <= bytes_max => (Some(sink), bytes_max),
            Some(Intake::Upload(bytes_max))
                if length <= bytes_max && turn.scratch.transport().is_some() =>
            {
                self.parked = turn.scratch.take_buffer();
                self.parked.extend_from_slice(&data[..head.bytes]);
                let begun = Begun {
                    first: Vec::new(),
                    framing: Framing::Length { left: length },
                    bytes_max,
                    is_held_back: head.expects_continue && data.len() == head.bytes,
                };
                self.begin_upload(begun, head.bytes, turn);
                return head.bytes;
            }
            refused => {
                self.refuse(if refused.is_some() { 413 } else { 500 }, turn);
                return data.len();
            }
        };
        self.parked = turn.scratch.take_buffer();
        self.parked.extend_from_slice(&data[..head.bytes]);
        let taking = Box::new(Taking {
            sink,
            upload: None,
            framing: Framing::Length { left: length },
            head_bytes: head.bytes,
            bytes_max,
            since_deadline: 0,
            full: None,
        });
        match taking.has_enough() {
            Ok(false) => {}
            // The reply is known from the head: a client that holds the body back keeps it.
            Ok(true) => {
                self.cut_short(taking, turn);
                return data.len();
            }
            Err(status) => {
                self.refuse(status, turn);
                return data.len();
            }
        }
        tell_to_continue(head, data, turn);
        self.deadline = turn.now + turn.limits.body();
        self.phase = Phase::Taking(taking);
        head.bytes
    }

    /// Has the service take a chunked body that turns out to be large: the part of it in `parked` now,
    /// the rest as it comes, or in its call. False: nothing more of it is taken.
    #[cold]
    #[inline(never)]
    pub(super) fn take_chunks(
        &mut self,
        decoder: Chunked,
        head_bytes: usize,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut room = head::fields();
        let asked = match head::parse(&self.parked[..head_bytes], &mut room, turn.limits) {
            Some(Parsed::Complete(head)) => intake(&head, None, self.origin(turn.now), turn),
            _ => unreachable!("this head was parsed before it was parked"),
        };
        let (sink, bytes_max) = match asked {
            Some(Intake::Memory(bytes_max)) => (None, bytes_max),
            Some(Intake::Pieces(sink, bytes_max)) => (Some(sink), bytes_max),
            Some(Intake::Upload(bytes_max)) if turn.scratch.transport().is_some() => {
                let begun = Begun {
                    first: self.parked.split_off(head_bytes),
                    framing: Framing::Chunked(decoder),
                    bytes_max,
                    is_held_back: false,
                };
                self.begin_upload(begun, head_bytes, turn);
                return true;
            }
            refused => {
                self.refuse(if refused.is_some() { 413 } else { 500 }, turn);
                return false;
            }
        };
        let mut taking = Box::new(Taking {
            sink,
            upload: None,
            framing: Framing::Chunked(decoder),
            head_bytes,
            bytes_max,
            since_deadline: 0,
            full: None,
        });
        if taking.sink.is_some() {
            let body = self.parked.split_off(head_bytes);
            match taking.give(&body, &mut self.parked) {
                Ok(Given::More | Given::Full) => {}
                Ok(Given::Enough) => {
                    self.cut_short(taking, turn);
                    return false;
                }
                Err(status) => {
                    self.refuse(status, turn);
                    return false;
                }
            }
        }
        self.phase = Phase::Taking(taking);
        true
    }

    /// Consumes a part of a body that the service takes.
    #[cold]
    #[inline(never)]
    pub(super) fn consume_taken(&mut self, data: &[u8], turn: &mut Turn<'_>) -> usize {
        let Phase::Taking(mut taking) = std::mem::replace(&mut self.phase, Phase::Head) else {
            unreachable!("called in this phase only")
        };
        let (bytes, decoded, given) = match &mut taking.framing {
            Framing::Length { left } => {
                let piece = &data[..data.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                *left -= piece.len() as u64;
                let done = *left == 0;
                let given = taking.give(piece, &mut self.parked);
                let decoded = if done {
                    Decoded::Complete
                } else {
                    Decoded::More
                };
                (piece.len(), decoded, given)
            }
            Framing::Chunked(decoder) => {
                let mut body = std::mem::take(&mut turn.scratch.buffers.body);
                body.clear();
                let decoded = decoder.decode(data, &mut body, taking.bytes_max, turn.limits);
                let given = taking.give(&body, &mut self.parked);
                turn.scratch.buffers.body = body;
                (decoded.0, decoded.1, given)
            }
        };
        let decoded = match given {
            Err(status) => Decoded::Refused(status),
            Ok(Given::Enough) if matches!(decoded, Decoded::More) => {
                self.cut_short(taking, turn);
                return data.len();
            }
            Ok(_) => decoded,
        };
        match decoded {
            Decoded::More => {
                if let Some(pause) = taking.full {
                    self.deadline = turn.now + pause;
                    self.phase = Phase::Taking(taking);
                    return bytes;
                }
                taking.since_deadline += bytes;
                if taking.since_deadline >= turn.limits.input_bytes {
                    taking.since_deadline = 0;
                    self.deadline = turn.now + turn.limits.body();
                }
                self.phase = Phase::Taking(taking);
                bytes
            }
            Decoded::Complete => {
                let body_bytes = self.parked.len() - taking.head_bytes;
                self.complete_parked(body_bytes, Some(taking), turn);
                bytes
            }
            Decoded::TooLarge => {
                self.refuse(413, turn);
                data.len()
            }
            Decoded::Refused(status) => {
                self.refuse(status, turn);
                data.len()
            }
        }
    }
}

/// Sinks that have no room, or enough.
impl Session {
    /// Asks a sink that had no room, and goes on if it has some.
    #[cold]
    pub(super) fn ask_sink(&mut self, turn: &mut Turn<'_>) {
        let Phase::Taking(mut taking) = std::mem::replace(&mut self.phase, Phase::Head) else {
            unreachable!("called in this phase only")
        };
        match taking.ask() {
            Ok(Given::Full) => {
                self.deadline = turn.now + taking.full.unwrap_or_default();
                self.phase = Phase::Taking(taking);
            }
            Ok(Given::More) => {
                taking.since_deadline = 0;
                self.deadline = turn.now + turn.limits.body();
                self.phase = Phase::Taking(taking);
                self.consume_pending(turn);
            }
            Ok(Given::Enough) => self.cut_short(taking, turn),
            Err(status) => self.refuse(status, turn),
        }
        self.update(turn);
    }

    /// Has the service answer a request of whose body the sink wants no more.
    #[cold]
    fn cut_short(&mut self, taking: Box<Taking>, turn: &mut Turn<'_>) {
        self.cut_short = true;
        turn.return_buffer(&mut self.pending);
        self.complete_parked(0, Some(taking), turn);
    }
}
