//! Reading replies from the bytes of a connection, however they are split.
//!
//! There is no socket and no clock here: bytes go in, verdicts come out. The usual reply, which
//! arrives in one piece and with a head that was seen before, costs two comparisons of bytes; every
//! other reply is parsed.

use crate::checker::{Checker, Comparison};
use crate::chunked::{Decoder, Piece};
use crate::error_class::ErrorClass;
use crate::head::{self, Facts, Framing, Parsed};
use crate::malformed::Why;

/// The result of reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The input is used up and the reply is not complete.
    Incomplete,
    /// A reply is complete.
    Complete(Verdict),
    /// The bytes are no reply: nothing after them can be trusted.
    Malformed(Why),
}

/// What was found about a complete reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Why it is not correct; `None` when it is.
    pub(crate) class: Option<ErrorClass>,
    pub(crate) status: u16,
    /// The server announced that it will close the connection.
    pub(crate) close: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Fixed {
        left: u64,
    },
    Chunked(Decoder),
    UntilEnd,
}

/// The reading side of one connection; at first before its first byte.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    /// The beginning of a head whose end has not arrived.
    partial: Vec<u8>,
    /// The comparison of the body being read.
    comparison: Option<Comparison>,
    status: u16,
    close: bool,
}

impl Reader {
    /// Makes the reader ready for a new connection.
    pub(crate) fn reset(&mut self) {
        self.state = State::Head;
        self.partial.clear();
        self.comparison = None;
    }

    /// Consumes input up to the end of the next reply.
    #[inline]
    pub(crate) fn next(&mut self, checker: &mut Checker, input: &mut &[u8]) -> Reading {
        if let State::Head = self.state
            && self.partial.is_empty()
            && let Some((head_length, facts)) = checker.template.recognise(input)
            && let Framing::Fixed(body_length) = facts.framing
            && facts.status >= 200
            && let Some(body) = usize::try_from(body_length)
                .ok()
                .and_then(|length| input[head_length..].get(..length))
        {
            let class = checker.check_whole(facts.status, body);
            *input = &input[head_length + body.len()..];
            return Reading::Complete(Verdict {
                class,
                status: facts.status,
                close: facts.close,
            });
        }
        self.parse_next(checker, input)
    }

    /// The peer has closed, which ends a body that only the close delimits; `None` if there is
    /// none.
    pub(crate) fn end(&mut self, checker: &Checker) -> Option<Verdict> {
        matches!(self.state, State::UntilEnd).then(|| self.finish(checker))
    }

    fn parse_next(&mut self, checker: &mut Checker, input: &mut &[u8]) -> Reading {
        while let State::Head = self.state {
            match self.head(checker, input) {
                // An interim reply (RFC 9110 section 15.2) precedes the real one.
                Ok(Some(facts)) if facts.status < 200 && facts.status != 101 => {}
                Ok(Some(facts)) => self.start_body(checker, facts),
                Ok(None) => return Reading::Incomplete,
                Err(why) => return Reading::Malformed(why),
            }
        }
        self.body(checker, input)
    }

    /// The facts of the head, once it is complete.
    fn head(&mut self, checker: &mut Checker, input: &mut &[u8]) -> Result<Option<Facts>, Why> {
        if input.is_empty() {
            return Ok(None);
        }
        if checker.headless.is_some() {
            return Ok(checker.headless);
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
        match head::parse(bytes, checker.bodiless) {
            Parsed::Complete {
                length,
                facts,
                date,
            } => {
                checker.template.learn(&bytes[..length], facts, date);
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
            Parsed::Malformed(why) => Err(why),
        }
    }

    fn start_body(&mut self, checker: &Checker, facts: Facts) {
        self.status = facts.status;
        self.close = facts.close;
        self.comparison = Some(Comparison::new(checker, facts.status));
        self.state = match facts.framing {
            Framing::Fixed(left) => State::Fixed { left },
            Framing::Chunked => State::Chunked(Decoder::new()),
            Framing::UntilEnd => State::UntilEnd,
        };
    }

    fn body(&mut self, checker: &Checker, input: &mut &[u8]) -> Reading {
        let Some(comparison) = &mut self.comparison else {
            unreachable!("a body is read only after its head");
        };
        match &mut self.state {
            State::Head => unreachable!("the head is complete"),
            State::Fixed { left } => {
                let n = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                comparison.feed(checker, &input[..n]);
                *input = &input[n..];
                *left -= n as u64;
                if *left > 0 {
                    return Reading::Incomplete;
                }
            }
            State::Chunked(decoder) => loop {
                match decoder.next(input) {
                    Piece::Data(data) => comparison.feed(checker, data),
                    Piece::End => break,
                    Piece::More => return Reading::Incomplete,
                    Piece::Malformed => return Reading::Malformed(Why::Chunk),
                }
            },
            State::UntilEnd => {
                comparison.feed(checker, input);
                *input = &[];
                return Reading::Incomplete;
            }
        }
        Reading::Complete(self.finish(checker))
    }

    fn finish(&mut self, checker: &Checker) -> Verdict {
        self.state = State::Head;
        let class = self
            .comparison
            .take()
            .and_then(|mut comparison| comparison.finish(checker));
        Verdict {
            class,
            status: self.status,
            close: self.close,
        }
    }
}

#[cfg(test)]
mod tests;
