//! A request, which borrows the receive buffer in which it was parsed.

use std::net::IpAddr;
use std::time::Instant;

use crate::client::Origin;
use crate::intake::Filled;
use crate::{Peer, Place, Sink, Upload};

/// A request method (RFC 9110 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names are the documentation.
pub enum Method<'a> {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Trace,
    Connect,
    Patch,
    /// A method this server does not know.
    Other(&'a str),
}

impl<'a> Method<'a> {
    pub(crate) fn parse(name: &'a str) -> Method<'a> {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "CONNECT" => Method::Connect,
            "PATCH" => Method::Patch,
            other => Method::Other(other),
        }
    }

    /// Its name, as it was received.
    pub fn name(&self) -> &'a str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Patch => "PATCH",
            Method::Other(name) => name,
        }
    }
}

/// One complete request: head and body. It borrows the receive buffer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: Method<'a>,
    /// Path of the target, with percent-encoding as received. Begins with `/`; for `OPTIONS *` it is `*`,
    /// and for CONNECT it is the authority.
    pub path: &'a str,
    /// What follows the first `?` of the target.
    pub query: Option<&'a str>,
    /// Minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// Body, with any chunked coding removed.
    pub body: &'a [u8],
    /// The worker that serves this request.
    pub place: &'a Place,
    /// How many requests this worker has served before this one.
    pub served: u64,
    pub(crate) fields: &'a [httparse::Header<'a>],
    pub(crate) origin: Origin<'a>,
    /// The body, if it was taken in pieces.
    pub(crate) filled: Option<&'a Filled>,
}

impl<'a> Request<'a> {
    /// Value of the first field called `name`, in upper or lower case, without white space around it.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// When its last bytes came: those may have waited in the socket before they were received, if the
    /// driver [knows](crate::Session::set_arrival) it.
    pub fn arrived(&self) -> Instant {
        let received = self.origin.received;
        let arrival = self.origin.client.and_then(|client| client.arrived);
        arrival.map_or(received, |arrived| arrived.min(received))
    }

    /// The other end of the connection. The kernel is asked once per connection, and only by those who call
    /// this. Behind a proxy it is the proxy; what that says of its client is in the fields, and is worth as
    /// much as the proxy is.
    pub fn peer(&self) -> Peer {
        self.origin.peer_lookup.ask()
    }

    /// The same, if [`peer`](Self::peer) was called on this connection before.
    pub fn known_peer(&self) -> Option<Peer> {
        self.origin.peer_lookup.known()
    }

    pub(crate) fn known_ip(&self) -> Option<IpAddr> {
        self.known_peer().and_then(|peer| peer.ip())
    }

    /// The sink to which the body was given, if there is one and it is an `S`. It can be taken once.
    pub fn take_sink<S: Sink>(&self) -> Option<Box<S>> {
        self.filled.and_then(Filled::take)
    }

    /// The body, if the service receives it inside this call, as it has said by
    /// [`Intake::Upload`](crate::Intake::Upload). It can be taken once.
    pub fn take_upload(&self) -> Option<Upload> {
        self.filled.and_then(Filled::take_upload)
    }

    /// Whether there is such a body, and it was not taken. The call may then wait for the client.
    pub fn has_upload(&self) -> bool {
        self.filled.is_some_and(Filled::has_upload)
    }

    /// All header fields in order, as name and value, without white space around the value.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.fields
            .iter()
            .map(|field| (field.name, field.value.trim_ascii()))
    }
}
