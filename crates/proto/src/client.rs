//! What a session keeps about its client where that is asked for. It is boxed, since usually it is not.

use std::any::Any;
use std::time::Instant;

use crate::peer::PeerLookup;

/// What is known of a client, and kept for it.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// When the bytes that were received last had come.
    pub(crate) arrived: Option<Instant>,
    /// When it was refused last, or is going to be.
    pub(crate) refused: Option<Instant>,
    /// What is to be dropped once the delay of the present response is over: for the service, and for an
    /// observer.
    pub(crate) held: [Option<Box<dyn Any + Send + Sync>>; 2],
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Whose connection it came on.
    pub(crate) peer_lookup: &'a PeerLookup,
    /// What the driver knows of the client.
    pub(crate) client: Option<&'a Client>,
    /// When the worker had received all of it.
    pub(crate) received: Instant,
}
