//! The rest of a body that is too long for a buffer.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::buffers::Buffers;
use crate::stream::{Pull, Source, Streamed};

/// A body, or the rest of one, of which each piece is generated when the one before is sent.
#[derive(Debug)]
pub(crate) enum Tail {
    Repeated(Repeat),
    Made(Box<Made>),
}

/// A body that the service makes while it is sent. It is boxed, so that the session of a connection is as
/// small as without it.
#[derive(Debug)]
pub(crate) enum Made {
    Read(FromReader),
    Streamed(Streamed),
}

impl Tail {
    pub(crate) const NONE: Tail = Tail::Repeated(Repeat {
        pattern: &[],
        offset: 0,
        left: 0,
    });

    pub(crate) fn reader(reader: Box<dyn Read + Send>, bytes: u64) -> Tail {
        // The largest number stands for an unknown length.
        let left = bytes.min(u64::MAX - 1);
        Tail::Made(Box::new(Made::Read(FromReader { reader, left })))
    }

    pub(crate) fn stream(source: Box<dyn Source>, bytes: Option<u64>) -> Tail {
        Tail::Made(Box::new(Made::Streamed(Streamed::new(source, bytes))))
    }

    /// How many bytes are missing; the largest number if that is unknown.
    pub(crate) fn left(&self) -> u64 {
        match self {
            Tail::Repeated(repeat) => repeat.left,
            Tail::Made(made) => match &**made {
                Made::Read(reader) => reader.left,
                Made::Streamed(_) => u64::MAX,
            },
        }
    }

    /// The stream that this is, if its length is unknown.
    pub(crate) fn as_stream(&mut self) -> Option<&mut Streamed> {
        match self {
            Tail::Made(made) => match &mut **made {
                Made::Streamed(streamed) => Some(streamed),
                Made::Read(_) => None,
            },
            Tail::Repeated(_) => None,
        }
    }

    /// Appends about `bytes_max` bytes to the output of the worker, and says when to go on. `asked`: whether
    /// the server drains, and the time.
    ///
    /// # Errors
    /// The reader has failed, or ended before the announced length; or the source has failed.
    pub(crate) fn fill(
        &mut self,
        bytes_max: usize,
        asked: (bool, Instant),
        buffers: &mut Buffers,
    ) -> Result<Pull> {
        match self {
            Tail::Repeated(repeat) => repeat.fill(&mut buffers.output, bytes_max),
            Tail::Made(made) => match &mut **made {
                Made::Read(reader) => reader.fill(&mut buffers.output, bytes_max)?,
                Made::Streamed(streamed) => {
                    let (bytes, output) = (&mut buffers.body, &mut buffers.output);
                    return streamed.fill(bytes, output, bytes_max, asked);
                }
            },
        }
        Ok(Pull::More)
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
