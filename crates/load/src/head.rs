//! The head of a reply: parsed by httparse, or recognised as equal to the one parsed before.

use std::ops::Range;

use crate::malformed::Why;

/// Longest reply head accepted, bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields for which there is room on the stack; more of them take an allocation.
const FIELDS_USUAL: usize = 128;

/// Most fields that fit into a head: a name of one byte, a colon and an end of line.
const FIELDS_MAX: usize = HEAD_BYTES_MAX / 3;

/// How the body is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// That many bytes.
    Fixed(u64),
    /// Chunks.
    Chunked,
    /// Everything until the peer closes.
    UntilEnd,
}

/// What a head says, as far as a load generator needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// The server will close after this reply.
    pub(crate) close: bool,
}

/// The result of looking at the bytes of a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Complete {
        length: usize,
        facts: Facts,
        date: Option<Range<usize>>,
    },
    Partial,
    Malformed(Why),
}

/// Parses a head at the beginning of `input`. `bodiless` is set for replies to HEAD.
pub(crate) fn parse(input: &[u8], bodiless: bool) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_USUAL];
    match parse_with(&mut fields, input, bodiless) {
        Err(httparse::Error::TooManyHeaders) => parse_many(input, bodiless),
        Err(error) => Parsed::Malformed(error.into()),
        Ok(parsed) => parsed,
    }
}

/// The same for a head of very many fields.
#[cold]
fn parse_many(input: &[u8], bodiless: bool) -> Parsed {
    let mut fields = vec![httparse::EMPTY_HEADER; FIELDS_MAX];
    parse_with(&mut fields, input, bodiless).unwrap_or_else(|error| Parsed::Malformed(error.into()))
}

fn parse_with<'a>(
    fields: &mut [httparse::Header<'a>],
    input: &'a [u8],
    bodiless: bool,
) -> Result<Parsed, httparse::Error> {
    let mut reply = httparse::Response::new(fields);
    let mut config = httparse::ParserConfig::default();
    // What RFC 9112 sections 5.1 and 5.2 let a client take: old servers fold fields.
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    let length = match config.parse_response(&mut reply, input)? {
        httparse::Status::Complete(length) if length <= HEAD_BYTES_MAX => length,
        httparse::Status::Partial if input.len() < HEAD_BYTES_MAX => return Ok(Parsed::Partial),
        _ => return Ok(Parsed::Malformed(Why::HeadTooLong)),
    };
    Ok(match facts(&reply, input, bodiless) {
        Ok((facts, date)) => Parsed::Complete {
            length,
            facts,
            date,
        },
        Err(why) => Parsed::Malformed(why),
    })
}

/// What a complete head says, and where its date is.
fn facts(
    reply: &httparse::Response<'_, '_>,
    input: &[u8],
    bodiless: bool,
) -> Result<(Facts, Option<Range<usize>>), Why> {
    let Some(status @ 100..=999) = reply.code else {
        return Err(Why::StatusLine);
    };
    let mut content_length = None;
    let mut chunked = false;
    let (mut close, mut keep_alive) = (false, false);
    let mut date = None;
    for field in reply.headers.iter() {
        let named = |name: &str| field.name.eq_ignore_ascii_case(name);
        if named("content-length") {
            // Equal lengths may be repeated, on one line too (RFC 9110 section 8.6).
            for length in field.value.split(|&b| b == b',') {
                match digits(length.trim_ascii()) {
                    Some(n) if content_length.is_none_or(|before| before == n) => {
                        content_length = Some(n);
                    }
                    _ => return Err(Why::ContentLength),
                }
            }
        } else if named("transfer-encoding") {
            // This client offered no other coding in TE and cannot decode one.
            let coding = field.value.trim_ascii();
            if chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Why::TransferCoding);
            }
            chunked = true;
        } else if named("connection") {
            // On however many lines: close wins.
            close |= lists(field.value, b"close");
            keep_alive |= lists(field.value, b"keep-alive");
        } else if named("date") {
            let start = field.value.as_ptr().addr() - input.as_ptr().addr();
            date = Some(start..start + field.value.len());
        }
    }
    let framing = match (chunked, content_length) {
        _ if bodiless || matches!(status, 100..=199 | 204 | 304) => Framing::Fixed(0),
        (true, Some(_)) => return Err(Why::LengthAndCoding),
        (true, None) => Framing::Chunked,
        (false, Some(n)) => Framing::Fixed(n),
        (false, None) => Framing::UntilEnd,
    };
    // HTTP/1.0 closes unless it says otherwise.
    let close = close || framing == Framing::UntilEnd || (reply.version == Some(0) && !keep_alive);
    let facts = Facts {
        status,
        framing,
        close,
    };
    Ok((facts, date))
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn lists(value: &[u8], option: &[u8]) -> bool {
    value
        .split(|&b| b == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(option))
}

/// The last head that was parsed, so that an equal one is recognised by comparing bytes.
///
/// Only the value of `Date` may differ. If everything else is equal, the facts are equal as well,
/// and the head need not be parsed again.
#[derive(Debug, Default)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    date: Range<usize>,
    facts: Option<Facts>,
}

impl Template {
    /// Remembers a complete head.
    pub(crate) fn learn(&mut self, head: &[u8], facts: Facts, date: Option<Range<usize>>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        self.date = date.unwrap_or(0..0);
        self.facts = Some(facts);
    }

