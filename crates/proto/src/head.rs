//! The head of a request: httparse checks the grammar, and this file the rules beyond it.
//!
//! A message that could be read in two ways is refused (RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3,
//! 11.2). Request smuggling works by making a proxy and a server read one message differently.

use std::mem::MaybeUninit;

use crate::limits::FIELDS_CAP;
use crate::target::{self, Target};
use crate::{Limits, Method};

/// What the front of the buffer contains.
#[derive(Debug)]
pub(crate) enum Parsed<T> {
    /// All of it.
    Complete(T),
    /// A part: more must be received.
    Partial,
    /// Something that is refused with this status.
    Refused(u16),
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// Room for the fields of one head, on the caller's stack.
pub(crate) type Fields<'a, const N: usize> = [MaybeUninit<httparse::Header<'a>>; N];

/// Room for the fields of every head that is allowed. Not initialised, so it costs nothing by itself.
pub(crate) fn fields<'a>() -> Fields<'a, FIELDS_CAP> {
    [const { MaybeUninit::uninit() }; FIELDS_CAP]
}

/// Room for the fields that heads usually have. Room for every head is a page of stack, and functions
/// called with it would use another page.
pub(crate) fn few_fields<'a>() -> Fields<'a, 32> {
    [const { MaybeUninit::uninit() }; 32]
}

/// A head that has passed all checks.
#[derive(Debug)]
pub(crate) struct Head<'f, 'b> {
    /// Its length, including empty lines before it, bytes.
    pub bytes: usize,
    pub method: Method<'b>,
    pub target: Target<'b>,
    pub minor_version: u8,
    pub fields: &'f [httparse::Header<'b>],
    pub framing: Framing,
    /// Another request may follow on the connection.
    pub persistent: bool,
    pub expects_continue: bool,
}

/// Parses the head at the front of `buffer`. `None`: it has more fields than `room`, and the limits allow
/// more.
///
/// The result does not depend on what follows the byte that decides it. So the reply is the same however
/// the input is split.
pub(crate) fn parse<'f, 'b>(
    buffer: &'b [u8],
    room: &'f mut [MaybeUninit<httparse::Header<'b>>],
    limits: &Limits,
) -> Option<Parsed<Head<'f, 'b>>> {
    let blank = match empty_lines(buffer, limits.empty_lines_max) {
        Parsed::Complete(bytes) => bytes,
        Parsed::Partial => return Some(Parsed::Partial),
        Parsed::Refused(status) => return Some(Parsed::Refused(status)),
    };
    let rest = &buffer[blank..];
    let window = &rest[..rest.len().min(limits.head_bytes_max)];
    let mut request = httparse::Request::new(&mut []);
    let fields_max = limits.fields_max.min(FIELDS_CAP);
    let room_for = room.len().min(fields_max);
    let parsed = match httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        window,
        &mut room[..room_for],
    ) {
        Err(httparse::Error::TooManyHeaders) if room_for < fields_max => return None,
        Ok(httparse::Status::Complete(bytes)) if is_clean(&window[..bytes], limits) => {
            check(&request, bytes, limits).map_or_else(Parsed::Refused, |mut head| {
                head.bytes += blank;
                head.fields = request.headers;
                Parsed::Complete(head)
            })
        }
        Ok(httparse::Status::Partial)
            if rest.len() < line_bytes_max(limits) && !has_bare_newline(window) =>
        {
            Parsed::Partial
        }
        _ => parse_slowly(rest, window, limits),
    };
    Some(parsed)
}

/// Longest request line, bytes. It is a part of the head, so the limit of the head holds for it too.
fn line_bytes_max(limits: &Limits) -> usize {
    limits.line_bytes_max.min(limits.head_bytes_max)
}

/// Length of the empty lines before a request line.
fn empty_lines(buffer: &[u8], max: usize) -> Parsed<usize> {
    let mut bytes = 0;
    for _ in 0..=max {
        match &buffer[bytes..] {
            [b'\r', b'\n', ..] => bytes += 2,
            [] | [b'\r'] => return Parsed::Partial,
            [b'\r' | b'\n', ..] => return Parsed::Refused(400),
            _ => return Parsed::Complete(bytes),
        }
    }
    Parsed::Refused(400)
}

