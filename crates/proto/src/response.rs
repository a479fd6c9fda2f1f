//! A response, made by a service and written as one head and one body.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::scratch::Scratch;
use crate::tail::{Drawn, Repeat, Tail};

/// The response to one request. It starts as `200 OK` with an empty body.
#[derive(Debug)]
pub struct Response<'a> {
    status: u16,
    content_type: &'static str,
    body: Body,
    wait: Option<Duration>,
    scratch: &'a mut Scratch,
}

/// What the body is made of.
#[derive(Debug)]
enum Body {
    /// The bytes in `scratch.body`.
    Written,
    /// Bytes of the program.
    Static(&'static [u8]),
    /// Too long for a buffer: made as it is sent.
    Long(Tail),
}

impl<'a> Response<'a> {
    pub(crate) fn new(scratch: &'a mut Scratch) -> Response<'a> {
        scratch.body.clear();
        scratch.fields.clear();
        Response {
            status: 200,
            content_type: "",
            body: Body::Written,
            wait: None,
            scratch,
        }
    }

    /// Sets the status code, 200 to 599.
    ///
    /// # Panics
    /// On any other code: a programmer's error.
    pub fn status(&mut self, code: u16) -> &mut Self {
        assert!(
            (200..600).contains(&code),
            "a response has a final status code, not {code}"
        );
        self.status = code;
        self
    }

    /// Sets `Content-Type`.
    pub fn content_type(&mut self, content_type: &'static str) -> &mut Self {
        self.content_type = content_type;
        self
    }

    /// Adds a field. `Content-Length`, `Connection`, `Date` and `Transfer-Encoding` are the
    /// session's own.
    ///
    /// # Panics
    /// On a name or value that would break the head apart, or one of the session's own fields.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        let own = ["content-length", "connection", "date", "transfer-encoding"];
        assert!(
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "field name {name:?}"
        );
        assert!(
            !own.iter().any(|own| own.eq_ignore_ascii_case(name)),
            "field {name} belongs to the session"
        );
        assert!(
            !value
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t'),
            "value of {name}: {value:?}"
        );
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            self.scratch.fields.extend_from_slice(part);
        }
        self
    }

    /// Sets the body to a copy of `bytes`.
    pub fn body(&mut self, bytes: &[u8]) -> &mut Self {
        let body = self.body_buffer();
        body.clear();
        body.extend_from_slice(bytes);
        self
    }

    /// Sets the body to bytes of the program, which are not copied before the head is known.
    pub fn static_body(&mut self, bytes: &'static [u8]) -> &mut Self {
        self.body = Body::Static(bytes);
        self
    }

    /// The worker's buffer for the body, to write into.
    pub fn body_buffer(&mut self) -> &mut Vec<u8> {
        self.body = Body::Written;
        &mut self.scratch.body
    }

    /// Sets the body to `bytes` bytes of `pattern` over and over, made as they are sent.
    ///
    /// # Panics
    /// On an empty pattern.
    pub fn repeat(&mut self, pattern: &'static [u8], bytes: u64) -> &mut Self {
        assert!(!pattern.is_empty(), "an empty pattern fills nothing");
        self.body = Body::Long(Tail::Repeated(Repeat::new(pattern, bytes)));
        self
    }

    /// Sets the body to the next `bytes` bytes of `reader`, read as they are sent and dropped with
    /// the last: a large file, for one. The worker that sends is the one that reads, and waits for
    /// it. If the reader fails or ends early, so does the connection: its client sees fewer bytes
    /// than announced.
    pub fn reader(&mut self, reader: Box<dyn Read + Send>, bytes: u64) -> &mut Self {
        self.body = Body::Long(Tail::Drawn(Drawn::new(reader, bytes)));
        self
    }

    /// Delivers the response after `duration`, as a back end that takes that long would, with the
    /// worker free meanwhile wherever the model can free it.
    pub fn wait(&mut self, duration: Duration) -> &mut Self {
        self.wait = Some(duration);
        self
    }

