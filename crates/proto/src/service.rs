//! What a user writes once.

use crate::{Request, Response};

/// A service: one request in, one response out.
///
/// It is called from whatever process, thread, loop or task the chosen model computes in, from
/// several of them at once, so it takes `&self` and is `Sync`. A plain function is a service.
pub trait Service: Sync {
    /// Answers `request` by filling in `response`, which starts as an empty `200 OK`.
    ///
    /// # Panics
    /// A panic ends this connection with a 500 where nothing was sent yet; the worker lives on.
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>);

    /// What answering `request` will do to the worker that calls: declared for whoever chooses a
    /// model. No model schedules by it yet.
    fn nature(&self, request: &Request<'_>) -> Nature {
        let _ = request;
        Nature::Quick
    }
}

impl<F: Fn(&Request<'_>, &mut Response<'_>) + Sync> Service for F {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self(request, response);
    }
}

/// What a call does to its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Never blocks, returns in microseconds.
    Quick,
    /// Burns CPU.
    Cpu,
    /// Waits inside the call.
    Blocking,
}
