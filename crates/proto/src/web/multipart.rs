//! Forms of `multipart/form-data` (RFC 7578, RFC 2046 section 5.1), as browsers send files: bytes go in, and
//! what they are comes out.
//!
//! ```text
//!   Preamble ──▶ Delimited ──▶ Head ──▶ Data ──▶ Delimited ... ──▶ Epilogue
//! ```
//!
//! Nothing but the head of a part is kept, so a form may be as large as its body may be. What comes out does
//! not depend on how the body was cut.

mod disposition;
mod form;

use crate::Request;
use disposition::{parameter, part_of};
pub use form::{FormError, FormEvent, FormLimits, FormPart, FormParts};

/// Reads a form, piece by piece.
///
/// ```
/// use proto::{FormEvent, FormLimits, Multipart};
///
/// let mut form = Multipart::new(b"xyz", FormLimits::default()).expect("a boundary");
/// let mut piece = &b"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xyz--"[..];
/// let mut seen = Vec::new();
/// while let Some(event) = form.next(&mut piece)? {
///     match event {
///         FormEvent::Part(part) => seen.extend(part.name.bytes()),
///         FormEvent::Data(bytes) => seen.extend(bytes),
///         FormEvent::End => seen.push(b'.'),
///     }
/// }
/// form.finish()?;
/// assert_eq!(seen, b"a1.");
/// # Ok::<(), proto::FormError>(())
/// ```
#[derive(Debug)]
pub struct Multipart {
    /// CR LF, two hyphens, and the boundary. A CR is nowhere but at its front, so a comparison that fails
    /// begins anew where it has failed.
    delimiter: Vec<u8>,
    limits: FormLimits,
    phase: Phase,
    parts: usize,
    /// The head that is being received.
    head: Vec<u8>,
    part: FormPart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the first delimiter, of which `matched` bytes were received, behind `dropped` other ones.
    Preamble { matched: usize, dropped: usize },
    /// Behind a delimiter: what follows on its line tells a part from the end.
    Delimited,
    /// In the head of a part.
    Head,
    /// In the content of a part. The bytes of the delimiter from `from` to `matched` were received, and are
    /// data if it does not go on.
    Data { from: usize, matched: usize },
    /// A delimiter was received, whose part has yet to be ended.
    Ended,
    /// Behind the last delimiter, where everything is ignored.
    Epilogue,
    /// An error was reported; there is nothing else to say.
    Failed(FormError),
}

impl Multipart {
    /// Longest boundary (RFC 2046 section 5.1.1), bytes.
    pub const BOUNDARY_BYTES_MAX: usize = 70;

    /// For a body whose parts are divided by `boundary`. `None`: that can be none.
    pub fn new(boundary: &[u8], limits: FormLimits) -> Option<Multipart> {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        let fits = (1..=Multipart::BOUNDARY_BYTES_MAX).contains(&boundary.len());
        if !fits || boundary.ends_with(b" ") || !boundary.iter().all(|byte| is_allowed(*byte)) {
            return None;
        }
        Some(Multipart {
            delimiter: [b"\r\n--", boundary].concat(),
            limits,
            // The first delimiter needs no CR LF before it.
            phase: Phase::Preamble {
                matched: 2,
                dropped: 0,
            },
            parts: 0,
            head: Vec::new(),
            part: FormPart {
                name: String::new(),
                file_name: None,
                content_type: None,
            },
        })
    }

    /// For the body of `request`, if its type is `multipart/form-data` with a boundary.
    pub fn of(request: &Request<'_>, limits: FormLimits) -> Option<Multipart> {
        if !request.has_media_type("multipart/form-data") {
            return None;
        }
        let boundary = parameter(request.field("content-type")?, "boundary").ok()??;
        Multipart::new(&boundary, limits)
    }

