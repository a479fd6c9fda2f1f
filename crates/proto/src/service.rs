//! The interface that users implement.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::{Intake, Place, Request, Response};

/// A service answers requests.
///
/// The chosen model calls it from its processes, threads, loops or tasks, from several of them at once.
/// So it takes `&self` and is `Sync`. A function with the arguments of [`call`](Service::call) is a
/// service.
///
/// A service is made before the first fork: threads share it, and each process has a copy of it. What
/// must be built where it runs has a [`Lifecycle`].
pub trait Service: Sync {
    /// Answers `request` by filling in `response`, which is an empty `200 OK` at first.
    ///
    /// # Panics
    /// If it panics, the request is answered with 500, and this connection is closed. The worker goes on.
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>);

    /// What answering `request` does to the worker that calls. Asked only of a service that
    /// [has slow requests](Service::has_slow_requests).
    fn nature(&self, request: &Request<'_>) -> Nature {
        let _ = request;
        Nature::Quick
    }

    /// Whether [`nature`](Service::nature) says of some requests that they are not quick. Then a model
    /// that would hold a loop meanwhile asks it of each request, and moves those off the loop where it
    /// has threads for that. Where it has none, the server says so at the start, and counts how often
    /// and for how long a loop was held.
    fn has_slow_requests(&self) -> bool {
        false
    }

    /// Whose memory the service changes.
    fn memory(&self) -> Memory {
        Memory::Unsaid
    }

    /// What is to be built and dropped in each process and each worker.
    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        None
    }

    /// The same service for a worker that can await. A service that has this waits in
    /// [`call`](Service::call), so it runs only on models whose workers may wait, or can await. `None`
    /// from a service that is not built yet says nothing.
    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        None
    }

    /// Whether the service is [asynchronous](Service::asynchronous), or will be once it is built. A model
    /// that cannot wait refuses it then before it listens.
    fn awaits(&self) -> bool {
        self.asynchronous().is_some()
    }

    /// What becomes of the body of `request`, which is larger than
    /// [`body_bytes_max`](crate::Limits::body_bytes_max): its length is `bytes`, or not known if it comes
    /// in chunks. Called once the head is complete and the body is known to be that large; smaller bodies
    /// are kept in memory without a question.
    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        let _ = (request, bytes);
        Intake::Refuse
    }

    /// Whether [`intake`](Service::intake) says of some requests that the service receives their bodies
    /// inside its calls ([`Intake::Upload`]). A model whose loop calls the service must not wait there: it
    /// refuses such bodies with 413, and the server says so at the start.
    fn receives(&self) -> bool {
        false
    }
}

impl<F: Fn(&Request<'_>, &mut Response<'_>) + Sync> Service for F {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self(request, response);
    }
}

/// Within an `impl Service`: the methods that are named, each passed on to the service in the field.
#[doc(hidden)]
#[macro_export]
macro_rules! pass_on {
    ($field:tt: $($method:ident),+) => { $($crate::pass_on!(@$method $field);)+ };
    (@call $field:tt) => {
        fn call(&self, request: &$crate::Request<'_>, response: &mut $crate::Response<'_>) {
            self.$field.call(request, response);
        }
    };
    (@nature $field:tt) => {
        fn nature(&self, request: &$crate::Request<'_>) -> $crate::Nature {
            self.$field.nature(request)
        }
    };
    (@intake $field:tt) => {
        fn intake(&self, request: &$crate::Request<'_>, bytes: Option<u64>) -> $crate::Intake {
            self.$field.intake(request, bytes)
        }
    };
    (@asynchronous $field:tt) => {
        fn asynchronous(&self) -> Option<std::sync::Arc<dyn $crate::AsyncService>> {
            self.$field.asynchronous()
        }
    };
    (@has_slow_requests $field:tt) => { $crate::pass_on!(@get $field has_slow_requests bool); };
    (@memory $field:tt) => { $crate::pass_on!(@get $field memory $crate::Memory); };
    (@lifecycle $field:tt) => {
        $crate::pass_on!(@get $field lifecycle Option<&dyn $crate::Lifecycle>);
    };
    (@awaits $field:tt) => { $crate::pass_on!(@get $field awaits bool); };
    (@receives $field:tt) => { $crate::pass_on!(@get $field receives bool); };
    (@get $field:tt $method:ident $type:ty) => {
        fn $method(&self) -> $type {
            self.$field.$method()
        }
    };
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

/// Whose memory a service changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Nothing is said of it. On a model of several processes each has a copy of what the service holds,
    /// and the server says so when it starts. A service that holds nothing, such as a function, need not
    /// say more.
    Unsaid,
    /// It changes none, or each process may have its own.
    Any,
    /// All workers must see the same, so they must be threads of one process. On other models the server
    /// does not start.
    OneProcess,
}

