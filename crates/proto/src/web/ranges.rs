//! `Range` (RFC 9110 section 14): which bytes of a content the client asks for.

use std::ops::Range;

use crate::{Method, Request};

/// Most ranges of one request. One that asks for more is answered with the whole (RFC 9110 section 14.2
/// allows that): many small ranges cost a server more than the whole.
pub const RANGES_MAX: usize = 16;

/// Which bytes of a content are to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// All, as without `Range`.
    Whole,
    /// One piece, with 206.
    One(Range<u64>),
    /// Several that do not overlap, in the order in which they were asked for, with 206 and
    /// `multipart/byteranges`.
    Several(Vec<Range<u64>>),
    /// None that exists: 416.
    Unsatisfiable,
}

/// The ranges that the field `value` asks for, of a content of `bytes` bytes. What is malformed, of another
/// unit, too many, or overlaps, is ignored: the client gets the whole.
pub(crate) fn parse(value: &[u8], bytes: u64) -> Ranges {
    let Some((unit, list)) = value.split_at_checked(6) else {
        return Ranges::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Ranges::Whole;
    }
    let (mut found, mut asked) = (Vec::new(), 0);
    for item in list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        if item.is_empty() {
            continue;
        }
        asked += 1;
        match one(item, bytes) {
            _ if asked > RANGES_MAX => return Ranges::Whole,
            None => return Ranges::Whole,
            Some(range) if range.is_empty() => {}
            Some(range) => found.push(range),
        }
    }
    let overlap = found.iter().enumerate().any(|(index, a)| {
        let mut others = found[..index].iter();
        others.any(|b| a.start < b.end && b.start < a.end)
    });
    match &found[..] {
        _ if asked == 0 || overlap => Ranges::Whole,
        [] => Ranges::Unsatisfiable,
        [only] => Ranges::One(only.clone()),
        _ => Ranges::Several(found),
    }
}

/// `first-last`, `first-` or `-count`; empty if it begins behind the end. `None`: malformed.
fn one(item: &[u8], bytes: u64) -> Option<Range<u64>> {
    let dash = item.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&item[..dash], &item[dash + 1..]);
    if first.is_empty() {
        return Some(bytes.saturating_sub(number(last)?)..bytes);
    }
    let first = number(first)?;
    let end = match last {
        [] => bytes,
        last => match number(last)? {
            last if last < first => return None,
            last => last.saturating_add(1).min(bytes),
        },
    };
    Some(first.min(end)..end)
}

/// Digits; a number beyond the largest integer is the largest integer.
fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| {
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

impl Request<'_> {
    /// Which bytes of a content of `bytes` bytes are asked for. Only GET has ranges (RFC 9110 section 14.2).
    pub(crate) fn ranges(&self, bytes: u64) -> Ranges {
        let mut lines = self
            .fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case("range"));
        match (self.method, lines.next(), lines.next()) {
            (Method::Get, Some((_, value)), None) => parse(value, bytes),
            _ => Ranges::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_hundred_bytes() {
        for (text, expected) in [
            ("bytes=0-0", Ranges::One(0..1)),
            ("bytes=0-", Ranges::One(0..100)),
            ("Bytes=99-200", Ranges::One(99..100)),
            ("bytes=-1", Ranges::One(99..100)),
            ("bytes=-1000", Ranges::One(0..100)),
            ("bytes=10-19, 30-39", Ranges::Several(vec![10..20, 30..40])),
            ("bytes=30-39,,10-19", Ranges::Several(vec![30..40, 10..20])),
            ("bytes=0-9,500-", Ranges::One(0..10)),
            ("bytes=100-", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999999-", Ranges::Unsatisfiable),
            ("bytes=0-9,5-14", Ranges::Whole),
            ("bytes=9-0", Ranges::Whole),
            ("bytes=", Ranges::Whole),
            ("bytes=a-b", Ranges::Whole),
            ("bytes=-", Ranges::Whole),
            ("bytes=1", Ranges::Whole),
            ("bytes=+1-2", Ranges::Whole),
            ("lines=0-1", Ranges::Whole),
            ("by", Ranges::Whole),
        ] {
            assert_eq!(parse(text.as_bytes(), 100), expected, "{text}");
        }
        let many: Vec<_> = (0..RANGES_MAX + 1)
            .map(|at| format!("{}-{}", at * 3, at * 3))
            .collect();
        assert_eq!(
            parse(format!("bytes={}", many.join(",")).as_bytes(), 100),
            Ranges::Whole
        );
        assert_eq!(parse(b"bytes=0-", 0), Ranges::Unsatisfiable);
    }
}
