//! A request as an [`http::Request`].

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use server::{Method, Request};

use super::{Adapter, Body};

/// A copy of `request` with this body, and with what `adapter` adds to it.
///
/// # Errors
/// The status with which to refuse it: its target or a field is none by the rules of `http`.
pub(crate) fn request_of(
    request: &Request<'_>,
    body: Body,
    adapter: Adapter,
) -> Result<http::Request<Body>, u16> {
    let method = method_of(request.method).ok_or(501_u16)?;
    let (uri, headers) = SPARE
        .with_borrow_mut(|spare| {
            let uri = spare.uri_of(request)?;
            Some((uri, spare.headers_of(request)?))
        })
        .ok_or(400_u16)?;
    let mut converted = http::Request::new(body);
    *converted.method_mut() = method;
    *converted.uri_mut() = uri;
    *converted.headers_mut() = headers;
    if request.minor_version == 0 {
        *converted.version_mut() = Version::HTTP_10;
    }
    if adapter.place {
        converted.extensions_mut().insert(*request.place);
    }
    if adapter.peer {
        converted.extensions_mut().insert(request.peer());
    }
    Ok(converted)
}

/// A copy of the body that is in memory.
pub(crate) fn body_of(request: &Request<'_>) -> Body {
    Body::from(Bytes::copy_from_slice(request.body))
}

/// Takes back the fields of a response that was written, for the next request.
pub(crate) fn reuse(mut headers: HeaderMap) {
    if headers.capacity() <= SPARE_FIELDS_MAX {
        headers.clear();
        SPARE.with_borrow_mut(|spare| spare.headers = headers);
    }
}

/// Texts of heads are copied into pieces of memory of this size, which are used again once no code has a
/// part of one.
const PIECE_BYTES: usize = 8 << 10;

/// A larger table of fields is freed.
const SPARE_FIELDS_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::new(Spare {
        bytes: BytesMut::new(),
        headers: HeaderMap::new(),
    });
}

/// Memory of a thread, so that a request costs no allocation for each of its fields.
struct Spare {
    bytes: BytesMut,
    headers: HeaderMap,
}

impl Spare {
    /// A copy of `parts`, one behind the other.
    fn copy(&mut self, parts: &[&[u8]]) -> Bytes {
        let len = parts.iter().map(|part| part.len()).sum();
        if self.bytes.capacity() < len {
            self.bytes.reserve(len.max(PIECE_BYTES));
        }
        parts
            .iter()
            .for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.split().freeze()
    }

    fn uri_of(&mut self, request: &Request<'_>) -> Option<Uri> {
        let path = request.path.as_bytes();
        let target = match request.query {
            None => self.copy(&[path]),
            Some(query) => self.copy(&[path, b"?", query.as_bytes()]),
        };
        Uri::from_maybe_shared(target).ok()
    }

    fn headers_of(&mut self, request: &Request<'_>) -> Option<HeaderMap> {
        let mut headers = std::mem::take(&mut self.headers);
        headers.reserve(request.fields().count());
        for (name, value) in request.fields() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_maybe_shared(self.copy(&[value])).ok()?;
            headers.append(name, value);
        }
        Some(headers)
    }
}

fn method_of(method: Method<'_>) -> Option<http::Method> {
    Some(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
        Method::Trace => http::Method::TRACE,
        Method::Connect => http::Method::CONNECT,
        Method::Patch => http::Method::PATCH,
        Method::Other(name) => http::Method::from_bytes(name.as_bytes()).ok()?,
    })
}
