//! Where a request is served.

/// Where a request is served, as `GET /whoami` reports, and where a service is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the model.
    pub model: &'static str,
    /// Name of the variant, `-` if the model has one only.
    pub variant: &'static str,
    /// Number of the worker, from 0. Two workers of a server never have the same.
    pub worker: u32,
    /// Id of the process.
    pub process: u32,
    /// Id of the thread that was the worker when it began. 0: the worker has no thread yet, since its
    /// service is built before the server listens.
    pub thread: u32,
    /// Whether the worker that serves a connection serves no other meanwhile, so that it may wait for the
    /// pieces of a reply while it sends it.
    pub may_wait_to_send: bool,
}
