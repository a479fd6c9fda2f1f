//! A connection that carries one request after another; its owner polls it and calls `advance`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::checker::Checker;
use crate::error_class::ErrorClass;
use crate::reply::{Reader, Reading, Verdict};

/// What has become of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestState {
    /// Its reply is not complete.
    Waiting,
    /// Its reply is complete.
    Answered(Verdict),
    /// It will get no reply.
    Lost(ErrorClass),
}

/// A connection and the request that it carries.
#[derive(Debug)]
pub(super) struct Exchange {
    socket: OwnedFd,
    reader: Reader,
    written_bytes: usize,
    /// The peer has taken bytes, so the connection is established.
    pub(super) established: bool,
}

impl Exchange {
    /// Takes a socket that is being connected.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            reader: Reader::default(),
            written_bytes: 0,
            established: false,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Starts the next request.
    pub(super) fn restart(&mut self) {
        self.written_bytes = 0;
    }

    /// Bytes of the request that have been written.
    pub(super) fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    /// Writes as much of the request as the socket takes, then reads as much as there is.
    pub(super) fn advance(
        &mut self,
        request: &[u8],
        checker: &mut Checker,
        scratch: &mut [u8],
    ) -> RequestState {
        if let Err(class) = self.send(request) {
            return RequestState::Lost(class);
        }
        if !self.established {
            return RequestState::Waiting;
        }
        loop {
            match self.receive(checker, scratch) {
                Ok(Some(state)) => return state,
                Ok(None) => {}
                Err(Errno::INTR) => {}
                Err(_) => return RequestState::Waiting,
            }
        }
    }

    /// Writes what is left of `request`, which may be cut short to be continued later.
    pub(super) fn send(&mut self, request: &[u8]) -> std::result::Result<(), ErrorClass> {
        while self.written_bytes < request.len() {
            let rest = &request[self.written_bytes..];
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.established = true;
                    self.written_bytes += n;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) if self.established => return Err(ErrorClass::of_send(errno)),
                Err(errno) => return Err(ErrorClass::of_connect(errno)),
            }
        }
        Ok(())
    }

    /// Reads once, at most as much as `scratch` holds; `None` when the reply is not complete.
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing to read, and `EINTR`; other errors are lost requests.
    pub(super) fn receive(
        &mut self,
        checker: &mut Checker,
        scratch: &mut [u8],
    ) -> Result<Option<RequestState>> {
        let n = match recv(&self.socket, &mut *scratch, RecvFlags::empty()) {
            Ok((n, _)) => n,
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => return Err(errno),
            Err(_) => return Ok(Some(RequestState::Lost(ErrorClass::Reset))),
        };
        if n == 0 {
            let ended = self.reader.end(checker);
            return Ok(Some(ended.map_or(
                RequestState::Lost(ErrorClass::EarlyEnd),
                RequestState::Answered,
            )));
        }
        let mut input = &scratch[..n];
        Ok(match self.reader.next(checker, &mut input) {
            Reading::Incomplete => None,
            Reading::Malformed(_) => Some(RequestState::Lost(ErrorClass::Malformed)),
            Reading::Complete(_) if !input.is_empty() => {
                Some(RequestState::Lost(ErrorClass::Malformed))
            }
            Reading::Complete(verdict) => Some(RequestState::Answered(verdict)),
        })
    }
}
