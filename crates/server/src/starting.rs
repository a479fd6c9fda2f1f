//! How a service that is built where it runs is started with each worker, and ends with its process.

use std::sync::atomic::Ordering;

use proto::{Memory, Place, Service};

use crate::refusal::Refusal;
use crate::{
    Block, Calls, Count, Listeners, MAY_WAIT, ONE_PROCESS, Server, Variant, log, receiving, signals,
};

/// Exit status of a worker process that has no service.
const UNSTARTED: i32 = 1;

/// Refuses a model that this service cannot run on, as far as that is known before it is built.
pub(crate) fn check(model: &str, variant: &Variant, service: &dyn Service) -> Result<(), Refusal> {
    let name = label(model, variant.name);
    let processes = has_several_processes(variant);
    check_service(&name, processes, variant.workers.calls, service).map_err(Refusal::Usage)
}

/// Whether its workers are processes, and may be several.
pub(crate) fn has_several_processes(variant: &Variant) -> bool {
    variant.workers.processes && variant.workers.count != Count::One
}

/// What there is to say of a service that holds something and says nothing of processes, to those who would
/// have it changed by all of them.
pub(crate) fn copies(
    model: &str,
    variant: &Variant,
    workers: usize,
    service: &dyn Service,
) -> Option<String> {
    let has_processes = has_several_processes(variant) && workers > 1;
    // A process for one connection that a super-server starts: its standard error may be the connection.
    let has_listeners = variant.needs.listeners != Listeners::None;
    let may_change = service.memory() == Memory::Unsaid && size_of_val(service) > 0;
    (has_processes && has_listeners && may_change).then(|| {
        format!(
            "{}: each process has its own copy of what this service holds, and what one changes the others do not \
             see; Service::memory (or EachProcess) says whether that is meant, per_process builds it in each, \
             and a SharedCounter is shared by all",
            label(model, variant.name)
        )
    })
}

fn check_service(
    name: &str,
    processes: bool,
    calls: Calls,
    service: &dyn Service,
) -> Result<(), String> {
    if processes && service.memory() == Memory::OneProcess {
        return Err(format!(
            "{name}: its workers are processes, and this service changes memory that all must share; \
             models with one process: {ONE_PROCESS}"
        ));
    }
    if calls == Calls::Loop && service.awaits() {
        return Err(format!(
            "{name}: a loop calls the service and must not wait, and this service is async; models that can: {MAY_WAIT}"
        ));
    }
    Ok(())
}

pub(crate) fn label(model: &str, variant: &str) -> String {
    match variant {
        "-" => model.to_owned(),
        _ => format!("{model}:{variant}"),
    }
}

impl Server {
    /// Whether worker `number` calls the service.
    fn calls_service(&self, number: usize) -> bool {
        match self.calls {
            // A front calls nothing; children beyond it do.
            Calls::Worker | Calls::Loop => {
                number < self.workers || (self.processes && number > self.workers)
            }
            Calls::ExtraThread => number >= self.workers,
            Calls::Task => true,
        }
    }

    /// Builds, before the server listens, what its workers need: where they are threads of this process,
    /// and their number is fixed.
    pub(crate) fn start_before_listening(&self, count: Count) -> Result<(), Refusal> {
        let Some(lifecycle) = self.lifecycle else {
            return Ok(());
        };
        if (self.processes && count != Count::One) || self.sharing == Listeners::None {
            return Ok(());
        }
        // A bound is no number of workers: most of these may never begin. One shows that it can be built.
        let first = match count {
            Count::UpTo(_) => 1,
            Count::One | Count::PerCpu | Count::Pool(_) => self.workers,
        };
        let numbers = match self.calls {
            Calls::ExtraThread => self.workers..self.blocks.len(),
            Calls::Worker | Calls::Loop | Calls::Task => 0..first,
        };
        for number in numbers {
            let place = Place {
                model: self.model,
                variant: self.variant,
                worker: number as u32,
                process: os::process::id(),
                thread: 0,
                may_wait_to_send: self.may_wait_to_send,
            };
            lifecycle.start(&place).map_err(|error| {
                Refusal::Failure(format!("the service cannot be built: {error}"))
            })?;
            self.blocks[number].is_started.store(true, Ordering::SeqCst);
        }
        self.check_built().map_err(Refusal::Usage)?;
        self.has_started();
        Ok(())
    }

    /// Takes note that the service was built for a worker, and says, the first time, what comes too late.
    fn has_started(&self) {
        let is_first = !self.board.has_started.swap(true, Ordering::SeqCst);
        let is_held =
            matches!(self.calls, Calls::Loop | Calls::Task) && !self.knew_of_slow_requests;
        if is_first && is_held && self.service.has_slow_requests() {
            log(format_args!(
                "{}: requests that compute or block hold the loop: the service said that it has some only when \
                 it was built; Built::with_slow_requests says it before",
                label(self.model, self.variant)
            ));
        }
        if is_first && !self.receives && !self.knew_of_receiving && self.service.receives() {
            receiving::say_late(&label(self.model, self.variant));
        }
    }

    /// Checks what only a service that is built tells.
    fn check_built(&self) -> Result<(), String> {
        let name = label(self.model, self.variant);
        check_service(&name, self.several_processes, self.calls, self.service)
    }

    /// Starts the service for a worker, once.
    #[inline]
    pub(crate) fn start_service(&self, place: &Place, block: &Block) {
        if let Some(lifecycle) = self.lifecycle {
            self.start_built(lifecycle, place, block);
        }
    }

    #[cold]
    #[inline(never)]
    fn start_built(&self, lifecycle: &dyn proto::Lifecycle, place: &Place, block: &Block) {
        if !self.calls_service(place.worker as usize)
            || block.is_started.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let (status, why) = match lifecycle.start(place) {
            Ok(()) => match self.check_built() {
                Ok(()) => {
                    self.has_started();
                    return;
                }
                Err(line) => (2, line),
            },
            Err(error) => (1, format!("the service cannot be built: {error}")),
        };
        if self.board.has_started.load(Ordering::SeqCst) {
            log(format_args!("worker {}: {why}", place.worker));
        } else if self.board.failed.swap(status, Ordering::SeqCst) == 0 {
            log(format_args!("error: {why}"));
            signals::end_server(self);
        }
        if self.processes {
            // The parent replaces it after a pause, unless the server ends.
            os::process::exit_now(UNSTARTED);
        }
        // A thread stays, and its service is built with a later request, if that is possible then.
    }

    /// Drops what was built in this process.
    #[inline]
    pub(crate) fn end_service(&self) {
        if let Some(lifecycle) = self.lifecycle {
            lifecycle.end();
        }
    }
}
