//! A request whose body is larger than what is kept in memory: its handler begins before the body is
//! complete, and polls it as it comes.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use server::{Intake, Request, Sink};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use super::handler::Handler;
use super::waiting::{COLLECTED_BYTES_MAX, Waiting};
use crate::http::{Body, BoxError, Inlet, inflow, request_of};

/// How long a worker waits for its handler to poll before it looks whether the server drains.
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Handled<H> = Result<http::Response<<H as Handler>::Body>, BoxError>;

/// A handler that has begun, and the body that it is given.
pub(super) struct Begun<H: Handler> {
    inlet: Inlet,
    task: Option<JoinHandle<Handled<H>>>,
    /// That of the worker, which must run it. `None`: it runs by itself.
    runtime: Option<Arc<Runtime>>,
}

/// What becomes of a large body.
pub(super) fn intake<H: Handler>(
    waiting: &Waiting<H>,
    request: &Request<'_>,
    bytes: Option<u64>,
) -> Intake {
    let bytes_max = waiting.adapter.large_bytes_max;
    if bytes_max == 0 || bytes.is_some_and(|bytes| bytes > bytes_max) {
        return Intake::Refuse;
    }
    let runtime = match (Handle::try_current(), waiting.may_wait_to_send) {
        (Ok(_), _) => None,
        (Err(_), true) => match waiting.runtime() {
            Ok(runtime) => Some(runtime),
            Err(_) => return Intake::Refuse,
        },
        // A loop, which receives for others, too.
        (Err(_), false) => return Intake::Refuse,
    };
    let (inlet, outlet) = inflow(bytes);
    let Ok(request) = request_of(request, Body::pieces(outlet), waiting.adapter) else {
        return Intake::Refuse;
    };
    let handled = waiting.handler.handle(request);
    let ended = inlet.told_at_the_end();
    let task = async move {
        let _ended = ended;
        handled.await
    };
    let task = match &runtime {
        Some(runtime) => runtime.spawn(task),
        None => tokio::spawn(task),
    };
    let begun = Begun::<H> {
        inlet,
        task: Some(task),
        runtime,
    };
    Intake::Pieces(Box::new(begun), bytes_max)
}

impl<H: Handler> Begun<H> {
    /// The body is complete, or the handler wants no more of it: what is to be awaited.
    pub(super) fn complete(mut self) -> impl Future<Output = Handled<H>> + Send + 'static {
        self.inlet.end();
        let task = self.task.take();
        async move {
            let task = task.ok_or("it was awaited before")?;
            match task.await {
                Ok(handled) => handled,
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Lets the handler run until it has polled some of what waits, if it is this worker that runs it.
    fn run_handler(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(async {
                tokio::task::yield_now().await;
                let room = std::future::poll_fn(|cx| self.inlet.poll_room(cx));
                let _ = tokio::time::timeout(LOOK_EVERY, room).await;
            });
        }
    }
}

impl<H: Handler> Sink for Begun<H> {
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.inlet.push(piece);
        self.run_handler();
        if self.inlet.waiting() > COLLECTED_BYTES_MAX {
            return Err(io::Error::other(
                "a reply reads its request, which is too large",
            ));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        if self.inlet.is_full() {
            self.run_handler();
        }
        self.inlet.is_full()
    }

    fn has_enough(&self) -> bool {
        self.inlet.has_enough()
    }
}

impl<H: Handler> Drop for Begun<H> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
