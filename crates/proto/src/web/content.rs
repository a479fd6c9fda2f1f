//! A content of known size, sent as the request asks for it: preconditions, `Range`, `If-Range`.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::ranges::Ranges;
use crate::{Request, Response, Validators};

/// A content of which any part can be read.
pub trait Content: Send {
    /// Reads bytes from `at` on into `to`, as [`Read::read`] does.
    ///
    /// # Errors
    /// They cannot be read; the reply is cut.
    fn read_at(&mut self, at: u64, to: &mut [u8]) -> io::Result<usize>;
}

impl<B: AsRef<[u8]> + Send> Content for B {
    fn read_at(&mut self, at: u64, to: &mut [u8]) -> io::Result<usize> {
        let bytes = self.as_ref();
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let count = to.len().min(bytes.len() - at);
        to[..count].copy_from_slice(&bytes[at..at + count]);
        Ok(count)
    }
}

/// Contents up to this size are read at once; longer ones as they are sent.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

impl Response<'_> {
    /// Answers with a content of `bytes` bytes: with all of it, with the ranges that were asked for
    /// (206, 416), or as its preconditions demand (304, 412). The media type must have been set before.
    ///
    /// # Errors
    /// A small content cannot be read. Nothing is sent yet, so another reply can be made.
    pub fn content(
        &mut self,
        request: &Request<'_>,
        validators: &Validators,
        bytes: u64,
        content: impl Content + 'static,
    ) -> io::Result<()> {
        if !self.is_met(request.condition(Some(validators)), Some(validators)) {
            return Ok(());
        }
        self.validators(validators).field("Accept-Ranges", "bytes");
        let ranges = match request.may_have_range(validators) {
            true => request.ranges(bytes),
            false => Ranges::Whole,
        };
        match ranges {
            Ranges::Whole if bytes <= WHOLE_BYTES_MAX => {
                let mut whole = content;
                let body = self.body_buffer();
                body.resize(bytes as usize, 0);
                fill(&mut whole, 0, body)
            }
            Ranges::Whole => self.send_parts(content, vec![Part::Content(0..bytes)]),
            Ranges::One(range) => {
                let said = said(&range, bytes);
                self.status(206).field("Content-Range", &said);
                self.send_parts(content, vec![Part::Content(range)])
            }
            Ranges::Several(ranges) => {
                let boundary = boundary();
                let media = self.set_content_type("");
                let multi = format!("multipart/byteranges; boundary={boundary}");
                self.status(206).field("Content-Type", &multi);
                self.send_parts(content, multipart(ranges, media, bytes, &boundary))
            }
            Ranges::Unsatisfiable => {
                self.status(416)
                    .field("Content-Range", &format!("bytes */{bytes}"))
                    .content_type("text/plain")
                    .static_body(b"There is no such range.\n");
                Ok(())
            }
        }
    }

    fn send_parts(&mut self, content: impl Content + 'static, parts: Vec<Part>) -> io::Result<()> {
        let bytes = parts.iter().map(Part::bytes).sum();
        let mut reader = Parts {
            content,
            parts: parts.into(),
        };
        if bytes > WHOLE_BYTES_MAX {
            self.reader(Box::new(reader), bytes);
            return Ok(());
        }
        let body = self.body_buffer();
        body.resize(bytes as usize, 0);
        reader.read_exact(body)
    }
}

/// Reads exactly the bytes from `at` on.
fn fill(content: &mut impl Content, mut at: u64, mut to: &mut [u8]) -> io::Result<()> {
    while !to.is_empty() {
        match content.read_at(at, to) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                at += count as u64;
                to = &mut to[count..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A text that the content does not hold, since it is random: its author cannot have known it.
fn boundary() -> String {
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1))
}

/// `bytes 0-9/100`.
fn said(range: &Range<u64>, bytes: u64) -> String {
    format!("bytes {}-{}/{bytes}", range.start, range.end - 1)
}

/// The parts of a `multipart/byteranges` (RFC 9110 section 14.6).
fn multipart(ranges: Vec<Range<u64>>, media: &str, bytes: u64, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let said = said(&range, bytes);
        let head =
            format!("\r\n--{boundary}\r\nContent-Type: {media}\r\nContent-Range: {said}\r\n\r\n");
        parts.push(Part::Text(head.into_bytes()));
        parts.push(Part::Content(range));
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into_bytes()));
    parts
}

/// A part of a body.
enum Part {
    Text(Vec<u8>),
    Content(Range<u64>),
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Part::Text(text) => text.len() as u64,
            Part::Content(range) => range.end - range.start,
        }
    }
}

/// The parts, one behind the other.
struct Parts<C> {
    content: C,
    parts: VecDeque<Part>,
}

impl<C: Content> Read for Parts<C> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.parts.front().is_some_and(|part| part.bytes() == 0) {
            self.parts.pop_front();
        }
        if to.is_empty() {
            return Ok(0);
        }
        match self.parts.front_mut() {
            None => Ok(0),
            Some(Part::Text(text)) => {
                let count = to.len().min(text.len());
                to[..count].copy_from_slice(&text[..count]);
                text.drain(..count);
                Ok(count)
            }
            Some(Part::Content(range)) => {
                let left = range.end - range.start;
                let count = (to.len() as u64).min(left) as usize;
                match self.content.read_at(range.start, &mut to[..count])? {
                    0 => Err(ErrorKind::UnexpectedEof.into()),
                    count => {
                        range.start += count as u64;
                        Ok(count)
                    }
                }
            }
        }
    }
}
