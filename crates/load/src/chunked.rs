//! Decoding a chunked body (RFC 9112 section 7.1), however its bytes are split.

/// Most bytes of one line of framing: a size with its extensions, or a trailer field.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// The position of a decoder in the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a chunk size.
    Size { digits: u8, size: u64 },
    /// In what follows the size on its line.
    Extension { size: u64, bytes: usize },
    /// After the carriage return of the size line.
    SizeEnd { size: u64 },
    /// In the data, that many bytes to come.
    Data(u64),
    /// After the data: the carriage return, then the line feed.
    DataEnd { returned: bool },
    /// At the beginning of a trailer line; `returned` after a carriage return there.
    TrailerStart { returned: bool },
    /// Within a trailer line.
    Trailer { bytes: usize },
}

/// What a decoder found next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Bytes of the body.
    Data(&'a [u8]),
    /// The end of the body, trailers included.
    End,
    /// The input is used up.
    More,
    /// Not a chunked body.
    Malformed,
}

/// A decoder of one chunked body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder(State);

impl Decoder {
    /// At the beginning of a body.
    pub(crate) fn new() -> Self {
        Self(State::Size { digits: 0, size: 0 })
    }

    /// Consumes input up to the next piece.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Piece<'a> {
        while let Some(&byte) = input.first() {
            if let State::Data(left) = self.0 {
                let n = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let (data, rest) = input.split_at(n);
                *input = rest;
                self.0 = match left - n as u64 {
                    0 => State::DataEnd { returned: false },
                    left => State::Data(left),
                };
                return Piece::Data(data);
            }
            *input = &input[1..];
            match (self.0, byte) {
                (State::TrailerStart { returned: true }, b'\n') => return Piece::End,
                (state, byte) => match state.after(byte) {
                    Some(state) => self.0 = state,
                    None => return Piece::Malformed,
                },
            }
        }
        Piece::More
    }
}

impl State {
    /// The state after one byte of framing; `None` when the byte cannot be there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeEnd { size },
            (Self::Size { digits: 1.., size }, b';' | b' ' | b'\t') => {
                Self::Extension { size, bytes: 0 }
            }
            (
                Self::Size {
                    digits: digits @ 0..16,
                    size,
                },
                byte,
            ) => {
                let digit = (byte as char).to_digit(16)?;
                Self::Size {
                    digits: digits + 1,
                    size: size << 4 | u64::from(digit),
                }
            }
            (Self::Extension { size, .. }, b'\r') => Self::SizeEnd { size },
            (Self::Extension { size, bytes }, byte) if byte != b'\n' && bytes < LINE_BYTES_MAX => {
                Self::Extension {
                    size,
                    bytes: bytes + 1,
                }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Self::TrailerStart { returned: false },
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataEnd { returned: false }, b'\r') => Self::DataEnd { returned: true },
            (Self::DataEnd { returned: true }, b'\n') => Self::Size { digits: 0, size: 0 },
            (Self::TrailerStart { returned: false }, b'\r') => {
                Self::TrailerStart { returned: true }
            }
            (Self::TrailerStart { returned: false }, _) => Self::Trailer { bytes: 1 },
            (Self::Trailer { .. }, b'\n') => Self::TrailerStart { returned: false },
            (Self::Trailer { bytes }, _) if bytes < LINE_BYTES_MAX => {
                Self::Trailer { bytes: bytes + 1 }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut input: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut decoder = Decoder::new();
        let mut body = Vec::new();
        loop {
            match decoder.next(&mut input) {
                Piece::Data(data) => body.extend_from_slice(data),
                Piece::End => return Some((body, input.len())),
                Piece::More | Piece::Malformed => return None,
            }
        }
    }

    #[test]
    fn chunks_are_joined_and_trailers_skipped() {
        let wire = b"5;x=y\r\nhello\r\nA\r\n, chunked!\r\n0\r\nX: y\r\n\r\nrest";
        assert_eq!(decode(wire), Some((b"hello, chunked!".to_vec(), 4)));
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in [
            "g\r\n",
            "\r\n",
            "5\nhello",
            "5\r\nhelloX\r\n",
            "0x5\r\n",
            "00000000000000001\r\n",
        ] {
            let mut input = wire.as_bytes();
            let mut decoder = Decoder::new();
            let mut last = decoder.next(&mut input);
            while matches!(last, Piece::Data(_)) {
                last = decoder.next(&mut input);
            }
            assert_eq!(last, Piece::Malformed, "{wire:?}");
        }
    }
}
