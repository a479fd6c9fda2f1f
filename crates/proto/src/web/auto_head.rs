//! HEAD for services that know GET.

use std::sync::Arc;

use crate::{AsyncService, Intake, Method, Nature, Pending, Request, Response, Service};

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

/// The request with GET in the place of HEAD.
fn as_get<'a>(request: &Request<'a>) -> Request<'a> {
    let method = match request.method {
        Method::Head => Method::Get,
        other => other,
    };
    Request { method, ..*request }
}

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl<S: Service> Service for AutoHead<S> {
    crate::pass_on!(0: has_slow_requests, memory, lifecycle, awaits, receives);

    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.call(&as_get(request), response);
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        self.0.nature(&as_get(request))
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        let service = self.0.asynchronous()?;
        Some(Arc::new(AutoHeadAsync(service)))
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        self.0.intake(&as_get(request), bytes)
    }
}

/// The same for workers that can await.
struct AutoHeadAsync(Arc<dyn AsyncService>);

impl AsyncService for AutoHeadAsync {
    fn call(&self, request: &Request<'_>) -> Pending {
        self.0.call(&as_get(request))
    }
}
