//! What the peers share: their command line, their runtime, and the work behind their routes.
//!
//! Each peer is written as its library's own documentation would have it, with TCP_NODELAY and
//! without logging, and answers the routes that the scenarios of `turnstile bench` ask for.

pub mod axum_app;
pub mod command;
pub mod hyper_app;
pub mod raw;
pub mod runtime;

/// The same calibrated work as that of the models, from the same file.
#[path = "../../crates/services/src/cpu.rs"]
pub mod cpu;

use std::convert::Infallible;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Reply of `/` and `/plaintext`.
pub const PLAINTEXT: &str = "Hello, World!";
/// Connections that may wait for an accept; as the models have it.
pub const BACKLOG: u16 = 4_096;
/// Most that `/bytes/N` sends.
pub const BYTES_MAX: u64 = 64 << 20;
/// Longest that `/cpu`, `/wait` and `/sleep` take, µs.
pub const MICROS_MAX: u64 = 60_000_000;
/// Largest request body.
pub const BODY_BYTES_MAX: usize = 1 << 20;

static CALIBRATION: LazyLock<cpu::Calibration> = LazyLock::new(cpu::Calibration::measure);

/// Does `micros` µs of work; the first call times how much that is.
pub fn burn(micros: u64) {
    CALIBRATION.burn(micros);
}

/// What `/bytes` sends over and over, as the models do.
static PATTERN: [u8; 16 << 10] = {
    let mut pattern = [0; 16 << 10];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = b'a' + (at % 26) as u8;
        at += 1;
    }
    pattern
};

/// A body of so many bytes of the pattern, without a copy of it; a reader copies.
#[derive(Debug)]
pub struct Pattern {
    sent: u64,
    bytes: u64,
}

impl Pattern {
    /// `bytes` bytes.
    pub fn new(bytes: u64) -> Pattern {
        Pattern { sent: 0, bytes }
    }

    /// The next piece, of at most `most` bytes; it is empty at the end.
    fn next(&mut self, most: usize) -> &'static [u8] {
        let at = (self.sent % PATTERN.len() as u64) as usize;
        let whole = (PATTERN.len() - at).min(most) as u64;
        let bytes = whole.min(self.bytes - self.sent);
        self.sent += bytes;
        &PATTERN[at..][..bytes as usize]
    }
}

impl Read for Pattern {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.next(into.len());
        into[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.next(PATTERN.len());
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.bytes
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes - self.sent)
    }
}
