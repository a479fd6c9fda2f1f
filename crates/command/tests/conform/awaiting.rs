//! This test binary as a server whose replies are awaited, on models that can, until a file is there.

use std::future::poll_fn;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use turnstile::{AsyncService, Fill, Pending, Request, Response, Service, pending};

/// First argument of a test binary that is to be that server: the flags of `turnstile serve` follow.
pub const AWAITING: &str = "--awaiting";

/// What is awaited: a file of this name in the folder that the query names.
pub const OPEN: &str = "open";

/// How soon it is looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
struct Flags {
    /// Awaits what it replies with
    #[arg(long)]
    awaiting: bool,
}

/// Becomes that server if the command line says so.
pub fn if_asked() -> Option<ExitCode> {
    let first = std::env::args().nth(1)?;
    (first == AWAITING).then(|| {
        turnstile::main_on_any(|flags: &Flags| match flags.awaiting {
            true => Ok(Awaiting),
            false => Err("it was not asked to await"),
        })
    })
}

struct Awaiting;

impl Service for Awaiting {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        response.status(501); // No row serves it on a model that cannot await.
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        Some(Arc::new(Awaiting))
    }
}

impl AsyncService for Awaiting {
    fn call(&self, request: &Request<'_>) -> Pending {
        let file = PathBuf::from(request.query.unwrap_or_default()).join(OPEN);
        pending(async move {
            poll_fn(|cx| looked_for(&file, cx)).await;
            let fill: Fill = Box::new(|response| {
                response.content_type("text/plain").body(b"open");
            });
            fill
        })
    }
}

/// A thread wakes who awaits it, since a test has no runtime of its own to do so.
fn looked_for(file: &std::path::Path, cx: &Context<'_>) -> Poll<()> {
    if file.exists() {
        return Poll::Ready(());
    }
    let waker = cx.waker().clone();
    thread::spawn(move || {
        thread::sleep(LOOK_EVERY);
        waker.wake();
    });
    Poll::Pending
}