/// What a service builds where it runs. Processes share nothing that is built here; threads share what
/// the service lets them share.
pub trait Lifecycle: Sync {
    /// A worker begins at `place`. Called in its process, after the fork that has made it and before the
    /// worker's first request, once per worker.
    ///
    /// # Errors
    /// The worker cannot serve. If none ever could, the server ends with this error, else it tries again.
    fn start(&self, place: &Place) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The workers of this process have drained: drops what [`start`](Lifecycle::start) has built, in the
    /// order of their numbers, and what they share after them.
    fn end(&self);
}

/// What answers requests for one worker at a time, so it need not be [`Sync`] and may change itself.
pub trait WorkerService: Send {
    /// Answers `request` by filling in `response`, which is an empty `200 OK` at first.
    ///
    /// # Panics
    /// If it panics, the request is answered with 500. The next one finds a service that was built again.
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>);

    /// See [`Service::nature`].
    fn nature(&self, request: &Request<'_>) -> Nature {
        let _ = request;
        Nature::Quick
    }

    /// See [`Service::intake`].
    fn intake(&self, request: &Request<'_>, bytes: Option<u64>) -> Intake {
        let _ = (request, bytes);
        Intake::Refuse
    }

    /// See [`Service::receives`].
    fn receives(&self) -> bool {
        false
    }

    /// See [`Service::asynchronous`].
    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        None
    }
}

impl<F: FnMut(&Request<'_>, &mut Response<'_>) + Send> WorkerService for F {
    fn call(&mut self, request: &Request<'_>, response: &mut Response<'_>) {
        self(request, response);
    }
}

/// A service that answers after awaiting something.
pub trait AsyncService: Send + Sync {
    /// Takes what it needs of `request`, and returns what is to be awaited.
    fn call(&self, request: &Request<'_>) -> Pending;
}

/// A reply that must be awaited: of a future, [`pending`] makes one.
pub type Pending = Pin<Box<dyn AsyncReply>>;

/// Awaits what a reply depends on, and then fills it in.
pub trait AsyncReply: Send {
    /// As [`Future::poll`]. It is not called again once it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Fills in the response. Called once, when that was ready.
    fn fill(self: Pin<&mut Self>, response: &mut Response<'_>);
}

/// Fills in a response, once.
pub type Fill = Box<dyn FnOnce(&mut Response<'_>) + Send>;

/// The reply of a future, which says how to fill it in.
pub fn pending(future: impl Future<Output = Fill> + Send + 'static) -> Pending {
    Box::pin(Filled {
        future: Box::pin(future),
        fill: None,
    })
}

struct Filled {
    future: Pin<Box<dyn Future<Output = Fill> + Send>>,
    fill: Option<Fill>,
}

impl AsyncReply for Filled {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let fill = ready!(self.future.as_mut().poll(cx));
        self.fill = Some(fill);
        Poll::Ready(())
    }

    fn fill(mut self: Pin<&mut Self>, response: &mut Response<'_>) {
        if let Some(fill) = self.fill.take() {
            fill(response);
        }
    }
}
