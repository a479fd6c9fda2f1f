//! The body of a request, and of simple responses.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::error::BoxError;
use super::inflow::Outlet;

/// Bytes in memory, as the body of a request or a response; or the body of a request that comes in pieces,
/// if an [`Adapter`](super::Adapter) was told so. Clones of such a body share its pieces.
#[derive(Debug, Clone, Default)]
pub struct Body(Source);

#[derive(Debug, Clone)]
enum Source {
    Memory(Bytes),
    Pieces(Arc<Outlet>),
}

impl Default for Source {
    fn default() -> Source {
        Source::Memory(Bytes::new())
    }
}

impl Body {
    pub(crate) fn pieces(outlet: Outlet) -> Body {
        Body(Source::Pieces(Arc::new(outlet)))
    }

    /// All of it. A handler without `async` has the body of its request by this.
    ///
    /// # Panics
    /// The body comes in pieces, which a handler has asked for by
    /// [`with_large_bodies`](super::Adapter::with_large_bodies): these must be awaited.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Source::Memory(bytes) => bytes,
            Source::Pieces(_) => panic!("a body that comes in pieces is not in memory"),
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
            Source::Pieces(outlet) => outlet
                .poll_next(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Memory(bytes) => bytes.is_empty(),
            Source::Pieces(outlet) => outlet.is_at_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Pieces(outlet) => outlet
                .left()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
