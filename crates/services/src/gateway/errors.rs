//! What a back end does wrong.

use std::io::{self, ErrorKind};

/// Whether it was too slow.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// An error of a back end that does not speak as it should.
pub fn nonsense(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the back end sent {what}"))
}
