//! The log: lines on standard error.

use std::fmt;
use std::io::Write;

/// Writes one line to standard error, in one call, so that the lines of several processes do not
/// mix. Where standard error is closed, the line is lost.
pub fn log(line: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("turnstile: {line}\n").as_bytes());
}
