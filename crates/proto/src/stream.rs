//! Bodies of unknown length: made in pieces, as the client takes them.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Makes a body in pieces, for [`Response::stream`](crate::Response::stream).
///
/// A closure with the arguments of [`pull`](Source::pull) is a source; so are [`reader`] and
/// [`pieces`].
///
/// ```
/// use std::time::Duration;
/// use proto::{Piece, Pull, Request, Response};
///
/// /// Counts down, a number every 100 ms.
/// fn countdown(_: &Request<'_>, response: &mut Response<'_>) {
///     let mut left = 3;
///     response.content_type("text/plain").stream(move |piece: &mut Piece<'_>| {
///         if left == 0 || piece.is_draining() {
///             return Ok(Pull::End);
///         }
///         piece.push(format!("{left}\n").as_bytes());
///         left -= 1;
///         Ok(Pull::Later(Duration::from_millis(100)))
///     });
/// }
/// ```
pub trait Source: Send {
    /// Appends the next bytes of the body to `piece`, and says when to ask again. It is called by the
    /// worker that sends, once per piece; what it waits for inside the call, that worker waits for.
    ///
    /// # Errors
    /// The body cannot be completed. What was appended is sent, and the connection is closed without
    /// the end of the body, so that the client sees that it is cut. A panic does the same, and what it
    /// had appended is lost.
    fn pull(&mut self, piece: &mut Piece<'_>) -> io::Result<Pull>;
}

impl<F: FnMut(&mut Piece<'_>) -> io::Result<Pull> + Send> Source for F {
    fn pull(&mut self, piece: &mut Piece<'_>) -> io::Result<Pull> {
        self(piece)
    }
}

/// When a [`Source`] is asked for its next piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// As soon as this piece was sent. An empty piece counts as [`Later`](Pull::Later) in 1 ms.
    More,
    /// As soon as this piece was sent, and so much time has passed. The worker serves other
    /// connections meanwhile, if its model can. The source is asked earlier if this is longer than
    /// [`stream_ms_max`](crate::Limits::stream_ms_max), so that it learns of a drain.
    Later(Duration),
    /// Never: the body is complete.
    End,
}

/// The piece of a body that a [`Source`] is asked for.
#[derive(Debug)]
pub struct Piece<'a> {
    bytes: &'a mut Vec<u8>,
    room: usize,
    draining: bool,
    now: Instant,
}

impl Piece<'_> {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The buffer, to append to. It is the worker's, and empty at first.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.bytes
    }

    /// How many bytes the piece should have at most. More are sent all the same, and held in memory
    /// until then.
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }

    /// Whether the server drains. An endless source should end; one that goes on is cut at the end of
    /// the grace.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// The time, read once per wake-up.
    pub fn now(&self) -> Instant {
        self.now
    }
}

/// The bytes of `reader`, to its end. A read that waits holds the worker, and an error of the reader
/// cuts the reply.
pub fn reader(mut reader: impl Read + Send + 'static) -> impl Source + 'static {
    move |piece: &mut Piece<'_>| {
        let room = piece.room();
        let buffer = piece.buffer();
        buffer.resize(room, 0);
        loop {
            match reader.read(buffer) {
                Ok(bytes) => {
                    buffer.truncate(bytes);
                    return Ok(if bytes == 0 { Pull::End } else { Pull::More });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    buffer.clear();
                    return Err(error);
                }
            }
        }
    }
}

/// The items of an iterator, one behind the other. As many go into a piece as there is room for.
pub fn pieces<I>(items: I) -> impl Source + 'static
where
    I: IntoIterator<IntoIter: Send + 'static, Item: AsRef<[u8]>>,
{
    let mut items = items.into_iter();
    move |piece: &mut Piece<'_>| {
        while piece.room() > 0 {
            match items.next() {
                Some(item) => piece.push(item.as_ref()),
                None => return Ok(Pull::End),
            }
        }
        Ok(Pull::More)
    }
}

