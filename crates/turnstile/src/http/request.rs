//! A request as an [`http::Request`].

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use server::{Method, Request};

use super::{Adapter, Body};

/// A copy of `request` with this body, and with its [`Place`](crate::Place) as an extension.
///
/// # Errors
/// The status with which to refuse it: its target or a field is none by the rules of `http`.
pub(crate) fn request_of(
    request: &Request<'_>,
    body: Body,
    adapter: Adapter,
) -> Result<http::Request<Body>, u16> {
    let mut converted = http::Request::new(body);
    *converted.method_mut() = method_of(request.method).ok_or(501_u16)?;
    *converted.uri_mut() = uri_of(request).ok_or(400_u16)?;
    *converted.version_mut() = match request.minor_version {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    *converted.headers_mut() = headers_of(request).ok_or(400_u16)?;
    converted.extensions_mut().insert(*request.place);
    if adapter.peer {
        converted.extensions_mut().insert(request.peer());
    }
    Ok(converted)
}

/// A copy of the body that is in memory.
pub(crate) fn body_of(request: &Request<'_>) -> Body {
    Body::from(Bytes::copy_from_slice(request.body))
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

fn uri_of(request: &Request<'_>) -> Option<Uri> {
    let Some(query) = request.query else {
        return Uri::try_from(request.path).ok();
    };
    let target = [request.path, "?", query].concat();
    Uri::from_maybe_shared(Bytes::from(target)).ok()
}

fn headers_of(request: &Request<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(request.fields().count());
    for (name, value) in request.fields() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(headers)
}
