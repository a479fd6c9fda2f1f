//! Exit statuses of the command.

/// Arguments that cannot be used.
pub(crate) const USAGE: u8 = 2;

/// By convention that of a process that SIGINT ends.
pub(crate) const INTERRUPTED: i32 = 130;
