//! A request that is answered by awaiting something, outside the connection.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use proto::{AsyncService, Fill, Pending, Request, Response, Service, Turn};

use super::{Connection, Need};
use crate::Worker;

impl Connection {
    /// Begins to answer the request with which a staged connection [needs](Need::Compute) to compute, and
    /// returns what is to be awaited. `Err`: it was answered at once, and this is needed next.
    pub fn begin(
        &mut self,
        service: &dyn AsyncService,
        worker: &mut Worker,
    ) -> Result<Pending, Need> {
        let turn = worker.turn().1;
        let begun = catch_unwind(AssertUnwindSafe(|| {
            self.session.request(&turn, |request| service.call(request))
        }));
        match begun {
            Ok(Some(pending)) => Ok(pending),
            // A line of another protocol, which no service answers.
            Ok(None) => {
                self.compute(worker);
                Err(self.step_rarely(worker))
            }
            Err(_) => Err(self.answer(None, worker)),
        }
    }

    /// Asks the source of a streamed reply for more, since it has said that it has some, and goes on.
    pub fn ask(&mut self, worker: &mut Worker) -> Need {
        let (_, mut turn) = worker.turn();
        self.session.ask(&mut turn);
        self.step_rarely(worker)
    }

    /// Answers the request with what was awaited, and goes on. `None`: that has panicked.
    pub fn answer(&mut self, filled: Option<Fill>, worker: &mut Worker) -> Need {
        let awaited = Awaited(Mutex::new(filled));
        let (_, turn) = worker.turn();
        self.session.compute(&mut Turn {
            service: &awaited,
            ..turn
        });
        self.session.keep_output(worker.scratch_mut());
        worker.count();
        self.step_rarely(worker)
    }
}

/// What was awaited, as a service for one call.
struct Awaited(Mutex<Option<Fill>>);

impl Service for Awaited {
    fn call(&self, _: &Request<'_>, response: &mut Response<'_>) {
        let filled = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match filled {
            Some(fill) => fill(response),
            // The panic was reported when it happened.
            None => resume_unwind(Box::new("the service has panicked")),
        }
    }
}
