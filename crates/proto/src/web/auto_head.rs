//! HEAD for services that know GET.

use crate::{Intake, Method, Nature, Request, Response, Service};

/// A service that is asked for HEAD as for GET: it need not know HEAD at all. The reply has the fields that
/// GET would have had, `Content-Length` included, and no body (RFC 9110 section 9.3.2).
///
/// ```
/// use proto::{AutoHead, Method, Request, Response};
///
/// fn only_get(request: &Request<'_>, response: &mut Response<'_>) {
///     match request.method {
///         Method::Get => drop(response.content_type("text/plain").body(b"hello")),
///         _ => drop(response.status(405).field("Allow", "GET, HEAD")),
///     }
/// }
///
/// let service = AutoHead(only_get);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AutoHead<S>(pub S);

impl<S> AutoHead<S> {
    fn as_get<'a>(request: &Request<'a>) -> Request<'a> {
        let method = match request.method {
            Method::Head => Method::Get,
            other => other,
        };
        Request { method, ..*request }
    }
}

impl<S: Service> Service for AutoHead<S> {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.call(&Self::as_get(request), response);
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        self.0.nature(&Self::as_get(request))
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        self.0.intake(&Self::as_get(request), bytes)
    }
}
