//! An [`http::Response`] as a reply.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use server::{Piece, Pull, Response, Source, log};

use super::BoxError;
use super::request::reuse;

/// A body of at most so many bytes is awaited as a whole, and sent with its head.
const SMALL_BYTES_MAX: u64 = 64 << 10;

/// Whether a field is one that the server writes itself, or belongs to one hop (RFC 9110 section 7.6.1).
fn is_own(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "date"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "server"
    )
}

/// The next data of a body, `None` at its end. Trailers are dropped.
pub(crate) fn poll_data<B: http_body::Body<Error: Into<BoxError>>>(
    mut body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    loop {
        return Poll::Ready(match ready!(body.as_mut().poll_frame(cx)) {
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => Some(Ok(data.copy_to_bytes(data.remaining()))),
                Err(_) => continue,
            },
        });
    }
}

/// A body that is streamed.
pub(crate) struct Frames<B> {
    pub(crate) body: Pin<Box<B>>,
}

impl<B: http_body::Body<Error: Into<BoxError>>> Frames<B> {
    pub(crate) fn new(body: B) -> Frames<B> {
        Frames {
            body: Box::pin(body),
        }
    }

    /// The next data, `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        poll_data(self.body.as_mut(), cx)
    }
}

/// Whether a body is streamed, since it is large or may be.
pub(crate) fn is_streamed<B: http_body::Body>(body: &B) -> bool {
    let upper = body.size_hint().upper();
    upper.is_none_or(|bytes| bytes > SMALL_BYTES_MAX)
}

/// A body in memory: most have one frame.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    first: Bytes,
    more: Vec<Bytes>,
    pub(crate) bytes: usize,
}

