//! What answers a request after awaiting.

use std::future::Future;
use std::sync::Arc;

use crate::http::{Body, BoxError};

/// Something that answers an [`http::Request`] after awaiting.
///
/// An `async fn` that takes the request is one, and so is what
/// [`tower_service`](crate::tower_service) makes of a `tower::Service`.
pub trait Handler: Send + Sync + 'static {
    /// The body of its responses.
    type Body: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static;

    /// The response to `request`.
    fn handle(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<Self::Body>, BoxError>> + Send + 'static;
}

impl<F, Fut, B> Handler for F
where
    F: Fn(http::Request<Body>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = http::Response<B>> + Send + 'static,
    B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    type Body = B;

    fn handle(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<B>, BoxError>> + Send + 'static {
        let response = self(request);
        async move { Ok(response.await) }
    }
}

impl<H: Handler> Handler for Arc<H> {
    type Body = H::Body;

    fn handle(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<H::Body>, BoxError>> + Send + 'static {
        H::handle(self, request)
    }
}
