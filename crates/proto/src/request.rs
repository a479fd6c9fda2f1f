//! A request, parsed where it lies.

use crate::Place;

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
}

/// One whole request: head and body. It borrows the receive buffer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: Method<'a>,
    /// Path of the target, never empty: begins with `/`, or is `*` for `OPTIONS *`. Not decoded.
    pub path: &'a str,
    /// What follows the first `?` of the target.
    pub query: Option<&'a str>,
    /// Minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// Body, with any chunked coding removed.
    pub body: &'a [u8],
    /// The worker that serves this request.
    pub place: &'a Place,
    /// Requests this worker has served before this one.
    pub served: u64,
    pub(crate) fields: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// Value of the first field called `name` (any case), white space trimmed.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All header fields in order, as (name, value).
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.fields
            .iter()
            .map(|field| (field.name, field.value.trim_ascii()))
    }
}