/// Whether a head that httparse accepts has CR LF at the end of all lines, and a request line within its
/// limit.
fn is_clean(head: &[u8], limits: &Limits) -> bool {
    !has_bare_newline(head)
        && (head.len() <= limits.line_bytes_max || has_newline(&head[..limits.line_bytes_max]))
}

/// Out of line, so that what few heads need costs the others nothing.
#[inline(never)]
fn has_newline(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n')
}

/// Whether there is a LF without a CR before it. httparse accepts that as the end of a line, but a proxy
/// might read it otherwise.
///
/// Compares eight bytes at a time, as numbers, since compilers do not vectorise a loop over bytes well.
/// There is no early exit. The last eight bytes may overlap those before them.
#[inline]
fn has_bare_newline(bytes: &[u8]) -> bool {
    let Some((first, after)) = bytes.split_first() else {
        return false;
    };
    let before = &bytes[..after.len()];
    let bare = match (before.last_chunk(), after.last_chunk()) {
        (Some(last_before), Some(last_after)) => {
            let (before, after) = (before.as_chunks().0, after.as_chunks().0);
            std::iter::zip(before, after).fold(
                bare_newlines(last_before, last_after),
                |bare, (before, after)| bare | bare_newlines(before, after),
            ) != 0
        }
        _ => std::iter::zip(before, after).any(|(&cr, &lf)| lf == b'\n' && cr != b'\r'),
    };
    *first == b'\n' || bare
}

/// Has the high bit of each byte where `after` has a LF and `before` has no CR.
#[inline]
fn bare_newlines(before: &[u8; 8], after: &[u8; 8]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    // For a byte other than zero, the sum or the byte itself has the high bit.
    let are = |bytes: &[u8; 8], wanted: u8| {
        let zero = u64::from_ne_bytes(*bytes) ^ u64::from_ne_bytes([wanted; 8]);
        !(((zero & LOW) + LOW) | zero | LOW)
    };
    are(after, b'\n') & !are(before, b'\r')
}

fn bare_newline(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|&at| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r'))
}

/// For heads that are neither complete and valid, nor incomplete and valid so far: finds the first byte
/// that decides the result.
#[cold]
fn parse_slowly<'f, 'b>(rest: &[u8], window: &[u8], limits: &Limits) -> Parsed<Head<'f, 'b>> {
    let line_window = &rest[..rest.len().min(line_bytes_max(limits))];
    if !has_newline(line_window) && rest.len() >= line_bytes_max(limits) {
        return Parsed::Refused(first_error(line_window, limits).unwrap_or(414));
    }
    if let Some(at) = bare_newline(window) {
        return Parsed::Refused(first_error(&window[..at], limits).unwrap_or(400));
    }
    match first_error(window, limits) {
        Some(status) => Parsed::Refused(status),
        None if rest.len() >= limits.head_bytes_max => Parsed::Refused(431),
        None => Parsed::Partial,
    }
}

/// The status for the error that httparse finds in `bytes`, if it finds one.
fn first_error(bytes: &[u8], limits: &Limits) -> Option<u16> {
    let mut room = fields();
    let room = &mut room[..limits.fields_max.min(FIELDS_CAP)];
    let mut request = httparse::Request::new(&mut []);
    match httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        bytes,
        room,
    ) {
        Ok(_) => None,
        Err(httparse::Error::TooManyHeaders) => Some(431),
        Err(httparse::Error::Version) => version_status(bytes),
        Err(_) => Some(400),
    }
}

/// 505 for another version of HTTP, 400 for any other text, `None` while it may become either.
fn version_status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or(bytes);
    let version = line.splitn(3, |&byte| byte == b' ').nth(2).unwrap_or(line);
    let shape = b"HTTP/d.d";
    let fits = version.len() <= shape.len()
        && version.iter().zip(shape).all(|(&byte, &want)| {
            if want == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == want
            }
        });
    match (fits, version.len() == shape.len()) {
        (true, true) => Some(505),
        (true, false) if line.len() == bytes.len() => None,
        _ => Some(400),
    }
}

