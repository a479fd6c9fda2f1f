//! A worker that waits for its handlers.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};

use crate::http::Adapter;

/// Most bytes of a body that is collected before it is sent.
pub(super) const COLLECTED_BYTES_MAX: usize = 64 << 20;

/// A handler in a worker that waits for it.
pub(super) struct Waiting<H> {
    pub(super) handler: Arc<H>,
    pub(super) adapter: Adapter,
    /// Made with the first request: a worker that awaits needs none.
    pub(super) runtime: OnceLock<Arc<Runtime>>,
    pub(super) may_wait_to_send: bool,
}

impl<H> Waiting<H> {
    pub(super) fn runtime(&self) -> io::Result<Arc<Runtime>> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(Arc::clone(runtime));
        }
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
        Ok(Arc::clone(self.runtime.get_or_init(|| runtime)))
    }
}
