//! Where a request is served.

/// Where a request is being served: what `GET /whoami` tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the model.
    pub model: &'static str,
    /// Name of the variant, `-` where the model has one only.
    pub variant: &'static str,
    /// Number of the worker, from 0.
    pub worker: u32,
}