    /// What comes next in `piece`, from which it is taken. `None`: all of it was taken.
    ///
    /// # Errors
    /// The form cannot be read. Each further call says the same.
    pub fn next<'s, 'p: 's>(
        &'s mut self,
        piece: &mut &'p [u8],
    ) -> Result<Option<FormEvent<'s>>, FormError> {
        match self.advance(piece) {
            Ok(None) => Ok(None),
            Ok(Some(Found::Part)) => Ok(Some(FormEvent::Part(&self.part))),
            Ok(Some(Found::Data(data))) => Ok(Some(FormEvent::Data(data))),
            // What was taken for a delimiter is none.
            Ok(Some(Found::Delimiter(from, to))) => {
                Ok(Some(FormEvent::Data(&self.delimiter[from..to])))
            }
            Ok(Some(Found::End)) => Ok(Some(FormEvent::End)),
            Err(error) => {
                self.phase = Phase::Failed(error);
                Err(error)
            }
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// The form has not.
    pub fn finish(&self) -> Result<(), FormError> {
        match self.phase {
            Phase::Epilogue => Ok(()),
            Phase::Failed(error) => Err(error),
            _ => Err(FormError::Incomplete),
        }
    }

    fn advance<'p>(&mut self, piece: &mut &'p [u8]) -> Result<Option<Found<'p>>, FormError> {
        loop {
            match self.phase {
                Phase::Failed(error) => return Err(error),
                Phase::Ended => {
                    self.phase = Phase::Delimited;
                    return Ok(Some(Found::End));
                }
                _ if piece.is_empty() => return Ok(None),
                Phase::Preamble { matched, dropped } => {
                    self.pass_preamble(piece, matched, dropped)?;
                }
                Phase::Delimited => self.end_delimiter(piece)?,
                Phase::Head => {
                    if self.take_head(piece)? {
                        return Ok(Some(Found::Part));
                    }
                }
                Phase::Data { matched: 0, .. } => {
                    let until = piece.iter().position(|byte| *byte == b'\r');
                    let (data, rest) = piece.split_at(until.unwrap_or(piece.len()));
                    *piece = rest;
                    if !rest.is_empty() {
                        *piece = &rest[1..];
                        self.phase = Phase::Data {
                            from: 0,
                            matched: 1,
                        };
                    }
                    if !data.is_empty() {
                        return Ok(Some(Found::Data(data)));
                    }
                }
                Phase::Data { from, matched } => {
                    let matched = matched + self.matches(piece, matched);
                    if matched == self.delimiter.len() {
                        self.phase = Phase::Ended;
                    } else if piece.is_empty() {
                        self.phase = Phase::Data { from, matched };
                    } else {
                        self.phase = Phase::Data {
                            from: 0,
                            matched: 0,
                        };
                        if from < matched {
                            return Ok(Some(Found::Delimiter(from, matched)));
                        }
                    }
                }
                Phase::Epilogue => *piece = &[],
            }
        }
    }

    /// Takes what goes on with the delimiter, of which `matched` bytes were received, and returns how much
    /// that was.
    fn matches(&self, piece: &mut &[u8], matched: usize) -> usize {
        let more = std::iter::zip(&self.delimiter[matched..], piece.iter())
            .take_while(|(wanted, found)| wanted == found)
            .count();
        *piece = &piece[more..];
        more
    }

    fn pass_preamble(
        &mut self,
        piece: &mut &[u8],
        matched: usize,
        dropped: usize,
    ) -> Result<(), FormError> {
        let matched = matched + self.matches(piece, matched);
        if matched == self.delimiter.len() {
            self.phase = Phase::Delimited;
            return Ok(());
        }
        if piece.is_empty() {
            self.phase = Phase::Preamble { matched, dropped };
            return Ok(());
        }
        // One byte that is none of the delimiter, unless that begins here.
        let is_front = piece[0] == self.delimiter[0];
        let dropped = dropped + matched + usize::from(!is_front);
        *piece = &piece[usize::from(!is_front)..];
        if dropped > self.limits.head_bytes_max {
            return Err(FormError::TooLong);
        }
        self.phase = Phase::Preamble {
            matched: 0,
            dropped,
        };
        Ok(())
    }

    /// Takes the rest of a delimiter's line: two hyphens behind the last one, else blanks and CR LF.
    fn end_delimiter(&mut self, piece: &mut &[u8]) -> Result<(), FormError> {
        let [byte, rest @ ..] = *piece else {
            return Ok(());
        };
        *piece = rest;
        self.head.push(*byte);
        match &self.head[..] {
            b"-" => {}
            b"--" => {
                self.head.clear();
                self.phase = Phase::Epilogue;
            }
            [blanks @ .., b'\r', b'\n'] if blanks.iter().all(is_blank) => {
                self.head.clear();
                self.parts += 1;
                if self.parts > self.limits.parts_max {
                    return Err(FormError::TooManyParts);
                }
                self.phase = Phase::Head;
            }
            [blanks @ .., b'\r'] | blanks if blanks.iter().all(is_blank) => {
                if self.head.len() > self.limits.head_bytes_max {
                    return Err(FormError::TooLong);
                }
            }
            _ => return Err(FormError::Malformed),
        }
        Ok(())
    }

    /// Takes some of the head of a part. True: that is complete.
    fn take_head(&mut self, piece: &mut &[u8]) -> Result<bool, FormError> {
        // With the empty line that ends it.
        let room = self.limits.head_bytes_max.saturating_sub(self.head.len());
        for (at, byte) in piece.iter().enumerate() {
            if at == room {
                return Err(FormError::TooLong);
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") || self.head == b"\r\n" {
                *piece = &piece[at + 1..];
                self.part = part_of(&self.head, &self.limits)?;
                self.head.clear();
                // An empty content may leave out the CR LF of the delimiter (RFC 2046 section 5.1.1).
                self.phase = Phase::Data {
                    from: 2,
                    matched: 2,
                };
                return Ok(true);
            }
        }
        *piece = &[];
        Ok(false)
    }
}

/// What was found.
enum Found<'p> {
    Part,
    Data(&'p [u8]),
    /// These bytes of the delimiter are data.
    Delimiter(usize, usize),
    End,
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'a> Request<'a> {
    /// The parts of the body and their contents, if its type is `multipart/form-data`. They must be in memory:
    /// a form that may be larger is read by [`Multipart`] in a [`Sink`](crate::Sink).
    ///
    /// # Errors
    /// The form cannot be read; [`FormError::status`] is what to answer.
    pub fn multipart(&self, limits: FormLimits) -> Option<Result<FormParts<'a>, FormError>> {
        let form = Multipart::of(self, limits)?;
        Some(whole(form, self.body))
    }
}

fn whole(mut form: Multipart, body: &[u8]) -> Result<FormParts<'_>, FormError> {
    let mut parts = Vec::new();
    let (mut rest, mut from, mut bytes) = (body, 0, 0);
    let mut part = None;
    loop {
        match form.next(&mut rest)? {
            None => break,
            Some(FormEvent::Part(found)) => {
                part = Some(found.clone());
                bytes = 0;
                from = body.len() - rest.len();
            }
            Some(FormEvent::Data(data)) => bytes += data.len(),
            Some(FormEvent::End) => {
                let part = part.take().ok_or(FormError::Malformed)?;
                parts.push((part, &body[from..from + bytes]));
            }
        }
    }
    form.finish()?;
    Ok(parts)
}
