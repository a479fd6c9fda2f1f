//! The line protocol of UNP chapter 30: an ASCII number and a newline; that many bytes back.

use crate::Limits;
use crate::head::Parsed;

/// The bytes that are sent back, over and over.
pub(crate) const PATTERN: &[u8; 64] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";

/// Parses one line: its length and the bytes it asks for. A refusal has no reply in this protocol.
pub(crate) fn parse(buffer: &[u8], limits: &Limits) -> Parsed<(usize, u64)> {
    let window = &buffer[..buffer.len().min(limits.unp_line_bytes_max)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() < limits.unp_line_bytes_max {
            Parsed::Partial
        } else {
            Parsed::Refused(400)
        };
    };
    let line = window[..end].trim_ascii();
    if line.is_empty() || !line.iter().all(u8::is_ascii_digit) {
        return Parsed::Refused(400);
    }
    let number = line.iter().fold(0u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    match number {
        0 => Parsed::Refused(400),
        _ if number > limits.unp_reply_bytes_max => Parsed::Refused(400),
        _ => Parsed::Complete((end + 1, number)),
    }
}
