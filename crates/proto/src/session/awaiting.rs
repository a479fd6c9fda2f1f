//! Requests whose replies are awaited: the service begins to answer where the request was received, and
//! what it returns stays with the session until the driver has awaited it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use crate::answer::request;
use crate::head::Head;
use crate::response::Reply;
use crate::service::Pending;
use crate::{Method, Request, Response, Service, Turn};

use super::begun::Begun;
use super::{Phase, Session};

impl Session {
    /// Has the service begin to answer a complete request, if it awaits; else keeps the request for
    /// [`compute`](Self::compute).
    ///
    /// An observer is told of a request when it is answered, so with one the request is kept, too.
    #[inline(never)]
    pub(super) fn begin_or_park(
        &mut self,
        head: &Head<'_, '_>,
        data: &[u8],
        body_bytes: usize,
        turn: &mut Turn<'_>,
    ) {
        let Some(service) = turn.scratch.begins_with() else {
            return self.park(data, body_bytes, turn);
        };
        let body = &data[head.bytes..];
        let request = request(head, body, None, self.origin(turn.now), turn);
        // What it makes of the request belongs to the service, whose panics end one connection only.
        match catch_unwind(AssertUnwindSafe(|| service.call(&request))) {
            Ok(pending) => {
                let to = Reply {
                    persistent: head.persistent,
                    minor_version: head.minor_version,
                    head: head.method == Method::Head,
                };
                self.phase = Phase::Begun(Begun {
                    pending: Some(pending),
                    to,
                });
            }
            Err(_) => {
                turn.scratch.served += 1;
                turn.scratch.panicked += 1;
                self.write_refusal(500, turn);
            }
        }
    }

    /// What is to be awaited for the request with which the session wants
    /// [`Want::Compute`](crate::Want::Compute), if the service has begun to answer it already.
    pub fn take_begun(&mut self) -> Option<Pending> {
        match &mut self.phase {
            Phase::Begun(begun) => begun.pending.take(),
            _ => None,
        }
    }

    /// Answers the request with which the session wants [`Want::Compute`](crate::Want::Compute) with what was
    /// awaited, and is ready. `None`: that has panicked.
    pub fn answer(&mut self, ready: Option<Pending>, turn: &mut Turn<'_>) {
        let Phase::Begun(Begun { to, .. }) = self.phase else {
            let awaited = Awaited(Mutex::new(ready));
            return self.compute(&mut Turn {
                service: &awaited,
                scratch: &mut *turn.scratch,
                ..*turn
            });
        };
        let start = turn.scratch.buffers.output.len();
        let (now, draining) = (turn.now, turn.draining);
        let answered = ready.and_then(|mut ready| {
            let written = catch_unwind(AssertUnwindSafe(|| {
                let mut response = Response::new(&mut turn.scratch.buffers);
                ready.as_mut().fill(&mut response);
                // Read now: a drain may have begun while it was awaited.
                let persistent = to.persistent && draining.load(Ordering::SeqCst) == 0;
                response.finish(now, &Reply { persistent, ..to })
            }));
            written.ok()
        });
        turn.scratch.served += 1;
        if answered.is_none() {
            turn.scratch.panicked += 1;
        }
        self.settle(answered, start, turn);
        self.update(turn);
    }
}

/// What was awaited, as a service for one call.
struct Awaited(Mutex<Option<Pending>>);

impl Service for Awaited {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        let ready = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready {
            Some(mut ready) => ready.as_mut().fill(response),
            // The panic was reported when it happened.
            None => resume_unwind(Box::new("the service has panicked")),
        }
    }
}
