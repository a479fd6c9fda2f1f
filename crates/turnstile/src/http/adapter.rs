//! What the faces of `http` do beside the usual.

use server::Service;

use super::{Body, BoxError, http_service_of};

/// How requests become [`http::Request`]s, for services that want more of them than the functions of the
/// same names give.
///
/// ```no_run
/// use turnstile::Peer;
/// use turnstile::http::{Adapter, Body};
///
/// fn who(request: http::Request<Body>) -> http::Response<String> {
///     let peer = request.extensions().get::<Peer>();
///     http::Response::new(peer.map_or_else(String::new, Peer::to_string))
/// }
///
/// fn main() -> std::process::ExitCode {
///     let service = Adapter::new().with_peer().http_service(who);
///     turnstile::main_owned(&turnstile::models::prefork::MODEL, service)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Adapter {
    pub(crate) peer: bool,
    pub(crate) place: bool,
    #[cfg_attr(not(feature = "async"), allow(dead_code))]
    pub(crate) large_bytes_max: u64,
}

impl Adapter {
    /// Nothing beside the usual.
    pub fn new() -> Adapter {
        Adapter::default()
    }

    /// Puts the [`Peer`](server::Peer) into the extensions of each request. The kernel is asked for it once
    /// per connection.
    #[must_use]
    pub fn with_peer(mut self) -> Adapter {
        self.peer = true;
        self
    }

    /// Puts the [`Place`](server::Place) where a request is served into its extensions.
    #[must_use]
    pub fn with_place(mut self) -> Adapter {
        self.place = true;
        self
    }

    /// A [`Service`] of a plain function, as [`http_service`](super::http_service) makes it.
    pub fn http_service<F, B>(self, handler: F) -> impl Service + Send + 'static
    where
        F: Fn(http::Request<Body>) -> http::Response<B> + Send + Sync + 'static,
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    {
        http_service_of(self, handler)
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use server::{Error, Place, Service};

    use super::Adapter;
    use crate::asynchronous::{Handler, service_of, service_of_one};

    impl Adapter {
        /// Gives the handler a request's body in pieces, as they come, if it is larger than
        /// [`body_bytes_max`](crate::Limits::body_bytes_max) and at most `bytes_max`. The handler begins with
        /// the first piece, and no more than 256 KiB wait for it to poll them.
        ///
        /// Where it has returned a response before the body has come, the rest is dropped, and the connection
        /// ends with the reply. A response whose own body polls that of the request is sent once the request
        /// is complete; up to 64 MiB wait for it in memory.
        ///
        /// On async-tasks the handler is a task of its own meanwhile; workers that hold one connection each
        /// run it whenever a piece has come. In pools a large body is refused with 413, as it is without
        /// this, because their loops receive for all.
        #[must_use]
        pub fn with_large_bodies(mut self, bytes_max: u64) -> Adapter {
            self.large_bytes_max = bytes_max;
            self
        }

        /// A [`Service`] that awaits, as [`async_service`](crate::async_service) makes it.
        pub fn async_service<H: Handler>(self, handler: H) -> impl Service + Send + 'static {
            service_of_one(self, handler)
        }

        /// The same for a handler that `build` makes once per process, after the fork.
        pub fn async_per_process<H: Handler, E: Into<Error>>(
            self,
            build: impl Fn(&Place) -> Result<H, E> + Send + Sync + 'static,
        ) -> impl Service + Send + 'static {
            service_of(self, build)
        }
    }
}

#[cfg(feature = "tower")]
mod tower {
    use server::{Error, Place, Service};
    use tower_service::Service as Tower;

    use super::{Adapter, Body, BoxError};
    use crate::tower::Cloned;

    impl Adapter {
        /// A [`Service`] of a `tower::Service`, as [`tower_service`](crate::tower_service) makes it.
        pub fn tower_service<S, B>(self, service: S) -> impl Service + Send + 'static
        where
            S: Tower<http::Request<Body>, Response = http::Response<B>>,
            S: Clone + Send + Sync + 'static,
            S::Future: Send + 'static,
            S::Error: Into<BoxError>,
            B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
        {
            self.async_service(Cloned::new(service))
        }

        /// The same for one that `build` makes once per process, after the fork.
        pub fn tower_per_process<S, B, E>(
            self,
            build: impl Fn(&Place) -> Result<S, E> + Send + Sync + 'static,
        ) -> impl Service + Send + 'static
        where
            S: Tower<http::Request<Body>, Response = http::Response<B>>,
            S: Clone + Send + Sync + 'static,
            S::Future: Send + 'static,
            S::Error: Into<BoxError>,
            B: http_body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
            E: Into<Error>,
        {
            self.async_per_process(move |place| build(place).map(Cloned::new))
        }
    }
}
