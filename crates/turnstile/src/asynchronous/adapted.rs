//! Services that await, of an [`Adapter`].

use server::{Error, Place, Service};

use super::{Handler, service_of, service_of_one};
use crate::http::Adapter;

impl Adapter {
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
