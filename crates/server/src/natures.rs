//! What a loop does with requests that are not quick.
//!
//! A model whose workers may wait calls every request alike. For a loop or a task, the service is
//! wrapped: each request that is not quick, by its nature, is called aside where the model can do that,
//! so that others go on with the connections of the loop. Where it cannot, the loop is held, and the
//! worker's block counts how often and for how long. A request whose body is received inside the call counts as one that blocks. A
//! service without such requests is not wrapped.

use std::sync::Arc;
use std::time::Instant;

use proto::{AsyncService, Intake, Lifecycle, Memory, Nature, Request, Response, Service};

use crate::{Block, Calls, Variant, board, log, receiving};

/// A service whose nature is obeyed.
struct Obeyed {
    service: &'static dyn Service,
    aside: Option<fn(&mut dyn FnMut())>,
    blocks: &'static [Block],
}

/// The service as the workers of `variant` are to call it. Says so if its slow requests will hold a loop.
pub(crate) fn obeyed(
    service: &'static dyn Service,
    model: &str,
    variant: &Variant,
    blocks: &'static [Block],
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
        blocks,
    }))
}

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl Service for Obeyed {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if request.has_upload() {
            return self.call_slow(request, response);
        }
        match self.service.nature(request) {
            Nature::Quick => self.service.call(request, response),
            Nature::Cpu | Nature::Blocking => self.call_slow(request, response),
        }
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        self.service.nature(request)
    }

    fn has_slow_requests(&self) -> bool {
        self.service.has_slow_requests()
    }

    fn memory(&self) -> Memory {
        self.service.memory()
    }

    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        self.service.lifecycle()
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        self.service.asynchronous()
    }

    fn awaits(&self) -> bool {
        self.service.awaits()
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        self.service.intake(request, bytes)
    }

    fn receives(&self) -> bool {
        self.service.receives()
    }
}

impl Obeyed {
    #[cold]
    #[inline(never)]
    fn call_slow(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if let Some(aside) = self.aside {
            aside(&mut || self.service.call(request, response));
            return;
        }
        let block = &self.blocks[request.place.worker as usize];
        let _held = HeldTimer(block, Instant::now());
        self.service.call(request, response);
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
