//! The interface that users implement.

use crate::{Intake, Request, Response};

/// A service answers requests.
///
/// The chosen model calls it from its processes, threads, loops or tasks, from several of them at once.
/// So it takes `&self` and is `Sync`. A function with the arguments of [`call`](Service::call) is a
/// service.
pub trait Service: Sync {
    /// Answers `request` by filling in `response`, which is an empty `200 OK` at first.
    ///
    /// # Panics
    /// If it panics, the request is answered with 500, and this connection is closed. The worker goes on.
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>);

    /// What answering `request` does to the worker that calls. This is information for choosing a model;
    /// no model schedules by it.
    fn nature(&self, request: &Request<'_>) -> Nature {
        let _ = request;
        Nature::Quick
    }

    /// What becomes of the body of `request`, which is larger than
    /// [`body_bytes_max`](crate::Limits::body_bytes_max): its length is `bytes`, or not known if it comes
    /// in chunks. Called once the head is complete and the body is known to be that large; smaller bodies
    /// are kept in memory without a question.
    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        let _ = (request, bytes);
        Intake::Refuse
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
