//! What a session keeps about its client where somebody asks for it. It is boxed, since usually nobody does.

use std::any::Any;
use std::net::IpAddr;
use std::time::Instant;

/// What is known of a client, and kept for it.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Its address.
    pub(crate) peer: Option<IpAddr>,
    /// When the bytes that were received last had come.
    pub(crate) arrived: Option<Instant>,
    /// What is to be dropped once the delay of the present response is over.
    pub(crate) held: Option<Box<dyn Any + Send + Sync>>,
}
