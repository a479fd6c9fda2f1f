//! Services that are built where they run.
//!
//! | built | by | who has it |
//! |---|---|---|
//! | before the first fork | the program that makes the [`Service`] | threads share it; each process has a copy |
//! | once per process | [`per_process`] | the threads of that process share it: it is `Sync` |
//! | once per worker | [`per_worker`] | that worker alone: it is called by `&mut self` |
//! | before the first fork, in shared memory | [`SharedCounter`] | all processes share it |

mod counter;
mod slots;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::{
    AsyncService, Intake, Lifecycle, Memory, Nature, Place, Request, Response, Service,
    WorkerService,
};

pub use counter::SharedCounter;
pub(crate) use counter::serving_begins;
use slots::{Slot, Slots};

use crate::{Error, log};

/// A service that `build` makes once per process, after the fork. The threads of the process share it;
/// other processes have their own.
///
/// On a model whose workers are threads of one process it is built before the server listens. If it
/// cannot be built there, or in the first process of another model, the server ends with its error.
pub fn per_process<S, E>(
    build: impl Fn(&Place) -> Result<S, E> + Send + Sync + 'static,
) -> Built<S, SharedByThreads<S>>
where
    S: Service + Send + Sync + 'static,
    E: Into<Error>,
{
    let own = |shared: &Arc<S>, _: &Place| Ok::<_, Error>(SharedByThreads(Arc::clone(shared)));
    Built {
        inner: |shared| Some(shared),
        ..per_process_and_worker(build, own)
    }
}

/// A service that `build` makes once per worker: in the worker's process, for this worker alone, and on
/// most models before its first connection. It need not be [`Sync`]: no two threads have it at once.
pub fn per_worker<W, E>(
    build: impl Fn(&Place) -> Result<W, E> + Send + Sync + 'static,
) -> Built<(), W>
where
    W: WorkerService + 'static,
    E: Into<Error>,
{
    per_process_and_worker(
        |_| Ok::<_, Error>(()),
        move |_: &Arc<()>, place| build(place),
    )
}

/// Both: `shared` makes what the workers of one process share, and `own` what each of them has for
/// itself, which may keep a reference to the shared part.
pub fn per_process_and_worker<P, W, E, F>(
    shared: impl Fn(&Place) -> Result<P, E> + Send + Sync + 'static,
    own: impl Fn(&Arc<P>, &Place) -> Result<W, F> + Send + Sync + 'static,
) -> Built<P, W>
where
    P: Send + Sync + 'static,
    W: WorkerService + 'static,
    E: Into<Error>,
    F: Into<Error>,
{
    Built {
        build_shared: Box::new(move |place| shared(place).map_err(Into::into)),
        build_own: Box::new(move |shared, place| own(shared, place).map_err(Into::into)),
        inner: |_| None,
        memory: Memory::Any,
        slow: false,
        awaits: false,
        shared: Mutex::new(None),
        workers: Slots::default(),
    }
}

type BuildShared<P> = Box<dyn Fn(&Place) -> Result<P, Error> + Send + Sync>;
type BuildOwn<P, W> = Box<dyn Fn(&Arc<P>, &Place) -> Result<W, Error> + Send + Sync>;

/// A service of which a part is built in each process, and a part in each worker.
pub struct Built<P, W> {
    build_shared: BuildShared<P>,
    build_own: BuildOwn<P, W>,
    /// The shared part, if it is a service itself.
    inner: fn(&P) -> Option<&dyn Service>,
    memory: Memory,
    slow: bool,
    awaits: bool,
    /// What the workers of this process share.
    shared: Mutex<Option<Arc<P>>>,
    /// What each worker of this process has.
    workers: Slots<W>,
}

impl<P, W> Built<P, W> {
    /// The same, for models whose workers are threads of one process only: all requests must meet the
    /// same state. On other models the server does not start.
    pub fn in_one_process(self) -> Built<P, W> {
        self.with_memory(Memory::OneProcess)
    }

    /// The same, which says this of its memory, in the place of [`Memory::Any`].
    pub fn with_memory(mut self, memory: Memory) -> Built<P, W> {
        self.memory = memory;
        self
    }

