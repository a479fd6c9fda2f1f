//! A response: filled in by a service, then written as one head and one body.

use std::any::Any;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::buffers::Buffers;
use crate::status;
use crate::stream::Source;
use crate::tail::{Repeat, Tail};

/// What the session must know of a response that was written.
pub(crate) struct Answer {
    /// The rest of the body.
    pub(crate) tail: Tail,
    /// How long to delay the response.
    pub(crate) wait: Option<Duration>,
    /// Whether another request may follow on this connection.
    pub(crate) persistent: bool,
}

/// The response to one request. It starts as `200 OK` with an empty body.
#[derive(Debug)]
pub struct Response<'a> {
    status: u16,
    content_type: &'static str,
    body: Body,
    wait: Option<Duration>,
    buffers: &'a mut Buffers,
}

/// Where the body is.
#[derive(Debug)]
enum Body {
    /// The bytes in `buffers.body`.
    Written,
    /// Static bytes.
    Static(&'static [u8]),
    /// Too long for a buffer: generated as it is sent.
    Long(Tail),
}

impl<'a> Response<'a> {
    pub(crate) fn new(buffers: &'a mut Buffers) -> Response<'a> {
        buffers.body.clear();
        buffers.fields.clear();
        Response {
            status: 200,
            content_type: "",
            body: Body::Written,
            wait: None,
            buffers,
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

    /// Sets `Content-Type`, and returns the one before.
    pub(crate) fn set_content_type(&mut self, content_type: &'static str) -> &'static str {
        std::mem::replace(&mut self.content_type, content_type)
    }

    /// Adds a field. The session itself writes `Content-Length`, `Connection`, `Date` and
    /// `Transfer-Encoding`.
    ///
    /// # Panics
    /// On a name or value that would corrupt the head, or one of the fields above: a programmer's error.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.field_bytes(name, value.as_bytes())
    }

    /// The same for a value that may be no text (RFC 9110 section 5.5: opaque bytes).
    ///
    /// # Panics
    /// As [`field`](Self::field).
    pub fn field_bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        assert!(is_token(name.as_bytes()), "field name {name:?}");
        assert!(!is_own(name), "field {name} belongs to the session");
        assert!(
            is_value(value),
            "value of {name}: {:?}",
            String::from_utf8_lossy(value)
        );
        let fields = &mut self.buffers.fields;
        append(fields, name.as_bytes());
        fields.extend_from_slice(b": ");
        append(fields, value);
        fields.extend_from_slice(b"\r\n");
        self
    }

    /// Sets the body to a copy of `bytes`.
    pub fn body(&mut self, bytes: &[u8]) -> &mut Self {
        let body = self.body_buffer();
        body.clear();
        body.extend_from_slice(bytes);
        self
    }

    /// Sets the body to static bytes, which are copied once, behind the head.
    pub fn static_body(&mut self, bytes: &'static [u8]) -> &mut Self {
        self.body = Body::Static(bytes);
        self
    }

    /// The worker's buffer for the body, to append to. It is empty unless the service has written to it.
    pub fn body_buffer(&mut self) -> &mut Vec<u8> {
        self.body = Body::Written;
        &mut self.buffers.body
    }

    /// The body so far, if it is in memory.
    #[cfg(feature = "gzip")]
    pub(crate) fn written(&self) -> &[u8] {
        match &self.body {
            Body::Written => &self.buffers.body,
            Body::Static(bytes) => bytes,
            Body::Long(_) => &[],
        }
    }

    /// Sets the body to `bytes` bytes of `pattern`, repeated. They are generated as they are sent.
    ///
    /// # Panics
    /// On an empty pattern.
    pub fn repeat(&mut self, pattern: &'static [u8], bytes: u64) -> &mut Self {
        assert!(!pattern.is_empty(), "an empty pattern fills nothing");
        self.body = Body::Long(Tail::Repeated(Repeat::new(pattern, bytes)));
        self
    }

    /// Sets the body to the next `bytes` bytes of `reader`, for example of a large file. They are read as
    /// they are sent, by the worker that sends, which waits for the reader. If the reader fails or ends
    /// early, the connection is closed, and the client gets fewer bytes than `Content-Length` says.
    pub fn reader(&mut self, reader: Box<dyn Read + Send>, bytes: u64) -> &mut Self {
        self.body = Body::Long(Tail::reader(reader, bytes));
        self
    }

    /// Has `source` make the body, in pieces, as the client takes them. Its length need not be known, and
    /// it may be endless. A client of HTTP/1.1 gets it in chunks; for one of HTTP/1.0 the connection ends
    /// with it.
    ///
    /// Between two pieces the source may [ask for time](crate::Pull::Later). In models that can do so,
    /// the worker serves other connections meanwhile.
    pub fn stream(&mut self, source: impl Source + 'static) -> &mut Self {
        self.body = Body::Long(Tail::stream(Box::new(source), None));
        self
    }

    /// The same for a body of `bytes` bytes, which the head says. If the source makes another length, the
    /// connection is closed, and the client gets fewer bytes than were announced.
    pub fn stream_of(&mut self, bytes: u64, source: impl Source + 'static) -> &mut Self {
        let bytes = bytes.min(u64::MAX - 1); // The largest number stands for an unknown length.
        self.body = Body::Long(Tail::stream(Box::new(source), Some(bytes)));
        self
    }

    /// Delays the response by `duration`, as if a back end took that long. In models that can do so, the
    /// worker serves other connections meanwhile.
    pub fn wait(&mut self, duration: Duration) -> &mut Self {
        self.wait = Some(duration);
        self
    }

    /// Whether the response is delayed.
    pub fn is_delayed(&self) -> bool {
        self.wait.is_some()
    }

    /// Has the session keep `held` until the delay of this response is over, or its connection is. It is
    /// for what counts requests; on a response without a delay it is dropped with the next one held.
    pub fn hold(&mut self, held: Box<dyn Any + Send + Sync>) -> &mut Self {
        self.buffers.held = Some(held);
        self
    }

    /// The status code as it stands.
    pub(crate) fn status_code(&self) -> u16 {
        self.status
    }

    /// Bytes of the body as it stands; 0 for one of unknown length.
    pub(crate) fn body_bytes(&self) -> u64 {
        match &self.body {
            Body::Written => self.buffers.body.len() as u64,
            Body::Static(bytes) => bytes.len() as u64,
            Body::Long(tail) => match tail.left() {
                u64::MAX => 0,
                bytes => bytes,
            },
        }
    }

    /// Writes head and body to the output of the worker. Returns what the session must know of it.
    pub(crate) fn finish(self, now: Instant, to: &Reply) -> Answer {
        let Response {
            status,
            content_type,
            mut body,
            wait,
            buffers,
        } = self;
        let mut to = *to;
        let bytes = match &mut body {
            Body::Written => buffers.body.len() as u64,
            Body::Static(bytes) => bytes.len() as u64,
            Body::Long(tail) => tail_bytes(tail, &mut to),
        };
        let answer = |tail| Answer {
            tail,
            wait,
            persistent: to.persistent,
        };
        let output = &mut buffers.output;
        let wall = buffers.wall;
        match status {
            200 => output.extend_from_slice(buffers.date.ok(now, wall)),
            _ => {
                status::append_line(status, output);
                output.extend_from_slice(buffers.date.fields(now, wall));
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
        if !buffers.fields.is_empty() {
            output.extend_from_slice(&buffers.fields);
        }
        let bodiless = status == 204 || status == 304;
        if bytes == u64::MAX {
            // Its length is unknown; to HTTP/1.0 it is said by the end of the connection.
            if to.minor_version > 0 && !bodiless {
                output.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
        } else if !bodiless {
            output.extend_from_slice(b"Content-Length: ");
            append(output, itoa::Buffer::new().format(bytes).as_bytes());
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b"\r\n");
        if to.head || bodiless {
            return answer(Tail::NONE);
        }
        match body {
            Body::Written => append(output, &buffers.body),
            Body::Static(bytes) => append(output, bytes),
            Body::Long(tail) => return answer(tail),
        }
        answer(Tail::NONE)
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| TOKEN_BYTES[usize::from(*byte)])
}

/// Whether the session writes this field itself.
fn is_own(name: &str) -> bool {
    let own = match name.len() {
        4 => "date",
        10 => "connection",
        14 => "content-length",
        17 => "transfer-encoding",
        _ => return false,
    };
    own.eq_ignore_ascii_case(name)
}

/// No control character but the tab. There is no early exit, so that several bytes are looked at at once.
fn is_value(value: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
    !value
        .iter()
        .fold(false, |found, byte| found | is_control(*byte))
}

/// How many bytes a long body has; the largest number if that is unknown. Then its framing is chosen.
#[cold]
fn tail_bytes(tail: &mut Tail, to: &mut Reply) -> u64 {
    if let Some(streamed) = tail.as_stream() {
        if let Some(bytes) = streamed.left {
            return bytes;
        }
        streamed.chunked = to.minor_version > 0;
        to.persistent &= streamed.chunked;
    }
    tail.left()
}

/// Appends bytes that are usually few. A copy of a length that is unknown at compile time is a call of
/// `memcpy`, whose code is on a page that nothing else of a request uses.
#[inline]
fn append(output: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        0..8 => bytes.iter().for_each(|byte| output.push(*byte)),
        8..16 => append_ends::<8>(output, bytes),
        16..=32 => append_ends::<16>(output, bytes),
        _ => output.extend_from_slice(bytes),
    }
}

/// Appends N to 2 N bytes, as the first N and the last N, which may overlap.
#[inline]
fn append_ends<const N: usize>(output: &mut Vec<u8>, bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        let end = output.len() + bytes.len();
        output.extend_from_slice(first);
        output.truncate(end - N);
        output.extend_from_slice(last);
    }
}

/// Writes an error response of the session's own, after which the connection is closed.
#[cold]
pub(crate) fn write_error(status: u16, now: Instant, buffers: &mut Buffers) {
    let mut response = Response::new(buffers);
    response
        .status(status)
        .content_type("text/plain")
        .static_body(status::explanation(status));
    response.finish(
        now,
        &Reply {
            persistent: false,
            minor_version: 1,
            head: false,
        },
    );
}

/// Changes the head of a complete response so that it says `Connection: close`.
pub(crate) fn set_connection_close(response: &mut Vec<u8>) {
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

/// What a response depends on besides the service: its request and its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub persistent: bool,
    pub minor_version: u8,
    /// The request was HEAD: no body is sent.
    pub head: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_are_appended() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in 0..=bytes.len() {
            let mut output = b"before".to_vec();
            append(&mut output, &bytes[..len]);
            assert_eq!(output, [b"before", &bytes[..len]].concat());
        }
    }
}
