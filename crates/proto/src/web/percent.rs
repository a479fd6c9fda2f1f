//! Percent-encoding (RFC 3986 section 2.1), undone once.

/// Why a path cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecodable {
    /// `%` without two hexadecimal digits behind it.
    Malformed,
    /// More bytes than there is room for.
    TooLong,
}

/// Decodes `text` into `room` and returns the part that it fills. What was encoded twice stays
/// encoded once; `+` is itself, as everywhere outside of forms.
///
/// # Errors
/// A broken escape, or more bytes than `room` has.
pub fn decode<'r>(text: &str, room: &'r mut [u8]) -> Result<&'r [u8], Undecodable> {
    let mut rest = text.as_bytes();
    let mut bytes = 0;
    while let [first, tail @ ..] = rest {
        let byte;
        (byte, rest) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (digit(*high)? << 4 | digit(*low)?, tail),
            (b'%', _) => return Err(Undecodable::Malformed),
            _ => (*first, tail),
        };
        *room.get_mut(bytes).ok_or(Undecodable::TooLong)? = byte;
        bytes += 1;
    }
    Ok(&room[..bytes])
}

fn digit(byte: u8) -> Result<u8, Undecodable> {
    let value = char::from(byte).to_digit(16);
    value.map(|value| value as u8).ok_or(Undecodable::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_exactly() {
        let mut room = [0; 8];
        for (text, bytes) in [
            ("", &b""[..]),
            ("abc", b"abc"),
            ("a%20b", b"a b"),
            ("%2e%2E", b".."),
            ("%252e", b"%2e"),
            ("%00%ff", b"\0\xff"),
            ("a+b", b"a+b"),
            ("12345678", b"12345678"),
        ] {
            assert_eq!(decode(text, &mut room), Ok(bytes), "{text}");
        }
        for text in ["%", "%2", "%zz", "a%", "%%20", "%+1", "%\u{e9}"] {
            let decoded = decode(text, &mut room);
            assert_eq!(decoded, Err(Undecodable::Malformed), "{text}");
        }
        assert_eq!(decode("123456789", &mut room), Err(Undecodable::TooLong));
        assert_eq!(decode("12345678%39", &mut room), Err(Undecodable::TooLong));
    }
}
