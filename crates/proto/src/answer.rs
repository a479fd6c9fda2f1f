//! The call of the service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::Origin;
use crate::head::Head;
use crate::intake::Filled;
use crate::response::{Answer, Reply};
use crate::telling::Outcome;
use crate::{Intake, Method, Request, Response, Turn, status, telling};

/// The request as a service sees it, from this client, and received then.
#[inline(always)]
pub(crate) fn request<'a>(
    head: &Head<'a, 'a>,
    body: &'a [u8],
    filled: Option<&'a Filled>,
    origin: Origin<'a>,
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
        origin,
        filled,
    }
}

/// Asks the service what becomes of a large body. `None`: it has panicked.
#[cold]
pub(crate) fn intake(
    head: &Head<'_, '_>,
    bytes: Option<u64>,
    origin: Origin<'_>,
    turn: &Turn<'_>,
) -> Option<Intake> {
    let request = request(head, b"", None, origin, turn);
    catch_unwind(AssertUnwindSafe(|| turn.service.intake(&request, bytes))).ok()
}

/// Calls the service, and writes its response to the output of the worker. `None`: it has panicked, and
/// a part of the response may be written.
#[inline]
pub(crate) fn answer(
    head: &Head<'_, '_>,
    body: &[u8],
    filled: Option<&Filled>,
    origin: Origin<'_>,
    turn: &mut Turn<'_>,
) -> Option<Answer> {
    let observed = turn.scratch.observer.is_some();
    if observed {
        telling::begin(origin.received, turn);
    }
    let request = request(head, body, filled, origin, turn);
    let (service, now, draining) = (turn.service, turn.now, turn.draining);
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let mut response = Response::new(&mut turn.scratch.buffers);
        service.call(&request, &mut response);
        // Read after the call, during which a drain may have begun.
        let persistent = head.persistent && draining.load(Ordering::SeqCst) == 0;
        let outcome = observed.then(|| (response.status_code(), response.body_bytes()));
        let reply = Reply {
            persistent,
            minor_version: head.minor_version,
            head: head.method == Method::Head,
        };
        (response.finish(now, &reply), outcome)
    }));
    turn.scratch.served += 1;
    let Ok((answer, outcome)) = answered else {
        failed(&request, observed, turn);
        return None;
    };
    if let Some((status, bytes)) = outcome {
        let outcome = Outcome {
            status,
            body_bytes: if reply_has_body(head.method, status) {
                bytes
            } else {
                0
            },
            received: request.origin.received,
            wait: answer.wait.unwrap_or_default(),
        };
        telling::report(Some(&request), request.known_ip(), outcome, turn);
    }
    Some(answer)
}

pub(crate) fn reply_has_body(method: Method<'_>, status: u16) -> bool {
    method != Method::Head && status != 204 && status != 304
}

/// The service has panicked; the session answers with 500.
#[cold]
#[inline(never)]
pub(crate) fn failed(request: &Request<'_>, observed: bool, turn: &mut Turn<'_>) {
    turn.scratch.panicked += 1;
    if observed {
        let outcome = Outcome {
            status: 500,
            body_bytes: status::explanation(500).len() as u64,
            received: request.origin.received,
            wait: Duration::ZERO,
        };
        telling::report(Some(request), request.known_ip(), outcome, turn);
    }
}
