//! The error of a body.

/// Any error that a body may have.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