    /// Writes head and body to the scratch output; what is too long comes back as a tail, and with
    /// it how long to wait.
    pub(crate) fn finish(self, now: Instant, to: &Reply) -> (Tail, Option<Duration>) {
        let Response {
            status,
            content_type,
            body,
            wait,
            scratch,
        } = self;
        let bytes = match &body {
            Body::Written => scratch.body.len() as u64,
            Body::Static(bytes) => bytes.len() as u64,
            Body::Long(tail) => tail.left(),
        };
        let output = &mut scratch.output;
        let wall = scratch.wall;
        match status {
            200 => output.extend_from_slice(scratch.date.ok(now, wall)),
            _ => {
                status_line(status, output);
                output.extend_from_slice(scratch.date.fields(now, wall));
            }
        }
        match (to.persistent, to.minor_version) {
            (false, _) => output.extend_from_slice(b"Connection: close\r\n"),
            (true, 0) => output.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, _) => {}
        }
        if !content_type.is_empty() {
            output.extend_from_slice(b"Content-Type: ");
            append(output, content_type.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
        if !scratch.fields.is_empty() {
            output.extend_from_slice(&scratch.fields);
        }
        let bodiless = status == 204 || status == 304;
        if !bodiless {
            output.extend_from_slice(b"Content-Length: ");
            append(output, itoa::Buffer::new().format(bytes).as_bytes());
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b"\r\n");
        if to.head || bodiless {
            return (Tail::NONE, wait);
        }
        match body {
            Body::Written => append(output, &scratch.body),
            Body::Static(bytes) => append(output, bytes),
            Body::Long(tail) => return (tail, wait),
        }
        (Tail::NONE, wait)
    }
}

/// Appends what is mostly short. A copy of a length that is not known before is a call, to a page of
/// code that nothing else of a request needs.
#[inline]
fn append(output: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        0..8 => bytes.iter().for_each(|byte| output.push(*byte)),
        8..16 => append_ends::<8>(output, bytes),
        16..=32 => append_ends::<16>(output, bytes),
        _ => output.extend_from_slice(bytes),
    }
}

/// Appends `bytes`, which are N to 2 N, as their first N and their last N.
#[inline]
fn append_ends<const N: usize>(output: &mut Vec<u8>, bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        let end = output.len() + bytes.len();
        output.extend_from_slice(first);
        output.truncate(end - N);
        output.extend_from_slice(last);
    }
}

/// Turns the head of a finished response into one that announces the end of its connection.
pub(crate) fn say_close(response: &mut Vec<u8>) {
    const KEEP: &[u8] = b"\r\nConnection: keep-alive\r\n";
    const CLOSE: &[u8] = b"\r\nConnection: close\r\n";
    let line_end = response.windows(2).position(|two| two == b"\r\n");
    let head_end = response.windows(4).position(|four| four == b"\r\n\r\n");
    let (Some(line_end), Some(head_end)) = (line_end, head_end) else {
        return;
    };
    let kept = response[..head_end + 2]
        .windows(KEEP.len())
        .position(|field| field == KEEP);
    let old = kept.map_or(line_end..line_end + 2, |at| at..at + KEEP.len());
    response.splice(old, CLOSE.iter().copied());
}

/// What the writing of a response has to know of its request and connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub persistent: bool,
    pub minor_version: u8,
    /// The request was HEAD: the head only.
    pub head: bool,
}

/// Appends the status line of anything but 200.
#[cold]
fn status_line(status: u16, output: &mut Vec<u8>) {
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    output.push(b' ');
    output.extend_from_slice(phrase(status).as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// The reason phrase of RFC 9110 section 15; the phrase may be empty (RFC 9112 section 4).
fn phrase(status: u16) -> &'static str {
    match status {
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_its_length_it_is_appended_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in 0..=bytes.len() {
            let mut output = b"before".to_vec();
            append(&mut output, &bytes[..len]);
            assert_eq!(output, [b"before", &bytes[..len]].concat());
        }
    }
}
