//! A decoder for the chunked coding (RFC 9112 section 7.1), which accepts nothing but its grammar.

use crate::Limits;

/// The result of decoding a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All input was consumed, and the body goes on.
    More,
    /// The body and its trailers are complete. What follows is the next request.
    Complete,
    /// The body is larger than `bytes_max`. Nothing of the digit that says so was consumed: with a larger
    /// bound, decoding goes on there.
    TooLarge,
    /// The request must be refused with this status.
    Refused(u16),
}

/// The part of the grammar to which the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `1*HEXDIG`, after so many digits.
    Size(u8),
    /// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`.
    Extension(Extension),
    /// The LF of a size line.
    SizeNewline,
    Data,
    /// CR, then LF, after the data of a chunk.
    DataReturn,
    DataNewline,
    /// The first byte of a trailer line, or of the empty one.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerNewline,
    LastNewline,
}

/// The part of a chunk extension to which the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    /// White space before a `;`.
    Gap,
    NameStart,
    Name,
    /// White space between a name and `=`, or before the next `;`.
    NameGap,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    /// After the closing quote.
    Unquoted,
}

impl Extension {
    /// Whether the line may end here.
    fn is_whole(self) -> bool {
        matches!(
            self,
            Extension::Name | Extension::Value | Extension::Unquoted
        )
    }

    fn next(self, byte: u8) -> Option<Extension> {
        use Extension::{
            Escaped, Gap, Name, NameGap, NameStart, Quoted, Unquoted, Value, ValueStart,
        };
        let is_quotable = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        match (self, byte) {
            (Quoted, b'"') => Some(Unquoted),
            (Quoted, b'\\') => Some(Escaped),
            (Quoted | Escaped, _) => is_quotable.then_some(Quoted),
            (NameStart | ValueStart, b' ' | b'\t') => Some(self),
            (Name | NameGap, b' ' | b'\t') => Some(NameGap),
            (Gap | Value | Unquoted, b' ' | b'\t') => Some(Gap),
            (Gap | Name | NameGap | Value | Unquoted, b';') => Some(NameStart),
            (Name | NameGap, b'=') => Some(ValueStart),
            (ValueStart, b'"') => Some(Quoted),
            (NameStart | Name, _) if is_token_byte(byte) => Some(Name),
            (ValueStart | Value, _) if is_token_byte(byte) => Some(Value),
            _ => None,
        }
    }
}

/// Decodes one body. Trailers are checked and dropped (RFC 9110 section 6.5.1 allows that).
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// How many bytes of the chunk are missing; its size so far, while that is read.
    size: u64,
    /// Bytes of data so far.
    body_bytes: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

/// Most hexadecimal digits of a chunk size, which make 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

impl Chunked {
    pub(crate) fn new() -> Chunked {
        Chunked {
            state: State::Size(0),
            size: 0,
            body_bytes: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// Consumes bytes of `input`, and appends the data among them to `body`. The whole body may have
    /// `bytes_max` bytes. Returns how many were consumed.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        bytes_max: u64,
        limits: &Limits,
    ) -> (usize, Decoded) {
        let mut taken = 0;
        while taken < input.len() {
            if self.state == State::Data {
                let rest = &input[taken..];
                let piece = &rest[..self.size.min(rest.len() as u64) as usize];
                body.extend_from_slice(piece);
                taken += piece.len();
                self.size -= piece.len() as u64;
                self.body_bytes += piece.len() as u64;
                if self.size == 0 {
                    self.state = State::DataReturn;
                }
                continue;
            }
            match self.step(input[taken], bytes_max, limits) {
                Ok(state) => self.state = state,
                Err(Decoded::Complete) => return (taken + 1, Decoded::Complete),
                Err(end) => return (taken, end),
            }
            taken += 1;
        }
        (taken, Decoded::More)
    }

    /// Consumes a byte that is not data.
    fn step(&mut self, byte: u8, bytes_max: u64, limits: &Limits) -> Result<State, Decoded> {
        const BAD: Decoded = Decoded::Refused(400);
        match (self.state, byte) {
            (State::Size(digits), _) if byte.is_ascii_hexdigit() => {
                self.digit(byte, digits, bytes_max)
            }
            (State::Size(1..), b'\r') => Ok(State::SizeNewline),
            (State::Size(1..), b';' | b' ' | b'\t') => self.extension(Extension::Gap, byte, limits),
            (State::Extension(at), b'\r') if at.is_whole() => Ok(State::SizeNewline),
            (State::Extension(at), _) => self.extension(at, byte, limits),
            (State::SizeNewline, b'\n') => Ok(if self.size == 0 {
                State::TrailerStart
            } else {
                State::Data
            }),
            (State::DataReturn, b'\r') => Ok(State::DataNewline),
            (State::DataNewline, b'\n') => Ok(State::Size(0)),
            (State::TrailerStart, b'\r') => Ok(State::LastNewline),
            (State::LastNewline, b'\n') => Err(Decoded::Complete),
            (State::TrailerStart, _) => {
                self.trailer_fields += 1;
                if self.trailer_fields > limits.trailer_fields_max {
                    return Err(Decoded::Refused(431));
                }
                if is_token_byte(byte) {
                    self.trailer(State::TrailerName, limits)
                } else {
                    Err(BAD)
                }
            }
            (State::TrailerName, b':') => self.trailer(State::TrailerValue, limits),
            (State::TrailerName, _) if is_token_byte(byte) => {
                self.trailer(State::TrailerName, limits)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerNewline),
            (State::TrailerValue, b' '..=b'~' | b'\t' | 0x80..) => {
                self.trailer(State::TrailerValue, limits)
            }
            (State::TrailerNewline, b'\n') => Ok(State::TrailerStart),
            _ => Err(BAD),
        }
    }

    fn digit(&mut self, byte: u8, digits: u8, bytes_max: u64) -> Result<State, Decoded> {
        if digits == SIZE_DIGITS_MAX {
            return Err(Decoded::Refused(400));
        }
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        let before = if digits == 0 { 0 } else { self.size };
        let size = before.saturating_mul(16).saturating_add(u64::from(value));
        if size > bytes_max.saturating_sub(self.body_bytes) {
            return Err(Decoded::TooLarge);
        }
        self.size = size;
        Ok(State::Size(digits + 1))
    }

    fn extension(&mut self, at: Extension, byte: u8, limits: &Limits) -> Result<State, Decoded> {
        self.extension_bytes += 1;
        if self.extension_bytes > limits.chunk_extension_bytes_max {
            return Err(Decoded::Refused(413));
        }
        at.next(byte)
            .map(State::Extension)
            .ok_or(Decoded::Refused(400))
    }

    fn trailer(&mut self, state: State, limits: &Limits) -> Result<State, Decoded> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.trailer_bytes_max {
            return Err(Decoded::Refused(431));
        }
        Ok(state)
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
