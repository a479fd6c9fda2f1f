//! The body of a request, and of simple responses.

use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

use super::error::BoxError;
use super::inflow::Outlet;
use super::received::Received;

/// Bytes in memory, as the body of a request or a response; or the body of a request that comes in pieces,
/// if an [`Adapter`](super::Adapter) was told so. Clones of such a body share its pieces.
///
/// A handler without `async` may [`Read`] it, or poll it: it is ready whenever it is polled, since the poll
/// waits for the client. An async handler polls it, and [`Read`] has
/// [`WouldBlock`](ErrorKind::WouldBlock) for it where the next piece has not come.
#[derive(Debug, Clone, Default)]
pub struct Body(Source);

#[derive(Debug, Clone)]
enum Source {
    Memory(Bytes),
    Pieces {
        outlet: Arc<Outlet>,
        /// What is left of a piece that was read in part.
        rest: Bytes,
    },
    /// The worker receives when it is read.
    Received(Arc<Received>),
}

impl Default for Source {
    fn default() -> Source {
        Source::Memory(Bytes::new())
    }
}

impl Body {
    pub(crate) fn pieces(outlet: Outlet) -> Body {
        Body(Source::Pieces {
            outlet: Arc::new(outlet),
            rest: Bytes::new(),
        })
    }

    pub(crate) fn received(received: Arc<Received>) -> Body {
        Body(Source::Received(received))
    }

    /// All of it. A handler without `async` has the body of its request by this.
    ///
    /// # Panics
    /// The body comes in pieces, which a handler has asked for by
    /// [`with_large_bodies`](super::Adapter::with_large_bodies): these must be awaited, or read.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Source::Memory(bytes) => bytes,
            Source::Pieces { .. } | Source::Received(_) => {
                panic!("a body that comes in pieces is not in memory")
            }
        }
    }

    /// How many bytes are left of it; `None` if that is not known.
    fn left(&self) -> Option<u64> {
        match &self.0 {
            Source::Memory(bytes) => Some(bytes.len() as u64),
            Source::Pieces { outlet, rest } => outlet.left().map(|left| left + rest.len() as u64),
            Source::Received(received) => received.left(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        Body(Source::Memory(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Source::Memory(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Source::Pieces { rest, .. } if !rest.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(rest)))))
            }
            Source::Pieces { outlet, .. } => outlet
                .poll_next(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
            Source::Received(received) => {
                let next = received.next();
                Poll::Ready(next.map(|piece| piece.map(Frame::data).map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Memory(bytes) => bytes.is_empty(),
            Source::Pieces { outlet, rest } => rest.is_empty() && outlet.is_at_end(),
            Source::Received(received) => received.left() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = match &mut self.0 {
            Source::Memory(bytes) => bytes,
            Source::Pieces { outlet, rest } => {
                if rest.is_empty() && !buffer.is_empty() {
                    let mut cx = Context::from_waker(Waker::noop());
                    match outlet.poll_next(&mut cx) {
                        Poll::Pending => return Err(ErrorKind::WouldBlock.into()),
                        Poll::Ready(None) => return Ok(0),
                        Poll::Ready(Some(Ok(piece))) => *rest = piece,
                        Poll::Ready(Some(Err(error))) => {
                            return Err(io::Error::new(ErrorKind::UnexpectedEof, error));
                        }
                    }
                }
                rest
            }
            Source::Received(received) => return received.read(buffer),
        };
        let read = buffer.len().min(bytes.len());
        bytes.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}
