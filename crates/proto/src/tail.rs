//! The rest of a body that is too long for a buffer.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A body, or the rest of one, of which each piece is generated when the one before is sent.
#[derive(Debug)]
pub(crate) enum Tail {
    Repeated(Repeat),
    Read(FromReader),
}

impl Tail {
    pub(crate) const NONE: Tail = Tail::Repeated(Repeat {
        pattern: &[],
        offset: 0,
        left: 0,
    });

    /// How many bytes are missing.
    pub(crate) fn left(&self) -> u64 {
        match self {
            Tail::Repeated(repeat) => repeat.left,
            Tail::Read(reader) => reader.left,
        }
    }

    /// Appends up to `bytes_max` bytes to `output`.
    ///
    /// # Errors
    /// The reader has failed, or ended before the announced length.
    pub(crate) fn fill(&mut self, output: &mut Vec<u8>, bytes_max: usize) -> Result<()> {
        match self {
            Tail::Repeated(repeat) => {
                repeat.fill(output, bytes_max);
                Ok(())
            }
            Tail::Read(reader) => reader.fill(output, bytes_max),
        }
    }
}

/// A pattern, repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    pattern: &'static [u8],
    offset: usize,
    left: u64,
}

impl Repeat {
    pub(crate) fn new(pattern: &'static [u8], bytes: u64) -> Repeat {
        Repeat {
            pattern,
            offset: 0,
            left: bytes,
        }
    }

    pub(crate) fn fill(&mut self, output: &mut Vec<u8>, bytes_max: usize) {
        let mut room = bytes_max as u64;
        while room > 0 && self.left > 0 {
            let rest = &self.pattern[self.offset..];
            let bytes = (rest.len() as u64).min(room).min(self.left) as usize;
            output.extend_from_slice(&rest[..bytes]);
            self.offset = (self.offset + bytes) % self.pattern.len();
            self.left -= bytes as u64;
            room -= bytes as u64;
        }
    }
}

/// The next bytes of a reader.
pub(crate) struct FromReader {
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl FromReader {
    pub(crate) fn new(reader: Box<dyn Read + Send>, bytes: u64) -> FromReader {
        FromReader {
            reader,
            left: bytes,
        }
    }

    fn fill(&mut self, output: &mut Vec<u8>, bytes_max: usize) -> Result<()> {
        let room = self.left.min(bytes_max as u64) as usize;
        let mut end = output.len();
        output.resize(end + room, 0);
        let read = loop {
            if end == output.len() {
                break Ok(());
            }
            // The reader belongs to the service, whose panics end one connection only.
            let read = catch_unwind(AssertUnwindSafe(|| self.reader.read(&mut output[end..])));
            match read.unwrap_or_else(|_| Err(ErrorKind::Other.into())) {
                Ok(0) => break Err(Error::from(ErrorKind::UnexpectedEof)),
                Ok(bytes) => {
                    end += bytes;
                    self.left -= bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        output.truncate(end);
        read
    }
}

impl fmt::Debug for FromReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