    /// The same, of which every worker is [asynchronous](WorkerService::asynchronous): a model that cannot
    /// wait refuses it before it listens, when nothing is built yet.
    pub fn awaiting(mut self) -> Built<P, W> {
        self.awaits = true;
        self
    }

    /// The same, with requests that are not quick: models obey its nature. They must know before it is
    /// built, so it is to be said here, whatever the service itself says later.
    pub fn with_slow_requests(mut self) -> Built<P, W> {
        self.slow = true;
        self
    }
}

impl<P: Send + Sync, W: WorkerService> Built<P, W> {
    fn shared(&self, place: &Place) -> Result<Arc<P>, Error> {
        let mut shared = lock(&self.shared);
        if let Some(shared) = &*shared {
            return Ok(Arc::clone(shared));
        }
        let built = Arc::new((self.build_shared)(place)?);
        *shared = Some(Arc::clone(&built));
        Ok(built)
    }

    /// Whether the shared part is a service, is built, and says so.
    fn inner_says(&self, says: impl FnOnce(&dyn Service) -> bool) -> bool {
        let shared = lock(&self.shared);
        shared.as_deref().and_then(self.inner).is_some_and(says)
    }

    /// What the worker has at `place`. It is built if there is none, or if a panic has left it halfway.
    fn own<'s>(&'s self, place: &Place) -> Result<Slot<'s, W>, Error> {
        let mut slot = self.workers.lock(place.worker);
        if slot.is_none() {
            *slot = Some((self.build_own)(&self.shared(place)?, place)?);
        }
        Ok(slot)
    }
}

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl<P: Send + Sync, W: WorkerService> Service for Built<P, W> {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match self.own(request.place).as_deref_mut() {
            Ok(Some(own)) => own.call(request, response),
            Ok(None) => unreachable!("it was just built"),
            Err(error) => {
                log(format_args!(
                    "worker {}: the service cannot be built: {error}",
                    request.place.worker
                ));
                response
                    .status(503)
                    .content_type("text/plain")
                    .static_body(b"The service cannot be built.\n");
            }
        }
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        let slot = self.workers.lock(request.place.worker);
        slot.as_ref()
            .map_or(Nature::Quick, |own| own.nature(request))
    }

    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        match self.own(request.place).as_deref() {
            Ok(Some(own)) => own.intake(request, bytes),
            // The client learns why once it asks for less.
            Ok(None) | Err(_) => Intake::Refuse,
        }
    }

    fn receives(&self) -> bool {
        self.inner_says(|inner| inner.receives())
            || self.workers.first(W::receives).unwrap_or(false)
    }

    fn has_slow_requests(&self) -> bool {
        self.slow || self.inner_says(|inner| inner.has_slow_requests())
    }

    fn memory(&self) -> Memory {
        match self.inner_says(|inner| inner.memory() == Memory::OneProcess) {
            true => Memory::OneProcess,
            false => self.memory,
        }
    }

    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        Some(self)
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        self.workers.first(W::asynchronous).flatten()
    }

    fn awaits(&self) -> bool {
        self.awaits || self.asynchronous().is_some()
    }
}

impl<P: Send + Sync, W: WorkerService> Lifecycle for Built<P, W> {
    fn start(&self, place: &Place) -> Result<(), Error> {
        self.own(place).map(drop)?;
        let shared = self.shared(place)?;
        match (self.inner)(&shared).and_then(Service::lifecycle) {
            Some(inner) => inner.start(place),
            None => Ok(()),
        }
    }

    fn end(&self) {
        // A worker that is still in a call is stuck in it, and the process ends without it.
        self.workers.clear();
        let shared = lock(&self.shared).take();
        let inner = shared.as_deref().and_then(self.inner);
        if let Some(lifecycle) = inner.and_then(Service::lifecycle) {
            lifecycle.end();
        }
    }
}

impl<P, W> fmt::Debug for Built<P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").finish_non_exhaustive()
    }
}

/// What a worker has of a service that the threads of its process share.
#[derive(Debug)]
pub struct SharedByThreads<S>(Arc<S>);

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl<S: Service + Send + Sync> WorkerService for SharedByThreads<S> {
    proto::pass_on!(0: nature, intake, asynchronous, receives);

    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.call(request, response);
    }
}

/// What is built under these locks is set whole or not at all, so a poisoned one can be used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