    /// The length and the facts of the head at the beginning of `input`, if it is the known one.
    #[inline]
    pub(crate) fn recognise(&mut self, input: &[u8]) -> Option<(usize, Facts)> {
        let facts = self.facts?;
        let length = self.bytes.len();
        let head = input.get(..length)?;
        (head == self.bytes || self.recognise_except_date(head)).then_some((length, facts))
    }

    /// Once per second the server's date changes; the new date becomes part of the template.
    fn recognise_except_date(&mut self, head: &[u8]) -> bool {
        let Range { start, end } = self.date.clone();
        let date = &head[start..end];
        // Without control characters there is no end of line in the new date.
        let same = head[..start] == self.bytes[..start]
            && head[end..] == self.bytes[end..]
            && date.iter().all(|b| matches!(b, 0x20..=0x7e));
        if same {
            self.bytes[start..end].copy_from_slice(date);
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Option<Facts> {
        match parse(text.as_bytes(), false) {
            Parsed::Complete { length, facts, .. } => {
                assert_eq!(length, text.len());
                Some(facts)
            }
            Parsed::Partial => panic!("partial: {text}"),
            Parsed::Malformed(_) => None,
        }
    }

    #[test]
    fn framing_follows_rfc_9112_section_6_3() {
        let framing = |fields: &str| {
            facts(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|f| (f.framing, f.close))
        };
        assert_eq!(
            framing("Content-Length: 5\r\n"),
            Some((Framing::Fixed(5), false))
        );
        assert_eq!(
            framing("Transfer-Encoding: chunked\r\n"),
            Some((Framing::Chunked, false))
        );
        assert_eq!(framing(""), Some((Framing::UntilEnd, true)));
        assert_eq!(
            framing("Connection: x, Close\r\nContent-Length: 0\r\n"),
            Some((Framing::Fixed(0), true))
        );
        for bad in [
            "Content-Length: +5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert_eq!(framing(bad), None, "{bad}");
        }
        assert_eq!(
            facts("HTTP/1.1 204 No\r\n\r\n").map(|f| f.framing),
            Some(Framing::Fixed(0))
        );
        assert!(facts("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").is_some_and(|f| f.close));
        assert_eq!(
            parse(b"SSH-2.0-x\r\n", false),
            Parsed::Malformed(Why::NotHttp)
        );
    }

    #[test]
    fn what_old_and_wordy_servers_send_is_read() {
        let read = |head: &str| facts(&format!("HTTP/1.{head}\r\n")).map(|f| (f.framing, f.close));
        let five = |close| Some((Framing::Fixed(5), close));
        for (head, expected) in [
            (
                "1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n",
                five(false),
            ),
            ("1 200 OK\r\nContent-Length:\r\n 5\r\n", five(false)),
            ("1 200 OK\r\nContent-Length : 5\r\n", five(false)),
            (
                "1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n",
                five(false),
            ),
            (
                "1 200\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 5\r\n",
                five(true),
            ),
            (
                "1 200\r\nConnection: keep-alive\r\nConnection: x,\r\n close\r\nContent-Length: 5\r\n",
                five(true),
            ),
            (
                "0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n",
                five(false),
            ),
            (
                "0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 5\r\n",
                five(true),
            ),
            (
                "1 200 OK\r\nTransfer-Encoding:\r\n\tchunked\r\n",
                Some((Framing::Chunked, false)),
            ),
        ] {
            assert_eq!(read(head), expected, "{head}");
        }
        for fields in [129, 1000, 9000] {
            let many = format!(
                "1 200 OK\r\n{}Content-Length: 5\r\n",
                "a: \r\n".repeat(fields)
            );
            assert_eq!(read(&many), five(false), "{fields} fields");
        }
    }

    #[test]
    fn a_malformed_head_says_why() {
        for (head, why) in [
            ("\x16\x03\x01\r\n\r\n", Why::NotHttp),
            ("HTTP/2.0 200 OK\r\n\r\n", Why::NotHttp),
            ("HTTP/1.1 2x0 OK\r\n\r\n", Why::StatusLine),
            ("HTTP/1.1 200 OK\r\nno field\r\n\r\n", Why::Field),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
                Why::ContentLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                Why::TransferCoding,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                Why::LengthAndCoding,
            ),
        ] {
            assert_eq!(
                parse(head.as_bytes(), false),
                Parsed::Malformed(why),
                "{head:?}"
            );
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(
            parse(long.as_bytes(), false),
            Parsed::Malformed(Why::HeadTooLong)
        );
    }

    #[test]
    fn only_the_date_may_differ_from_the_template() {
        let head =
            b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 06:00:00 GMT\r\nContent-Length: 2\r\n\r\n";
        let Parsed::Complete {
            length,
            facts,
            date,
        } = parse(head, false)
        else {
            panic!("not parsed");
        };
        let mut template = Template::default();
        assert_eq!(template.recognise(head), None);
        template.learn(&head[..length], facts, date);
        let text = String::from_utf8_lossy(head);
        let later = text.replace("06:00:00", "06:00:01");
        assert_eq!(template.recognise(head), Some((length, facts)));
        assert_eq!(template.recognise(later.as_bytes()), Some((length, facts)));
        for other in [
            text.replace("Length: 2", "Length: 3"),
            text.replace("200 OK", "500 OK"),
            text.replace("06:00:00 GMT", "06:00:00\r\nX:"),
        ] {
            assert_eq!(template.recognise(other.as_bytes()), None, "{other}");
        }
        assert_eq!(template.recognise(&head[..length - 1]), None);
    }
}
