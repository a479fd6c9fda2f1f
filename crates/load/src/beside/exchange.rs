//! A connection that carries one request after another, moved on by whoever polls it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::class::Class;
use crate::judge::Judge;
use crate::reply::{Reader, Step, Verdict};

/// What has become of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing yet.
    Waiting,
    /// It has its reply.
    Answered(Verdict),
    /// It will never have one.
    Lost(Class),
}

/// A connection and the request it carries.
#[derive(Debug)]
pub(super) struct Exchange {
    socket: OwnedFd,
    reader: Reader,
    written_bytes: usize,
    /// The peer has taken bytes, so the connection is established.
    pub(super) established: bool,
}

impl Exchange {
    /// On a socket that is being connected.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            reader: Reader::new(),
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

    /// Begins the next request.
    pub(super) fn restart(&mut self) {
        self.written_bytes = 0;
    }

    /// Bytes of the request that are written.
    pub(super) fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    /// Writes the request as far as the socket takes it, then reads as much as there is.
    pub(super) fn advance(
        &mut self,
        request: &[u8],
        judge: &mut Judge,
        scratch: &mut [u8],
    ) -> Progress {
        if let Err(class) = self.send(request) {
            return Progress::Lost(class);
        }
        if !self.established {
            return Progress::Waiting;
        }
        loop {
            match self.receive(judge, scratch) {
                Ok(Some(progress)) => return progress,
                Ok(None) => {}
                Err(Errno::INTR) => {}
                Err(_) => return Progress::Waiting,
            }
        }
    }

    /// Writes what is left of `request`, which may be cut short to be continued later.
    pub(super) fn send(&mut self, request: &[u8]) -> std::result::Result<(), Class> {
        while self.written_bytes < request.len() {
            let rest = &request[self.written_bytes..];
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.established = true;
                    self.written_bytes += n;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) if self.established => return Err(Class::of_send(errno)),
                Err(errno) => return Err(Class::of_connect(errno)),
            }
        }
        Ok(())
    }

    /// Reads once, at most as much as `scratch` holds; nothing is decided when the reply goes on.
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing to read, and `EINTR`; other errors are lost requests.
    pub(super) fn receive(
        &mut self,
        judge: &mut Judge,
        scratch: &mut [u8],
    ) -> Result<Option<Progress>> {
        let n = match recv(&self.socket, &mut *scratch, RecvFlags::empty()) {
            Ok((n, _)) => n,
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => return Err(errno),
            Err(_) => return Ok(Some(Progress::Lost(Class::Reset))),
        };
        if n == 0 {
            let ended = self.reader.end(judge);
            return Ok(Some(
                ended.map_or(Progress::Lost(Class::EarlyEnd), Progress::Answered),
            ));
        }
        let mut input = &scratch[..n];
        Ok(match self.reader.next(judge, &mut input) {
            Step::More => None,
            Step::Broken => Some(Progress::Lost(Class::Malformed)),
            Step::Done(_) if !input.is_empty() => Some(Progress::Lost(Class::Malformed)),
            Step::Done(verdict) => Some(Progress::Answered(verdict)),
        })
    }
}
