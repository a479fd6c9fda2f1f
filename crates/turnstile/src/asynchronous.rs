//! Services that await: `async fn` handlers, and what is a `tower::Service`.
//!
//! | model | how it awaits |
//! |---|---|
//! | async-tasks | in the task of the connection, with the runtime of the model |
//! | processes, threads, pools | the worker waits; each worker has a current-thread runtime of tokio, made with its first request |
//! | loops that call the service themselves, the proactor | not at all: one line at the start names the models that can |
//!
//! What a handler spawns goes on by itself on async-tasks only: the runtime of a worker runs while the
//! worker waits for a reply, and no longer.
//!
//! A reply of unknown or large size is streamed. A task awaits its next piece, a worker with one connection at
//! a time waits for it, and the loops of a pool, which send for all, look for it: at once, and then after 1 ms
//! and twice as long each time, 100 ms at most. A client that has closed its side (FIN) may still want the reply:
//! that it has gone is learnt when a piece is sent, or by a reset, after `--stream-ms-max` at the latest. A body that may be silent for long sends
//! something now and then, as `:\n\n` in server-sent events; otherwise it is kept until the drain.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use server::{
    AsyncService, Built, Error, Intake, Memory, Method, Pending, Place, Request, Response, Service,
    WorkerService, per_process_and_worker,
};
use tokio::runtime::Runtime;

use crate::http::{
    Adapter, BoxError, Collected, Frames, Pauses, Reply, body_of, is_streamed, refuse, request_of,
    source,
};

mod adapted;
mod answering;
mod handler;
mod large;
mod waiting;

use answering::Answering;
pub use handler::Handler;
use waiting::{COLLECTED_BYTES_MAX, Waiting};

/// How long a worker waits for a piece of a body before it looks whether the server drains.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a loop leaves a body alone that has no frame yet.
const PAUSES: Pauses = Pauses {
    first: Duration::from_millis(1),
    longest: LOOK_EVERY,
};

/// How often a loop looks for a frame before it pauses: at first, after the runtime has learned what is due,
/// and after it has run that.
const LOOKS: usize = 3;

/// An async handler as a service.
///
/// ```no_run
/// use std::time::Duration;
/// use turnstile::http::Body;
///
/// async fn slow(_: http::Request<Body>) -> http::Response<String> {
///     tokio::time::sleep(Duration::from_millis(50)).await;
///     http::Response::new("done\n".to_owned())
/// }
///
/// fn main() -> std::process::ExitCode {
///     let service = turnstile::async_service(slow);
///     turnstile::main_owned(&turnstile::models::async_tasks::MODEL, service)
/// }
/// ```
pub fn async_service<H: Handler>(handler: H) -> impl Service + Send + 'static {
    Adapter::new().async_service(handler)
}

/// An async handler that `build` makes once per process, after the fork: with a pool of connections to a
/// database, for example. See [`per_process`](crate::per_process).
pub fn async_per_process<H: Handler, E: Into<Error>>(
    build: impl Fn(&Place) -> Result<H, E> + Send + Sync + 'static,
) -> impl Service + Send + 'static {
    Adapter::new().async_per_process(build)
}

/// The service that waits, or awaits, for what `build` makes.
pub(crate) fn service_of<H: Handler, E: Into<Error>>(
    adapter: Adapter,
    build: impl Fn(&Place) -> Result<H, E> + Send + Sync + 'static,
) -> Built<H, impl WorkerService + 'static> {
    let own = move |handler: &Arc<H>, place: &Place| {
        Ok::<_, Error>(Waiting {
            handler: Arc::clone(handler),
            adapter,
            runtime: OnceLock::new(),
            may_wait_to_send: place.may_wait_to_send,
        })
    };
    per_process_and_worker(build, own).awaiting()
}

/// The same for a handler that was made before the server starts: each process has a copy of what it holds.
pub(crate) fn service_of_one<H: Handler>(
    adapter: Adapter,
    handler: H,
) -> impl Service + Send + 'static {
    let memory = match size_of::<H>() {
        0 => Memory::Any,
        _ => Memory::Unsaid,
    };
    let handler = Arc::new(handler);
    service_of(adapter, move |_| Ok::<_, Infallible>(Arc::clone(&handler))).with_memory(memory)
}