impl Collected {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        if self.first.is_empty() {
            self.first = frame;
        } else {
            self.more.push(frame);
        }
    }

    /// Collects the rest of `body`.
    ///
    /// # Errors
    /// It has failed, or has more than `bytes_max` bytes.
    pub(crate) fn poll_rest<B: http_body::Body<Error: Into<BoxError>>>(
        &mut self,
        mut body: Pin<&mut B>,
        bytes_max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BoxError>> {
        while !body.is_end_stream() {
            let Some(next) = ready!(poll_data(body.as_mut(), cx)) else {
                break;
            };
            self.push(match next {
                Ok(next) => next,
                Err(error) => return Poll::Ready(Err(error)),
            });
            if self.bytes > bytes_max {
                let why = format!("this model collects at most {bytes_max} bytes of a body");
                return Poll::Ready(Err(why.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// The response of a handler, ready to be written.
pub(crate) struct Reply {
    parts: Parts,
    body: ReplyBody,
}

enum ReplyBody {
    Whole(Collected),
    /// With its length, if that is known.
    Streamed(Box<dyn Source>, Option<u64>),
}

impl Reply {
    pub(crate) fn whole(parts: Parts, body: Collected) -> Reply {
        Reply {
            parts,
            body: ReplyBody::Whole(body),
        }
    }

    pub(crate) fn streamed(
        parts: Parts,
        bytes: Option<u64>,
        source: impl Source + 'static,
    ) -> Reply {
        Reply {
            parts,
            body: ReplyBody::Streamed(Box::new(source), bytes),
        }
    }

    /// Fills in `response`. `is_head`: the request was HEAD.
    pub(crate) fn fill(mut self, is_head: bool, response: &mut Response<'_>) {
        match self.body {
            ReplyBody::Whole(whole) => fill_whole(&mut self.parts, &whole, is_head, response),
            ReplyBody::Streamed(source, bytes) => {
                fill_streamed(&mut self.parts, source, bytes, is_head, response);
            }
        }
    }
}

/// Fills in `response` with a body that is in memory.
pub(crate) fn fill_whole(
    parts: &mut Parts,
    whole: &Collected,
    is_head: bool,
    response: &mut Response<'_>,
) {
    let declared = match fill_head(parts, Some(whole.bytes as u64), is_head, response) {
        Ok(declared) => declared,
        Err(why) => return refuse(500, &why, response),
    };
    match declared {
        // Never sent, only counted.
        Some(bytes) if is_head => drop(response.repeat(b"-", bytes)),
        _ => {
            let buffer = response.body_buffer();
            whole
                .frames()
                .for_each(|frame| buffer.extend_from_slice(frame));
        }
    }
}

fn fill_streamed(
    parts: &mut Parts,
    mut source: Box<dyn Source>,
    bytes: Option<u64>,
    is_head: bool,
    response: &mut Response<'_>,
) {
    let declared = match fill_head(parts, bytes, is_head, response) {
        Ok(declared) => declared,
        Err(why) => return refuse(500, &why, response),
    };
    let source = move |piece: &mut Piece<'_>| source.pull(piece);
    match (declared, bytes.or(declared)) {
        (Some(bytes), _) if is_head => drop(response.repeat(b"-", bytes)),
        (_, Some(bytes)) => drop(response.stream_of(bytes, source)),
        (_, None) => drop(response.stream(source)),
    }
}

/// Fills in status and fields, and returns the length that they declare. `known`: that of the body.
///
/// # Errors
/// Why it cannot be sent.
fn fill_head(
    parts: &mut Parts,
    known: Option<u64>,
    is_head: bool,
    response: &mut Response<'_>,
) -> Result<Option<u64>, String> {
    let status = parts.status.as_u16();
    if !(200..600).contains(&status) {
        return Err(format!("{} is no final status", parts.status));
    }
    let declared = declared(&parts.headers)?;
    // The body of a reply to HEAD, and of a 304, is only spoken of.
    let only_head = is_head || parts.status == StatusCode::NOT_MODIFIED;
    if let (Some(declared), Some(known)) = (declared, known)
        && declared != known
        && !only_head
    {
        return Err(format!(
            "Content-Length is {declared}, and the body has {known} bytes"
        ));
    }
    response.status(status);
    for (name, value) in &parts.headers {
        if !is_own(name.as_str()) {
            response.field_bytes(name.as_str(), value.as_bytes());
        }
    }
    reuse(std::mem::take(&mut parts.headers));
    Ok(declared)
}

fn declared(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or("Content-Length is no number")
}

/// Answers with an error of the adapter's own, and says why in the log.
pub(crate) fn refuse(status: u16, why: &str, response: &mut Response<'_>) {
    if status >= 500 {
        log(format_args!("a handler's response cannot be sent: {why}"));
    }
    response
        .status(status)
        .content_type("text/plain")
        .static_body(match status {
            400 => b"The request target cannot be parsed.\n",
            501 => b"This server does not know that method.\n",
            _ => b"The handler's response cannot be sent.\n",
        });
}

/// How long a source pauses when its body has no frame yet: twice as long each time, until a frame comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Pauses {
    /// For a body whose frames wake who awaits them: it is asked for in vain only to learn of a drain.
    pub(crate) const UNTIL_WOKEN: Pauses = Pauses {
        first: Duration::MAX,
        longest: Duration::MAX,
    };
    /// For a body that was waited for: it is waited for again once the worker has looked whether the
    /// server drains, or its client has reset the connection.
    #[cfg(feature = "async")]
    pub(crate) const SHORT: Pauses = Pauses {
        first: Duration::ZERO,
        longest: Duration::ZERO,
    };
}

/// The frames of a body as the source of a streamed reply; `next` has the next one. Server-sent events end
/// when the server drains, other bodies go on to their end.
pub(crate) fn source<B: Send + 'static>(
    mut frames: Frames<B>,
    parts: &Parts,
    pauses: Pauses,
    mut next: impl FnMut(&mut Frames<B>) -> Poll<Option<Result<Bytes, BoxError>>> + Send + 'static,
) -> impl Source + 'static {
    let media = parts
        .headers
        .get(CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes);
    let ends_in_drain = media.is_some_and(|media| media.starts_with(b"text/event-stream"));
    let mut pause = pauses.first;
    move |piece: &mut Piece<'_>| {
        if ends_in_drain && piece.is_draining() {
            return Ok(Pull::End);
        }
        match next(&mut frames) {
            Poll::Pending => {
                let now = pause;
                pause = pause.saturating_mul(2).min(pauses.longest);
                Ok(Pull::Later(now))
            }
            Poll::Ready(None) => Ok(Pull::End),
            Poll::Ready(Some(Ok(bytes))) => {
                pause = pauses.first;
                piece.push(&bytes);
                Ok(Pull::More)
            }
            Poll::Ready(Some(Err(error))) => {
                log(format_args!("the body of a reply has failed: {error}"));
                Err(io::Error::other(error))
            }
        }
    }
}
