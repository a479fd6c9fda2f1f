//! Why a server does not start.

/// One line for the user, and what kind of failure it is: the two have different exit codes.
pub(crate) enum Refusal {
    /// The arguments cannot be used.
    Usage(String),
    /// The system has refused something: an address in use, no memory.
    Failure(String),
}