impl<H: Handler> WorkerService for Waiting<H> {
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        let request_method = request.method;
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return refuse(500, &format!("no runtime: {error}"), response),
        };
        let handled = match self.begin(request) {
            Ok(handled) => handled,
            Err(status) => return refuse(status, "it is no request of http", response),
        };
        let may_wait = self.may_wait_to_send;
        let reply = runtime.block_on(async {
            let (parts, body) = handled.await?.into_parts();
            if is_streamed(&body) {
                let frames = Frames::new(body);
                let bytes = frames.body.size_hint().exact();
                let lent = Lent(Some(Arc::clone(&runtime)));
                // Who sends for others does not wait for a frame.
                let (pauses, next): (_, Next<H::Body>) = match may_wait {
                    true => (Pauses::SHORT, wait_for),
                    false => (PAUSES, look_for),
                };
                let next = move |frames: &mut Frames<H::Body>| next(lent.runtime(), frames);
                let source = source(frames, &parts, pauses, next);
                return Ok(Reply::streamed(parts, bytes, source));
            }
            let (mut body, mut whole) = (pin!(body), Collected::default());
            poll_fn(|cx| whole.poll_rest(body.as_mut(), COLLECTED_BYTES_MAX, cx)).await?;
            Ok::<_, BoxError>(Reply::whole(parts, whole))
        });
        match reply {
            Ok(reply) => reply.fill(request_method == Method::Head, response),
            Err(error) => refuse(500, &error.to_string(), response),
        }
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        Some(Arc::new(Awaited {
            handler: Arc::clone(&self.handler),
            adapter: self.adapter,
        }))
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        large::intake(self, request, bytes)
    }
}

impl<H: Handler> Waiting<H> {
    fn begin(&self, request: &Request<'_>) -> Result<Handled<H>, u16> {
        begin(&self.handler, self.adapter, request)
    }
}

/// A worker's runtime, for as long as a body needs it. A loop may send the body, and may be the last to have the
/// runtime, if the worker has lost it by a panic: the loop does not wait for what still blocks in it.
struct Lent(Option<Arc<Runtime>>);

impl Lent {
    fn runtime(&self) -> &Runtime {
        self.0.as_deref().expect("it is taken when this is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take().and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

type Handled<H> =
    Pin<Box<dyn Future<Output = Result<http::Response<<H as Handler>::Body>, BoxError>> + Send>>;

/// Begins to handle a request, or goes on with one that has begun.
fn begin<H: Handler>(
    handler: &Arc<H>,
    adapter: Adapter,
    request: &Request<'_>,
) -> Result<Handled<H>, u16> {
    if let Some(begun) = request.take_sink::<large::Begun<H>>() {
        return Ok(Box::pin((*begun).complete()));
    }
    let request = request_of(request, body_of(request), adapter)?;
    Ok(Box::pin(handler.handle(request)))
}

/// How a worker comes by the next frame of a body.
type Next<B> = fn(&Runtime, &mut Frames<B>) -> Poll<Option<Result<Bytes, BoxError>>>;

/// The next frame, for a worker that waits for it. Pending: none has come yet, and it is time to look
/// whether the server drains.
fn wait_for<B: http_body::Body<Error: Into<BoxError>>>(
    runtime: &Runtime,
    frames: &mut Frames<B>,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    runtime.block_on(async {
        let next = poll_fn(|cx| frames.poll_next(cx));
        match tokio::time::timeout(LOOK_EVERY, next).await {
            Ok(next) => Poll::Ready(next),
            Err(_) => Poll::Pending,
        }
    })
}

/// The next frame, if it is there, for a loop that sends it. The runtime is that of the worker that has
/// begun the reply: between two looks it learns what has come and what is due, and runs what is ready.
fn look_for<B: http_body::Body<Error: Into<BoxError>>>(
    runtime: &Runtime,
    frames: &mut Frames<B>,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    runtime.block_on(async {
        for _ in 0..LOOKS {
            let next = poll_fn(|cx| Poll::Ready(frames.poll_next(cx))).await;
            if next.is_ready() {
                return next;
            }
            tokio::task::yield_now().await;
        }
        Poll::Pending
    })
}

/// A handler in a task, which awaits it.
struct Awaited<H> {
    handler: Arc<H>,
    adapter: Adapter,
}

impl<H: Handler> AsyncService for Awaited<H> {
    fn call(&self, request: &Request<'_>) -> Pending {
        let is_head = request.method == Method::Head;
        if let Some(begun) = request.take_sink::<large::Begun<H>>() {
            return Box::pin(Answering::new((*begun).complete(), is_head));
        }
        match request_of(request, body_of(request), self.adapter) {
            Ok(request) => Box::pin(Answering::new(self.handler.handle(request), is_head)),
            Err(status) => Box::pin(Answering::<Handled<H>, H::Body>::refused(status)),
        }
    }
}
