//! The types of the crates `http` and `http-body`, for services that are written with them.
//!
//! A request is copied into an [`http::Request`], its body included; the body of an [`http::Response`] is
//! copied, or streamed where its length is not known. So a service of these types costs more than a
//! [`Service`], which borrows the receive buffer and writes into the send buffer.
//!
//! | what | becomes |
//! |---|---|
//! | target that is no URI | 400 |
//! | field of one hop (`Connection`, `Transfer-Encoding`, `Upgrade`, ...), `Date` | the server's own |
//! | `Content-Length` other than the body's | 500, or an aborted reply if the head was sent |
//! | body that fails | 500, or an aborted reply if the head was sent |
//! | status below 200 or above 599 | 500 |
//! | body of known length | `Content-Length` |
//! | body of unknown length | chunks, or the end of the connection for HTTP/1.0 |

mod adapter;
#[cfg_attr(not(feature = "async"), allow(dead_code))] // Pieces are awaited.
mod body;
mod error;
#[cfg_attr(not(feature = "async"), allow(dead_code))]
mod inflow;
mod received;
mod reply;
mod request;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http_body::Body as _;
use server::{Intake, Memory, Method, Request, Response, Service};

pub use adapter::Adapter;
pub use body::Body;
pub use error::BoxError;
#[cfg(feature = "async")]
pub(crate) use inflow::{Inlet, inflow};
use received::Received;
#[cfg(feature = "async")]
pub(crate) use reply::fill_whole;
pub(crate) use reply::{Collected, Frames, Pauses, Reply, is_streamed, refuse, source};
pub(crate) use request::{body_of, request_of};

/// A service that takes an [`http::Request`] and returns an [`http::Response`], without awaiting.
///
/// The body of the response must be ready whenever it is polled: [`Body`], `String`, or any that does not
/// wait for something. One that does wait is answered with 500, or aborted.
///
/// ```no_run
/// use turnstile::http::{Body, http_service};
///
/// fn hello(request: http::Request<Body>) -> http::Response<String> {
///     http::Response::new(format!("{}\n", request.uri()))
/// }
///
/// fn main() -> std::process::ExitCode {
///     turnstile::main_owned(&turnstile::models::prefork::MODEL, http_service(hello))
/// }
/// ```
pub fn http_service<F, B>(handler: F) -> impl Service + Send + 'static
where
    F: Fn(http::Request<Body>) -> http::Response<B> + Send + Sync + 'static,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    Adapter::new().http_service(handler)
}

impl Adapter {
    /// A [`Service`] of a plain function, as [`http_service`] makes it.
    pub fn http_service<F, B>(self, handler: F) -> impl Service + Send + 'static
    where
        F: Fn(http::Request<Body>) -> http::Response<B> + Send + Sync + 'static,
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    {
        // Of the adapter nothing changes.
        let memory = match size_of::<F>() {
            0 => Memory::Any,
            _ => Memory::Unsaid,
        };
        Answering {
            answer: move |request: &Request<'_>, response: &mut Response<'_>| {
                answer(self, &handler, request, response);
            },
            memory,
            large_bytes_max: self.large_bytes_max,
        }
    }
}

/// A service of the types of `http`.
struct Answering<A> {
    answer: A,
    memory: Memory,
    large_bytes_max: u64,
}

impl<A: Fn(&Request<'_>, &mut Response<'_>) + Sync> Service for Answering<A> {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        (self.answer)(request, response);
    }

    fn memory(&self) -> Memory {
        self.memory
    }

    fn intake(&self, _: &Request<'_>, _: Option<u64>) -> Intake {
        match self.large_bytes_max {
            0 => Intake::Refuse,
            bytes_max => Intake::Upload(bytes_max),
        }
    }

    fn receives(&self) -> bool {
        self.large_bytes_max > 0
    }
}

fn answer<F, B>(adapter: Adapter, handler: &F, request: &Request<'_>, response: &mut Response<'_>)
where
    F: Fn(http::Request<Body>) -> http::Response<B>,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    let is_head = request.method == Method::Head;
    let received = request.take_upload().map(Received::new);
    let handed_out = received.as_ref().map(Arc::downgrade);
    let body = received.map_or_else(|| body_of(request), Body::received);
    let converted = match request_of(request, body, adapter) {
        Ok(converted) => converted,
        Err(status) => return refuse(status, "the target is no URI", response),
    };
    let (parts, body) = handler(converted).into_parts();
    match handed_out.as_ref().map(Received::end) {
        None | Some(Ok(())) => {}
        Some(Err(error)) if error.kind() == ErrorKind::Other => {
            return refuse(500, &error.to_string(), response);
        }
        // The client has not sent it, and is not sent this.
        Some(Err(_)) => {
            response.status(500);
            return;
        }
    }
    let mut cx = Context::from_waker(Waker::noop());
    if is_streamed(&body) {
        let frames = Frames::new(body);
        let size = frames.body.size_hint();
        let next = |frames: &mut Frames<B>| match frames
            .poll_next(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => Poll::Ready(Some(Err(WAITS.into()))),
            ready => ready,
        };
        let source = source(frames, &parts, Pauses::UNTIL_WOKEN, next);
        return Reply::streamed(parts, size.exact(), source).fill(is_head, response);
    }
    let mut whole = Collected::default();
    match whole.poll_rest(pin!(body), usize::MAX, &mut cx) {
        Poll::Ready(Ok(())) => Reply::whole(parts, whole).fill(is_head, response),
        Poll::Ready(Err(error)) => refuse(500, &error.to_string(), response),
        Poll::Pending => refuse(500, WAITS, response),
    }
}

const WAITS: &str = "the body waits, and the handler is not async";
