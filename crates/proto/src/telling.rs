//! How a session tells the observer of its worker.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::{Exchange, Request, Turn};

/// What an observer is told of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    pub(crate) received: Instant,
    pub(crate) wait: Duration,
}

/// Says that the service is about to be called.
#[cold]
#[inline(never)]
pub(crate) fn begin(received: Instant, turn: &mut Turn<'_>) {
    if let Some(observer) = &mut turn.scratch.observer {
        observer.begin(received, turn.now);
    }
}

/// Reports an exchange, if a driver wants to know.
#[cold]
#[inline(never)]
pub(crate) fn report(
    request: Option<&Request<'_>>,
    peer: Option<IpAddr>,
    outcome: Outcome,
    turn: &mut Turn<'_>,
) {
    if let Some(observer) = &mut turn.scratch.observer {
        observer.answered(&Exchange {
            request,
            peer,
            status: outcome.status,
            body_bytes: outcome.body_bytes,
            received: outcome.received,
            wait: outcome.wait,
        });
    }
}
