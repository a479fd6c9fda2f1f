//! The chunked coding (RFC 9112 section 7.1), byte by byte, exactly.

use crate::Limits;

/// How a piece of chunked body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All input was taken and the body goes on.
    More,
    /// The body and its trailers are whole; what follows is the next request.
    Whole,
    /// To be refused with this status.
    Refused(u16),
}

/// Where in the grammar the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// `1*HEXDIG`; how many were seen.
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

/// Where in a chunk extension the next byte stands.
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

/// A decoder of one body. Trailers are checked and dropped (RFC 9110 section 6.5.1 allows it).
#[derive(Debug)]
pub(crate) struct Chunked {
    at: At,
    /// Bytes left of the chunk, or its size while that is read.
    size: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

/// Most hexadecimal digits of a chunk size: what 64 bits hold.
const SIZE_DIGITS_MAX: u8 = 16;

impl Chunked {
    pub(crate) fn new() -> Chunked {
        Chunked {
            at: At::Size(0),
            size: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// Takes bytes from `input`, appends the data among them to `body` (whose first `head_bytes`
    /// are not body), and returns how many were taken.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        head_bytes: usize,
        limits: &Limits,
    ) -> (usize, Decoded) {
        let mut taken = 0;
        while taken < input.len() {
            if self.at == At::Data {
                let piece = &input[taken..taken + self.size.min(input.len() - taken)];
                body.extend_from_slice(piece);
                taken += piece.len();
                self.size -= piece.len();
                if self.size == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            match self.step(input[taken], body.len() - head_bytes, limits) {
                Ok(at) => self.at = at,
                Err(Decoded::Whole) => return (taken + 1, Decoded::Whole),
                Err(end) => return (taken, end),
            }
            taken += 1;
        }
        (taken, Decoded::More)
    }

    /// One byte of grammar.
    fn step(&mut self, byte: u8, body_bytes: usize, limits: &Limits) -> Result<At, Decoded> {
        const BAD: Decoded = Decoded::Refused(400);
        match (self.at, byte) {
            (At::Size(digits), _) if byte.is_ascii_hexdigit() => {
                self.digit(byte, digits, body_bytes, limits)
            }
            (At::Size(1..), b'\r') => Ok(At::SizeNewline),
            (At::Size(1..), b';' | b' ' | b'\t') => self.extension(Extension::Gap, byte, limits),
            (At::Extension(at), b'\r') if at.is_whole() => Ok(At::SizeNewline),
            (At::Extension(at), _) => self.extension(at, byte, limits),
            (At::SizeNewline, b'\n') => Ok(if self.size == 0 {
                At::TrailerStart
            } else {
                At::Data
            }),
            (At::DataReturn, b'\r') => Ok(At::DataNewline),
            (At::DataNewline, b'\n') => Ok(At::Size(0)),
            (At::TrailerStart, b'\r') => Ok(At::LastNewline),
            (At::LastNewline, b'\n') => Err(Decoded::Whole),
            (At::TrailerStart, _) => {
                self.trailer_fields += 1;
                if self.trailer_fields > limits.trailer_fields_max {
                    return Err(Decoded::Refused(431));
                }
                if is_token_byte(byte) {
                    self.trailer(At::TrailerName, limits)
                } else {
                    Err(BAD)
                }
            }
            (At::TrailerName, b':') => self.trailer(At::TrailerValue, limits),
            (At::TrailerName, _) if is_token_byte(byte) => self.trailer(At::TrailerName, limits),
            (At::TrailerValue, b'\r') => Ok(At::TrailerNewline),
            (At::TrailerValue, b' '..=b'~' | b'\t' | 0x80..) => {
                self.trailer(At::TrailerValue, limits)
            }
            (At::TrailerNewline, b'\n') => Ok(At::TrailerStart),
            _ => Err(BAD),
        }
    }

    fn digit(
        &mut self,
        byte: u8,
        digits: u8,
        body_bytes: usize,
        limits: &Limits,
    ) -> Result<At, Decoded> {
        if digits == SIZE_DIGITS_MAX {
            return Err(Decoded::Refused(400));
        }
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        let before = if digits == 0 { 0 } else { self.size };
        self.size = before.saturating_mul(16).saturating_add(usize::from(value));
        if self.size > limits.body_bytes_max - body_bytes {
            return Err(Decoded::Refused(413));
        }
        Ok(At::Size(digits + 1))
    }

    fn extension(&mut self, at: Extension, byte: u8, limits: &Limits) -> Result<At, Decoded> {
        self.extension_bytes += 1;
        if self.extension_bytes > limits.chunk_extension_bytes_max {
            return Err(Decoded::Refused(413));
        }
        at.next(byte)
            .map(At::Extension)
            .ok_or(Decoded::Refused(400))
    }

    fn trailer(&mut self, at: At, limits: &Limits) -> Result<At, Decoded> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.trailer_bytes_max {
            return Err(Decoded::Refused(431));
        }
        Ok(at)
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
