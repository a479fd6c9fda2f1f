//! A `tower::Service` as a service.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;

use server::{Error, Place, Service};
use tower_service::Service as Tower;

use crate::asynchronous::Handler;
use crate::http::{Adapter, Body, BoxError};

/// A `tower::Service` of [`http::Request`]s as a service: a router of axum, for example. It is cloned for
/// each request, as other servers clone it for each connection.
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// fn main() -> std::process::ExitCode {
///     let router = Router::new().route("/", get(async || "hello\n"));
///     let service = turnstile::tower_service(router);
///     turnstile::main_owned(&turnstile::models::async_tasks::MODEL, service)
/// }
/// ```
pub fn tower_service<S, B>(service: S) -> impl Service + Send + 'static
where
    S: Tower<http::Request<Body>, Response = http::Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    Adapter::new().tower_service(service)
}

/// The same for one that `build` makes once per process, after the fork.
pub fn tower_per_process<S, B, E>(
    build: impl Fn(&Place) -> Result<S, E> + Send + Sync + 'static,
) -> impl Service + Send + 'static
where
    S: Tower<http::Request<Body>, Response = http::Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
    E: Into<Error>,
{
    Adapter::new().tower_per_process(build)
}

/// A service that is cloned for each request.
pub(crate) struct Cloned<S, B>(S, PhantomData<fn() -> B>);

impl<S, B> Cloned<S, B> {
    pub(crate) fn new(service: S) -> Cloned<S, B> {
        Cloned(service, PhantomData)
    }
}

impl<S, B> Handler for Cloned<S, B>
where
    S: Tower<http::Request<Body>, Response = http::Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    type Body = B;

    fn handle(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<B>, BoxError>> + Send + 'static {
        let mut service = self.0.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        }
    }
}
