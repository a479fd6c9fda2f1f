//! A request that is answered by awaiting something, outside the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proto::{AsyncService, Pending};

use super::{Connection, Need};
use crate::Worker;

impl Connection {
    /// What is to be awaited for the request with which a staged connection [needs](Need::Compute) to compute,
    /// if the worker [begins](Worker::begin_with) requests where it receives them and has begun this one.
    #[inline]
    pub fn take_begun(&mut self) -> Option<Pending> {
        self.session.take_begun()
    }

    /// Begins to answer the request with which a staged connection needs to compute, if the worker has not
    /// begun it, and returns what is to be awaited. `Err`: it was answered at once, and this is needed next.
    pub fn begin(
        &mut self,
        service: &dyn AsyncService,
        worker: &mut Worker,
    ) -> Result<Pending, Need> {
        if worker.sheds() {
            self.compute(worker);
            return Err(self.step_rarely(worker));
        }
        let turn = worker.turn().1;
        let begun = catch_unwind(AssertUnwindSafe(|| {
            self.session.request(&turn, |request| service.call(request))
        }));
        match begun {
            Ok(Some(pending)) => Ok(worker.counted(pending)),
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

    /// Answers the request with what was awaited and is ready, and goes on. `None`: that has panicked.
    #[inline(always)]
    pub fn answer(&mut self, ready: Option<Pending>, worker: &mut Worker) -> Need {
        let (_, mut turn) = worker.turn();
        self.session.answer(ready, &mut turn);
        worker.count_awaited();
        self.step(worker)
    }
}
