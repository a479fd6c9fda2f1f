//! Services of which each process may have a copy.

use crate::{Memory, Service};

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
    crate::pass_on!(0: call, nature, intake, has_slow_requests, lifecycle, asynchronous, awaits, receives);

    fn memory(&self) -> Memory {
        Memory::Any
    }
}
