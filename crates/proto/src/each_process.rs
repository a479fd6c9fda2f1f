//! Services of which each process may have a copy.

use std::sync::Arc;

use crate::{AsyncService, Intake, Lifecycle, Memory, Nature, Request, Response, Service};

/// A service of which each process may have its own copy, because it changes nothing, or only what all
/// processes share: it says [`Memory::Any`]. For closures and async handlers, which cannot say that
/// themselves.
///
/// ```
/// use proto::{EachProcess, Request, Response};
///
/// let greeting = "hello\n".to_owned();
/// let service = EachProcess(move |_: &Request<'_>, response: &mut Response<'_>| {
///     response.body(greeting.as_bytes());
/// });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EachProcess<S>(pub S);

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl<S: Service> Service for EachProcess<S> {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.call(request, response);
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        self.0.nature(request)
    }

    fn has_slow_requests(&self) -> bool {
        self.0.has_slow_requests()
    }

    fn memory(&self) -> Memory {
        Memory::Any
    }

    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        self.0.lifecycle()
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        self.0.asynchronous()
    }

    fn awaits(&self) -> bool {
        self.0.awaits()
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        self.0.intake(request, bytes)
    }

    fn receives(&self) -> bool {
        self.0.receives()
    }
}
