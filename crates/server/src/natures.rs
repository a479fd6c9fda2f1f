//! What a loop does with requests that are not quick.
//!
//! A model whose workers may wait calls every request alike. For a loop or a task, the service is
//! wrapped: each request that is not quick, by its nature, is called aside where the model can do that,
//! so that others go on with the connections of the loop. Where it cannot, the loop is held, and the
//! worker's block counts how often and for how long. A request whose body is received inside the call counts
//! as one that blocks. A service without such requests is not wrapped.
//!
//! What is called aside waits for no worker, but all of it shares the CPUs. So in an overload it is bounded
//! as workers are that share CPUs: see [`admission`](crate::admission).

use std::time::Instant;

use proto::{Limits, Nature, Request, Response, Service};

use crate::admission::{Call, Overloaded};
use crate::{Block, Board, Calls, Variant, board, log, receiving};

/// A service whose nature is obeyed.
struct Obeyed {
    service: &'static dyn Service,
    aside: Option<fn(&mut dyn FnMut())>,
    limits: Limits,
    board: &'static Board,
    blocks: &'static [Block],
}

/// The service as the workers of `variant` are to call it. Says so if its slow requests will hold a loop.
pub(crate) fn obeyed(
    service: &'static dyn Service,
    model: &str,
    variant: &Variant,
    limits: &Limits,
    (board, blocks): (&'static Board, &'static [Block]),
) -> &'static dyn Service {
    let holds = matches!(variant.workers.calls, Calls::Loop | Calls::Task);
    let is_slow = service.has_slow_requests();
    if !holds || !(is_slow || receiving::may_receive(variant, service)) {
        return service;
    }
    let aside = variant.needs.aside;
    if is_slow && aside.is_none() {
        log(format_args!(
            "{model}: requests that compute or block hold the loop, and all its connections wait; \
             models that can wait: {}",
            crate::MAY_WAIT
        ));
    }
    Box::leak(Box::new(Obeyed {
        service,
        aside,
        limits: limits.clone(),
        board,
        blocks,
    }))
}

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl Service for Obeyed {
    proto::pass_on!(service: nature, has_slow_requests, memory, lifecycle, intake, asynchronous, awaits, receives);

    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if request.has_upload() {
            return self.call_slow(request, response);
        }
        match self.service.nature(request) {
            Nature::Quick => self.service.call(request, response),
            Nature::Cpu | Nature::Blocking => self.call_slow(request, response),
        }
    }
}

impl Obeyed {
    #[cold]
    #[inline(never)]
    fn call_slow(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let block = &self.blocks[request.place.worker as usize];
        let Some(aside) = self.aside else {
            let _held = HeldTimer(block, Instant::now());
            return self.service.call(request, response);
        };
        match self.begin(request) {
            Some(_serving) => aside(&mut || self.service.call(request, response)),
            None => {
                board::add(&block.shed, 1);
                Overloaded::NOW.call(request, response);
            }
        }
    }

    /// Begins a call aside. `None`: it is to be refused. One that receives waits for its client, and may do so
    /// for long without a CPU: it takes no place of others.
    fn begin(&self, request: &Request<'_>) -> Option<Serving<'_>> {
        if self.limits.queue_delay_ms == 0 || request.has_upload() {
            return Some(Serving(self, None));
        }
        // How long it has waited in its socket was looked at by its loop.
        let now_ns = os::signal::monotonic_ns();
        let queue = &self.board.queue_delay;
        let call = queue.begin(None, now_ns, &self.limits)?;
        Some(Serving(self, Some(call)))
    }
}

/// A call aside counts in the window until this is dropped, by a panic too.
struct Serving<'o>(&'o Obeyed, Option<Call>);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.1.take().filter(Call::is_tracked) {
            self.0.board.queue_delay.end(call, &self.0.limits);
        }
    }
}

/// The loop of a worker is held until this is dropped, by a panic too.
struct HeldTimer(&'static Block, Instant);

impl Drop for HeldTimer {
    fn drop(&mut self) {
        board::add(&self.0.held, 1);
        board::add(&self.0.held_ns, self.1.elapsed().as_nanos() as u64);
    }
}
