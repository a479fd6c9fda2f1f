//! The services under test, which behave badly each in its way.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use turnstile::http::{Body, BoxError};
use turnstile::{
    AutoHead, EachProcess, Memory, Nature, Place, Request, Response, ServeArgs, Service,
    SharedCounter, WorkerService,
};

/// Before a kind: the service of that kind, wrapped.
const AUTO_HEAD: &str = "auto-head ";

/// Serves a service of this kind with this model.
pub fn serve(kind: &str, model: &str, mut args: ServeArgs) -> std::process::ExitCode {
    let model = turnstile::models::choose(model, &mut args).unwrap();
    let (wraps, kind) = match kind.strip_prefix(AUTO_HEAD) {
        Some(kind) => (true, kind),
        None => (false, kind),
    };
    macro_rules! serve {
        ($service:expr) => {
            match wraps {
                true => {
                    turnstile::serve_with(model, &args, || Ok::<_, io::Error>(AutoHead($service)))
                }
                false => turnstile::serve_with(model, &args, || Ok::<_, io::Error>($service)),
            }
        };
    }
    match kind {
        "unbuildable-worker" => serve!(turnstile::per_worker(|_: &Place| Err::<Counting, _>(
            io::Error::other("no room for it")
        ))),
        "unbuildable-process" => serve!(turnstile::per_process(|_: &Place| Err::<Plain, _>(
            io::Error::other("no room for it")
        ))),
        "late-counter" => serve!(turnstile::per_process(|_: &Place| {
            SharedCounter::new().map(|_| Plain)
        })),
        "ordered" => serve!(ordered()),
        "nested" => serve!(turnstile::per_process(|_: &Place| Ok::<_, io::Error>(
            ordered()
        ))),
        "panics" => serve!(turnstile::per_worker(|_: &Place| Ok::<_, io::Error>(
            Counting(0)
        ))),
        "one-process" => serve!(OneProcess(AtomicU64::new(0))),
        "nested-one-process" => serve!(turnstile::per_process(|_: &Place| Ok::<_, io::Error>(
            OneProcess(AtomicU64::new(0))
        ))),
        "unsaid" => serve!(Unsaid(AtomicU64::new(0))),
        "unsaid-async" => {
            let held = Arc::new(());
            serve!(turnstile::async_service(move |request| {
                let _held = Arc::clone(&held);
                asynchronous(request)
            }))
        }
        "said" => serve!(EachProcess(Unsaid(AtomicU64::new(0)))),
        "plain" => serve!(Plain),
        "gate" => serve!(Gate::default()),
        "nested-gate" => serve!(turnstile::per_process(|_: &Place| Ok::<_, io::Error>(
            Gate::default()
        ))),
        "async" => serve!(turnstile::async_service(asynchronous)),
        "large" => serve!(crate::bodies::large()),
        "receives" => serve!(crate::uploads::receives()),
        "who" => serve!(crate::bodies::who()),
        other => panic!("no kind {other}"),
    }
}

/// Counts the requests of its worker, and panics when asked to.
struct Counting(u64);

impl WorkerService for Counting {
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0 += 1;
        assert_ne!(request.path, "/panic", "asked to");
        response.body(self.0.to_string().as_bytes());
    }
}

struct Said(String);

impl Drop for Said {
    fn drop(&mut self) {
        // In one write, so that the lines of several processes do not mix.
        let line = format!("{} dropped {}\n", std::process::id(), self.0);
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn ordered() -> impl Service + Send + 'static {
    turnstile::per_process_and_worker(
        |_: &Place| Ok::<_, io::Error>(Said("process".into())),
        |_: &Arc<Said>, place: &Place| {
            let said = format!("worker {}", place.worker);
            Ok::<_, io::Error>(Ordered(Said(said)))
        },
    )
}

struct Ordered(#[allow(dead_code)] Said); // It speaks when it is dropped.

impl WorkerService for Ordered {
    fn call(&mut self, _: &Request<'_>, _: &mut Response<'_>) {}
}

/// Every thread must see the same number.
struct OneProcess(AtomicU64);

impl Service for OneProcess {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        response.body(number.to_string().as_bytes());
    }

    fn memory(&self) -> Memory {
        Memory::OneProcess
    }
}

/// Holds a number, and does not say who must see it.
struct Unsaid(AtomicU64);

impl Service for Unsaid {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        response.body(number.to_string().as_bytes());
    }
}

