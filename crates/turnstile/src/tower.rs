//! A `tower::Service` as a service.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use server::{Error, Place, Service};
use tower_service::Service as Tower;

use crate::asynchronous::Handler;
use crate::http::{Adapter, Body, BoxError};

/// A `tower::Service` of [`http::Request`]s that can be cloned for each of them. Nobody need implement it.
pub trait TowerHttp
where
    Self: Tower<http::Request<Body>, Response = http::Response<<Self as TowerHttp>::Reply>>,
    Self: Tower<http::Request<Body>, Error: Into<BoxError>, Future: Send + 'static>,
    Self: Clone + Send + Sync + 'static,
{
    /// The body of its responses.
    type Reply: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static;
}

impl<S, B> TowerHttp for S
where
    S: Tower<http::Request<Body>, Response = http::Response<B>>,
    S: Tower<http::Request<Body>, Error: Into<BoxError>, Future: Send + 'static>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    type Reply = B;
}

/// A `tower::Service` of [`http::Request`]s as a service: a router of axum, for example. It is cloned for
/// each request, as other servers clone it for each connection.
///
/// A router makes its handlers anew for each request, unless it is told to make them before: by
/// `with_state(())`, which axum's own server calls, if it has no other state.
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// fn main() -> std::process::ExitCode {
///     let router: Router = Router::new().route("/", get(async || "hello\n")).with_state(());
///     let service = turnstile::tower_service(router);
///     turnstile::main_owned(&turnstile::models::async_tasks::MODEL, service)
/// }
/// ```
pub fn tower_service(service: impl TowerHttp) -> impl Service + Send + 'static {
    Adapter::new().tower_service(service)
}

/// The same for one that `build` makes once per process, after the fork.
pub fn tower_per_process<S: TowerHttp, E: Into<Error>>(
    build: impl Fn(&Place) -> Result<S, E> + Send + Sync + 'static,
) -> impl Service + Send + 'static {
    Adapter::new().tower_per_process(build)
}

impl Adapter {
    /// A [`Service`] of a `tower::Service`, as [`tower_service`](crate::tower_service) makes it.
    pub fn tower_service(self, service: impl TowerHttp) -> impl Service + Send + 'static {
        self.async_service(Cloned(service))
    }

    /// The same for one that `build` makes once per process, after the fork.
    pub fn tower_per_process<S: TowerHttp, E: Into<Error>>(
        self,
        build: impl Fn(&Place) -> Result<S, E> + Send + Sync + 'static,
    ) -> impl Service + Send + 'static {
        self.async_per_process(move |place| build(place).map(Cloned))
    }
}

/// A service that is cloned for each request.
struct Cloned<S>(S);

impl<S: TowerHttp> Handler for Cloned<S> {
    type Body = S::Reply;

    fn handle(
        &self,
        request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<S::Reply>, BoxError>> + Send + 'static {
        let mut service = self.0.clone();
        // Most services are always ready, and are called here. One that is not is asked again by its task.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Called::Handled {
                handled: service.call(request),
            },
            Poll::Ready(Err(error)) => Called::Failed {
                error: Some(error.into()),
            },
            Poll::Pending => Called::Waits {
                service,
                request: Some(request),
            },
        }
    }
}

pin_project! {
    /// A request to a `tower::Service`.
    #[project = Now]
    enum Called<S, F> {
        Waits {
            service: S,
            request: Option<http::Request<Body>>,
        },
        Handled {
            #[pin]
            handled: F,
        },
        Failed {
            error: Option<BoxError>,
        },
    }
}

impl<S: TowerHttp> Future for Called<S, S::Future> {
    type Output = Result<http::Response<S::Reply>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                Now::Handled { handled } => return handled.poll(cx).map_err(Into::into),
                Now::Failed { error } => {
                    return Poll::Ready(Err(error.take().unwrap_or_else(polled_again)));
                }
                Now::Waits { service, request } => match ready!(service.poll_ready(cx)) {
                    Err(error) => return Poll::Ready(Err(error.into())),
                    Ok(()) => match request.take() {
                        Some(request) => Called::Handled {
                            handled: service.call(request),
                        },
                        None => return Poll::Ready(Err(polled_again())),
                    },
                },
            };
            self.set(next);
        }
    }
}

fn polled_again() -> BoxError {
    "it was polled after its end".into()
}
