//! The call of the service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::head::Head;
use crate::intake::Filled;
use crate::response::Reply;
use crate::tail::Tail;
use crate::{Intake, Method, Request, Response, Turn};

/// What the session must know of a response that was written.
pub(crate) struct Answer {
    /// The rest of the body.
    pub(crate) tail: Tail,
    /// How long to delay the response.
    pub(crate) wait: Option<Duration>,
    /// Whether another request may follow on this connection.
    pub(crate) persistent: bool,
}

/// The request as a service sees it.
#[inline(always)]
pub(crate) fn request<'a>(
    head: &Head<'a, 'a>,
    body: &'a [u8],
    filled: Option<&'a Filled>,
    turn: &Turn<'a>,
) -> Request<'a> {
    Request {
        method: head.method,
        path: head.target.path,
        query: head.target.query,
        minor_version: head.minor_version,
        body,
        place: turn.place,
        served: turn.scratch.served,
        fields: head.fields,
        filled,
    }
}

/// Asks the service what becomes of a large body. `None`: it has panicked.
#[cold]
pub(crate) fn intake(head: &Head<'_, '_>, bytes: Option<u64>, turn: &Turn<'_>) -> Option<Intake> {
    let request = request(head, b"", None, turn);
    catch_unwind(AssertUnwindSafe(|| turn.service.intake(&request, bytes))).ok()
}

/// Calls the service, and writes its response to the output of the worker. `None`: it has panicked, and
/// a part of the response may be written.
#[inline]
pub(crate) fn answer(
    head: &Head<'_, '_>,
    body: &[u8],
    filled: Option<&Filled>,
    turn: &mut Turn<'_>,
) -> Option<Answer> {
    let request = request(head, body, filled, turn);
    let (service, now, draining) = (turn.service, turn.now, turn.draining);
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let mut response = Response::new(turn.scratch);
        service.call(&request, &mut response);
        // Read after the call, during which a drain may have begun.
        let persistent = head.persistent && draining.load(Ordering::SeqCst) == 0;
        let reply = Reply {
            persistent,
            minor_version: head.minor_version,
            head: head.method == Method::Head,
        };
        response.finish(now, &reply)
    }));
    turn.scratch.served += 1;
    answered.ok()
}