/// Breaks a rule of the interface on each of its paths.
struct Plain;

impl Service for Plain {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match request.path {
            "/panic" => panic!("asked to"),
            "/length" => drop(response.field("Content-Length", "5").body(b"six...")),
            "/twice" => drop(response.body(b"first").body(b"second")),
            "/half" => drop(response.reader(Box::new(Half(true)), 10)),
            "/half-stream" => drop(response.stream(turnstile::reader(Half(true)))),
            "/never" => loop {
                std::thread::park();
            },
            _ => drop(response.body(b"plain")),
        }
    }
}

/// Four bytes, and then an error.
struct Half(bool);

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::take(&mut self.0) {
            return Err(io::Error::other("half-way"));
        }
        buffer[..4].copy_from_slice(b"half");
        Ok(4)
    }
}

/// `/wait` blocks its thread until another request, `/open`, comes.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Service for Gate {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let mut is_open = self.is_open.lock().unwrap();
        match request.path {
            "/wait" => {
                while !*is_open {
                    is_open = self.opened.wait(is_open).unwrap();
                }
            }
            "/open" => {
                *is_open = true;
                self.opened.notify_all();
            }
            _ => {}
        }
        response.body(request.path.as_bytes());
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        match request.path {
            "/wait" => Nature::Blocking,
            _ => Nature::Quick,
        }
    }

    fn has_slow_requests(&self) -> bool {
        true
    }
}

/// The same misbehaviour, awaiting.
async fn asynchronous(request: http::Request<Body>) -> http::Response<Frames> {
    tokio::task::yield_now().await;
    let (length, body) = match request.uri().path() {
        "/panic" => panic!("asked to"),
        "/never" => std::future::pending().await,
        "/length" => (Some("5"), Frames::of(&[Some("six...")], true)),
        "/half-small" => (None, Frames::of(&[Some("half"), None], true)),
        "/half" => (None, Frames::of(&[Some("half"), None], false)),
        "/method" => {
            let name = match *request.method() {
                http::Method::GET => "GET",
                _ => "another",
            };
            (None, Frames::of(&[Some(name)], true))
        }
        "/events" => (None, Frames::endless()),
        "/silent" => (None, Frames::silent()),
        "/frames" => (None, Frames::of(&[Some("one,"), Some("two")], false)),
        _ => (None, Frames::of(&[Some("async")], true)),
    };
    let is_endless = body.tick.is_some() && !body.is_silent;
    let mut response = http::Response::new(body);
    if is_endless {
        let media = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", media);
    }
    if let Some(length) = length {
        let value = http::HeaderValue::from_static(length);
        response.headers_mut().insert("content-length", value);
    }
    response
}

/// Frames, of which `None` is an error. Between two of them it waits. Or an event whenever it is time for
/// one, without end.
struct Frames {
    left: Vec<Option<&'static str>>,
    is_small: bool,
    waited: bool,
    /// After one frame it waits for ever.
    is_silent: bool,
    tick: Option<Pin<Box<tokio::time::Sleep>>>,
}

pub const EVENT: &str = "data: tick\n\n";

/// From one event to the next: longer than a worker waits before it looks whether the server drains.
const TICK: Duration = Duration::from_millis(150);

/// No row waits so long.
const SILENCE: Duration = Duration::from_secs(300);

impl Frames {
    fn of(frames: &[Option<&'static str>], is_small: bool) -> Frames {
        Frames {
            left: frames.iter().rev().copied().collect(),
            is_small,
            waited: false,
            is_silent: false,
            tick: None,
        }
    }

    fn silent() -> Frames {
        Frames {
            is_silent: true,
            ..Frames::endless()
        }
    }

    fn endless() -> Frames {
        Frames {
            tick: Some(Box::pin(tokio::time::sleep(Duration::ZERO))),
            ..Frames::of(&[], false)
        }
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let pause = if self.is_silent { SILENCE } else { TICK };
        if let Some(tick) = &mut self.tick {
            ready!(tick.as_mut().poll(cx));
            tick.as_mut().reset(tokio::time::Instant::now() + pause);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT.as_bytes())))));
        }
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop().map(|frame| {
            let frame = frame.ok_or("half-way")?;
            Ok(Frame::data(Bytes::from_static(frame.as_bytes())))
        }))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let mut hint = http_body::SizeHint::default();
        if self.is_small {
            hint.set_upper(100);
        }
        hint
    }
}
