//! Where a request is served.

/// Where a request is served, as `GET /whoami` reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the model.
    pub model: &'static str,
    /// Name of the variant, `-` if the model has one only.
    pub variant: &'static str,
    /// Number of the worker, from 0.
    pub worker: u32,
}
