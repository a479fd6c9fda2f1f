//! Reading replies from a connection's bytes, however they are cut.
//!
//! No socket and no clock: bytes go in, verdicts come out. The usual reply, whole in one piece and
//! with the head seen before, costs two comparisons of bytes; all others take the long way.

use crate::chunked::{Decoder, Piece};
use crate::class::Class;
use crate::head::{self, Facts, Framing, Parsed};
use crate::judge::{Comparison, Judge};

/// What reading led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The input is used up and no reply is complete.
    More,
    /// A reply is complete.
    Done(Verdict),
    /// The bytes are not HTTP/1.x: nothing after them can be trusted.
    Broken,
}

/// The judgement on a complete reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Why it is not correct; `None` when it is.
    pub(crate) class: Option<Class>,
    /// The server announced that it will close the connection.
    pub(crate) close: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Fixed { left: u64 },
    Chunked(Decoder),
    UntilEnd,
}

/// The reading side of one connection.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    /// The beginning of a head whose end has not arrived.
    partial: Vec<u8>,
    /// The comparison of the body being read.
    comparison: Option<Comparison>,
    close: bool,
}

impl Reader {
    /// Before the first byte of a connection.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Head,
            partial: Vec::new(),
            comparison: None,
            close: false,
        }
    }

    /// Forgets the connection that was read.
    pub(crate) fn reset(&mut self) {
        self.state = State::Head;
        self.partial.clear();
        self.comparison = None;
    }

    /// Consumes input up to the end of the next reply.
    #[inline]
    pub(crate) fn next(&mut self, judge: &mut Judge, input: &mut &[u8]) -> Step {
        if let State::Head = self.state
            && self.partial.is_empty()
            && let Some((head_length, facts)) = judge.template.recognise(input)
            && let Framing::Fixed(body_length) = facts.framing
            && facts.status >= 200
            && let Some(body) = usize::try_from(body_length)
                .ok()
                .and_then(|length| input[head_length..].get(..length))
        {
            let class = judge.whole(facts.status, body);
            *input = &input[head_length + body.len()..];
            return Step::Done(Verdict {
                class,
                close: facts.close,
            });
        }
        self.next_in_pieces(judge, input)
    }

    /// The peer has closed: the end of a body that only the close delimits, else nothing.
    pub(crate) fn end(&mut self, judge: &Judge) -> Option<Verdict> {
        matches!(self.state, State::UntilEnd).then(|| self.finish(judge))
    }

    fn next_in_pieces(&mut self, judge: &mut Judge, input: &mut &[u8]) -> Step {
        while let State::Head = self.state {
            match self.head(judge, input) {
                // An interim reply (RFC 9110 section 15.2) precedes the real one.
                Ok(Some(facts)) if facts.status < 200 && facts.status != 101 => {}
                Ok(Some(facts)) => self.begin_body(judge, facts),
                Ok(None) => return Step::More,
                Err(()) => return Step::Broken,
            }
        }
        self.body(judge, input)
    }

    /// The facts of the head, once it is complete.
    fn head(&mut self, judge: &mut Judge, input: &mut &[u8]) -> Result<Option<Facts>, ()> {
        if input.is_empty() {
            return Ok(None);
        }
        if judge.headless.is_some() {
            return Ok(judge.headless);
        }
        let before = self.partial.len();
        let bytes: &[u8] = if before == 0 {
            input
        } else {
            let room = (head::HEAD_BYTES_MAX + 1).saturating_sub(before);
            self.partial
                .extend_from_slice(&input[..input.len().min(room)]);
            &self.partial
        };
        match head::parse(bytes, judge.bodiless) {
            Parsed::Complete {
                length,
                facts,
                date,
            } => {
                judge.template.learn(&bytes[..length], facts, date);
                *input = &input[length - before..];
                self.partial.clear();
                Ok(Some(facts))
            }
            Parsed::Partial => {
                if before == 0 {
                    self.partial.extend_from_slice(input);
                }
                *input = &[];
                Ok(None)
            }
            Parsed::Malformed => Err(()),
        }
    }

    fn begin_body(&mut self, judge: &Judge, facts: Facts) {
        self.close = facts.close;
        self.comparison = Some(Comparison::new(judge, facts.status));
        self.state = match facts.framing {
            Framing::Fixed(left) => State::Fixed { left },
            Framing::Chunked => State::Chunked(Decoder::new()),
            Framing::UntilEnd => State::UntilEnd,
        };
    }

    fn body(&mut self, judge: &Judge, input: &mut &[u8]) -> Step {
        let Some(comparison) = &mut self.comparison else {
            unreachable!("a body is read only after its head");
        };
        match &mut self.state {
            State::Head => unreachable!("the head is complete"),
            State::Fixed { left } => {
                let n = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                comparison.feed(judge, &input[..n]);
                *input = &input[n..];
                *left -= n as u64;
                if *left > 0 {
                    return Step::More;
                }
            }
            State::Chunked(decoder) => loop {
                match decoder.next(input) {
                    Piece::Data(data) => comparison.feed(judge, data),
                    Piece::End => break,
                    Piece::More => return Step::More,
                    Piece::Malformed => return Step::Broken,
                }
            },
            State::UntilEnd => {
                comparison.feed(judge, input);
                *input = &[];
                return Step::More;
            }
        }
        Step::Done(self.finish(judge))
    }

    fn finish(&mut self, judge: &Judge) -> Verdict {
        self.state = State::Head;
        let class = self
            .comparison
            .take()
            .and_then(|mut comparison| comparison.finish(judge));
        Verdict {
            class,
            close: self.close,
        }
    }
}

#[cfg(test)]
mod tests;
