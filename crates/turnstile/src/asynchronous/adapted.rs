//! Services that await, of an [`Adapter`].

use std::convert::Infallible;
use std::sync::Arc;

use server::{Error, Place, Service};

use super::{Handler, service_of};
use crate::http::Adapter;

impl Adapter {
    /// A [`Service`] that awaits, as [`async_service`](crate::async_service) makes it.
    pub fn async_service<H: Handler>(self, handler: H) -> impl Service + Send + 'static {
        let handler = Arc::new(handler);
        service_of(self, move |_| Ok::<_, Infallible>(Arc::clone(&handler)))
    }

    /// The same for a handler that `build` makes once per process, after the fork.
    pub fn async_per_process<H: Handler, E: Into<Error>>(
        self,
        build: impl Fn(&Place) -> Result<H, E> + Send + Sync + 'static,
    ) -> impl Service + Send + 'static {
        service_of(self, build)
    }
}