/// Checks the fields that frame a message.
fn check<'f, 'b>(
    request: &httparse::Request<'_, 'b>,
    bytes: usize,
    limits: &Limits,
) -> Result<Head<'f, 'b>, u16> {
    // httparse sets these in every complete parse.
    let (Some(method), Some(path), Some(minor_version)) =
        (request.method, request.path, request.version)
    else {
        return Err(400);
    };
    let target = target::parse(method, path, limits.host_bytes_max).ok_or(400u16)?;
    let (mut host, mut length, mut chunked, mut close, mut keep) =
        (false, None, false, false, false);
    let (mut expects_continue, mut expects_more) = (false, false);
    let mut types = 0;
    for field in &*request.headers {
        let value = || field.value.trim_ascii();
        match field.name.len() {
            4 if is_host_field(field) => {
                if host || !target::is_host(value(), limits.host_bytes_max) {
                    return Err(400);
                }
                host = true;
            }
            6 if is_named(field, "expect") => {
                // A list, on one line or several (RFC 9110 sections 5.6.1 and 10.1.1).
                for expected in value().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    let known = expected.eq_ignore_ascii_case(b"100-continue");
                    expects_continue |= known;
                    expects_more |= !known && !expected.is_empty();
                }
            }
            10 if is_named(field, "connection") => {
                for option in value().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            // Two readers could take two of them (RFC 9110 section 5.3: it is no list).
            12 if is_named(field, "content-type") => types += 1,
            14 if is_named(field, "content-length") => {
                let earlier = length.replace(content_length(value())?);
                if earlier.is_some() {
                    return Err(400);
                }
            }
            17 if is_named(field, "transfer-encoding") => {
                if chunked || minor_version == 0 {
                    return Err(400);
                }
                transfer_coding(value())?;
                chunked = true;
            }
            _ => {}
        }
    }
    if (minor_version == 1 && !host) || (chunked && length.is_some()) || types > 1 {
        return Err(400);
    }
    if minor_version == 1 && expects_more {
        return Err(417);
    }
    Ok(Head {
        bytes,
        method: Method::parse(method),
        target,
        minor_version,
        fields: &[],
        framing: if chunked {
            Framing::Chunked
        } else {
            Framing::Length(length.unwrap_or(0))
        },
        persistent: !close && (minor_version == 1 || keep),
        expects_continue: expects_continue && minor_version == 1,
    })
}

/// Every request has `Host`, so it is compared without a loop.
#[inline]
fn is_host_field(field: &httparse::Header<'_>) -> bool {
    matches!(
        field.name.as_bytes(),
        [b'H' | b'h', b'O' | b'o', b'S' | b's', b'T' | b't']
    )
}

/// Compares the name of a field. Not inlined: six copies would put code that every request runs on more
/// pages.
#[inline(never)]
fn is_named(field: &httparse::Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// `Content-Length = 1*DIGIT`. A number beyond the largest integer becomes the largest integer, which is
/// above every limit.
#[inline(never)]
fn content_length(value: &[u8]) -> Result<usize, u16> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(400);
    }
    let digits = value.iter();
    Ok(digits.fold(0usize, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    }))
}

/// Only `chunked` alone is served. Other codings are refused with 501. What is not a list of tokens is
/// refused with 400, and so is `chunked` more than once or not as the last one (RFC 9112 sections 6.1
/// and 7).
#[inline(never)]
fn transfer_coding(value: &[u8]) -> Result<(), u16> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let codings = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let is_token = |coding: &[u8]| {
        !coding.is_empty()
            && coding
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let mut chunked_before_last = false;
    let mut last_chunked = false;
    for coding in codings() {
        chunked_before_last |= last_chunked;
        last_chunked = coding.eq_ignore_ascii_case(b"chunked");
        if !is_token(coding) {
            return Err(400);
        }
    }
    Err(if chunked_before_last { 400 } else { 501 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The function that compares eight bytes at a time finds what a search byte by byte finds, in heads of
    /// all lengths and with newlines in all places.
    #[test]
    fn a_bare_newline_is_found_at_every_place() {
        for length in 0..40 {
            for (place, before) in (0..length).flat_map(|at| b"x\r\n\x8a".map(|byte| (at, byte))) {
                let mut head = vec![b'x'; length];
                head[place] = b'\n';
                if let Some(at) = place.checked_sub(1) {
                    head[at] = before;
                }
                let wanted = bare_newline(&head).is_some();
                assert_eq!(has_bare_newline(&head), wanted, "{head:?}");
            }
            for byte in 0..=u8::MAX {
                let head = vec![byte; length];
                assert_eq!(has_bare_newline(&head), bare_newline(&head).is_some());
            }
        }
    }
}
