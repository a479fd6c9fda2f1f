//! What a driver may learn of each exchange: one call before the service, one after it.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Request;

/// Is told of every request that a worker answers. A worker without one pays a comparison per request.
pub trait Observer: fmt::Debug + Send {
    /// The service is about to be called. What it is called for was complete at `received`, and the
    /// worker begins at `now`: in between it waited in a queue.
    fn begin(&mut self, received: Instant, now: Instant);

    /// A request was answered, by the service or by the session itself.
    fn answered(&mut self, exchange: &Exchange<'_>);

    /// The response that was reported last is delayed. What this returns is dropped once the delay is over,
    /// or the connection is.
    fn delayed(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        None
    }
}

/// A request and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The request. `None`: it was refused before it was understood, or the protocol is not HTTP.
    pub request: Option<&'a Request<'a>>,
    /// Address of the peer, if the driver has given it to the session.
    pub peer: Option<IpAddr>,
    /// Status of the response; 0 where the protocol has none.
    pub status: u16,
    /// Bytes of the response's body.
    pub body_bytes: u64,
    /// When the request was complete.
    pub received: Instant,
    /// How long the response is delayed beyond the service's call.
    pub wait: Duration,
}
