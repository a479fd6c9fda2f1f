//! The body of a request that is received while its handler reads it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Buf, Bytes};
use server::Upload;

/// Most bytes that are kept of a body which the response reads: its call is over when that is sent.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// The body, as a handler and its response may share it.
#[derive(Debug)]
pub(crate) struct Received(Mutex<State>);

#[derive(Debug)]
struct State {
    /// `None`: the handler has returned.
    upload: Option<Upload>,
    /// Room for a piece, if the last one was copied.
    room: Vec<u8>,
    /// Received after that, and not read.
    kept: VecDeque<Bytes>,
    /// How many bytes these are, if nothing else will come.
    left: Option<u64>,
}

impl Received {
    pub(crate) fn new(upload: Upload) -> Arc<Received> {
        Arc::new(Received(Mutex::new(State {
            upload: Some(upload),
            room: Vec::new(),
            kept: VecDeque::new(),
            left: None,
        })))
    }

    /// The next piece, for which this waits. `None`: the body is complete.
    pub(crate) fn next(&self) -> Option<io::Result<Bytes>> {
        self.lock().next()
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }

    pub(crate) fn left(&self) -> Option<u64> {
        let state = self.lock();
        match &state.upload {
            Some(upload) => upload.left(),
            None => state.left,
        }
    }

    /// The handler has returned: receives the rest if its response still has the body, and nothing else.
    ///
    /// # Errors
    /// The rest does not come, or is too large to be kept.
    pub(crate) fn end(this: &Weak<Received>) -> io::Result<()> {
        match this.upgrade() {
            Some(received) => received.lock().keep_rest(),
            None => Ok(()),
        }
    }

    /// What is done under this lock leaves a state that says how far it has come.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(upload) = &mut self.upload {
            return match upload.next(&mut self.room) {
                Ok(0) => None,
                // A handler that keeps small pieces should not keep a large buffer for each.
                Ok(bytes) if bytes < self.room.capacity() / 2 => {
                    Some(Ok(Bytes::copy_from_slice(&self.room)))
                }
                Ok(_) => Some(Ok(std::mem::take(&mut self.room).into())),
                Err(error) => Some(Err(error)),
            };
        }
        match self.kept.pop_front() {
            Some(piece) => {
                if let Some(left) = &mut self.left {
                    *left -= piece.len() as u64;
                }
                Some(Ok(piece))
            }
            None if self.left.is_some() => None,
            None => Some(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(upload) = &mut self.upload {
            return upload.read(buffer);
        }
        let Some(first) = self.kept.front_mut() else {
            return match self.left {
                Some(_) => Ok(0),
                None => Err(ErrorKind::NotConnected.into()),
            };
        };
        let bytes = buffer.len().min(first.len());
        first.copy_to_slice(&mut buffer[..bytes]);
        if first.is_empty() {
            self.kept.pop_front();
        }
        if let Some(left) = &mut self.left {
            *left -= bytes as u64;
        }
        Ok(bytes)
    }

    fn keep_rest(&mut self) -> io::Result<()> {
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        let mut bytes = 0;
        loop {
            if upload.next(&mut self.room)? == 0 {
                break;
            }
            bytes += self.room.len();
            if bytes > KEPT_BYTES_MAX {
                return Err(io::Error::other(
                    "a reply reads its request, which is too large",
                ));
            }
            self.kept.push_back(Bytes::copy_from_slice(&self.room));
        }
        self.left = Some(bytes as u64);
        Ok(())
    }
}