/// A source, and how its pieces are framed.
pub(crate) struct Streamed {
    source: Box<dyn Source>,
    /// In chunks (RFC 9112 section 7.1); if not, the end of the connection ends the body.
    pub(crate) chunked: bool,
    /// How many bytes are missing of a body whose length the head says.
    pub(crate) left: Option<u64>,
}

impl Streamed {
    pub(crate) fn new(source: Box<dyn Source>, left: Option<u64>) -> Streamed {
        Streamed {
            source,
            chunked: left.is_none(),
            left,
        }
    }

    /// Appends a piece of about `room` bytes to `output`, made in the buffer `bytes`.
    ///
    /// # Errors
    /// The source has failed or panicked, or made another length than was announced. What it had appended
    /// before is in `output`, as far as it was announced.
    pub(crate) fn fill(
        &mut self,
        bytes: &mut Vec<u8>,
        output: &mut Vec<u8>,
        room: usize,
        (draining, now): (bool, Instant),
    ) -> io::Result<Pull> {
        bytes.clear();
        let mut piece = Piece {
            bytes,
            room,
            draining,
            now,
        };
        // The source belongs to the service, whose panics end one connection only.
        let pulled = catch_unwind(AssertUnwindSafe(|| self.source.pull(&mut piece)));
        let pulled = pulled.unwrap_or_else(|_| {
            bytes.clear();
            Err(ErrorKind::Other.into())
        });
        let pulled = pulled.and_then(|pull| self.count(bytes, pull));
        let empty = bytes.is_empty();
        if self.chunked && !empty {
            let mut digits = [0; 18];
            output.extend_from_slice(chunk_size(bytes.len(), &mut digits));
            output.extend_from_slice(bytes);
            output.extend_from_slice(b"\r\n");
        } else {
            output.extend_from_slice(bytes);
        }
        bytes.clear();
        match pulled? {
            Pull::End => {
                if self.chunked {
                    output.extend_from_slice(b"0\r\n\r\n");
                }
                Ok(Pull::End)
            }
            Pull::More if empty => Ok(Pull::Later(EMPTY_PAUSE)),
            Pull::Later(pause) => Ok(Pull::Later(pause.max(EMPTY_PAUSE))),
            Pull::More => Ok(Pull::More),
        }
    }
}

impl Streamed {
    /// Takes note of a piece of a body of announced length, and cuts off what goes beyond it.
    fn count(&mut self, bytes: &mut Vec<u8>, pull: Pull) -> io::Result<Pull> {
        let Some(left) = &mut self.left else {
            return Ok(pull);
        };
        let fits = bytes
            .len()
            .min(usize::try_from(*left).unwrap_or(usize::MAX));
        let is_longer = fits < bytes.len();
        bytes.truncate(fits);
        *left -= fits as u64;
        match pull {
            _ if is_longer => Err(ErrorKind::InvalidData.into()),
            Pull::End if *left > 0 => Err(ErrorKind::UnexpectedEof.into()),
            pull => Ok(pull),
        }
    }
}

/// Shortest pause before a source with nothing to send is asked again, so that no worker spins.
const EMPTY_PAUSE: Duration = Duration::from_millis(1);

/// The line before a chunk: its size in hexadecimal digits, and CR LF.
fn chunk_size(mut bytes: usize, digits: &mut [u8; 18]) -> &[u8] {
    digits[16..].copy_from_slice(b"\r\n");
    let mut at = 16;
    while bytes > 0 || at == 16 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[bytes % 16];
        bytes /= 16;
    }
    &digits[at..]
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed")
            .field("chunked", &self.chunked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_plain_hexadecimal() {
        for bytes in [1, 9, 15, 16, 255, 4_096, 65_535, usize::MAX] {
            let line = format!("{bytes:x}\r\n");
            assert_eq!(chunk_size(bytes, &mut [0; 18]), line.as_bytes());
        }
    }
}
