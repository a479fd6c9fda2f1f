//! Sends. Their output is here from the beginning of a send to its end.
//!
//! A send has up to two stages. A quiet one is first *tried*: the submission sends what the socket
//! takes at once, and success leaves no completion. Where that has not sent everything, and for all
//! other sends, the operation *waits* for room, and always leaves a completion.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::net::{RecvFlags, SendFlags};

use super::completion::{Completion, result};
use super::token::{self, slot};
use crate::Errno;

/// All sends under way.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// By the slot of their token.
    sends: Vec<Send>,
    /// Tokens of the sends that the next submission tries, and of those that the last one has tried.
    trying: Vec<u64>,
    tried: Vec<u64>,
    next_tried: usize,
}

/// A send under way, or none if its output is empty.
#[derive(Debug, Default)]
struct Send {
    output: Vec<u8>,
    socket: RawFd,
    /// How many bytes of it were sent.
    sent: usize,
    /// It waits for room, or will, and so leaves a completion.
    waits: bool,
    /// It was cancelled: the rest is not sent.
    cancelled: bool,
    /// The result of a try that has not sent everything.
    failed: Option<i32>,
}

/// What follows from a result.
pub(super) enum Progress {
    /// The send is at its end.
    Done(Completion),
    /// The rest is to be submitted: [`Sends::entry`].
    Rest,
}

/// `MSG_WAITALL`: for io_uring it means with a send that less than all is a failure.
const WAITALL: SendFlags = SendFlags::from_bits_retain(RecvFlags::WAITALL.bits());

impl Sends {
    /// Takes the output of a send; [`entry`](Self::entry) is to be submitted.
    ///
    /// # Panics
    /// On a bad token, and if a send of that token is under way.
    pub(super) fn start(
        &mut self,
        socket: BorrowedFd<'_>,
        token: u64,
        output: Vec<u8>,
        quietly: bool,
    ) {
        token::check(token);
        let slot = slot(token);
        if self.sends.len() <= slot {
            self.sends.resize_with(slot + 1, Send::default);
        }
        let send = &mut self.sends[slot];
        assert!(send.output.is_empty(), "one send of a token at a time");
        *send = Send {
            output,
            socket: socket.as_raw_fd(),
            sent: 0,
            waits: !quietly,
            cancelled: false,
            failed: None,
        };
        if quietly {
            self.trying.push(token);
        }
    }

    /// What to submit. It names the output, which stays here until the send is at its end.
    pub(super) fn entry(&self, token: u64) -> squeue::Entry {
        let send = &self.sends[slot(token)];
        let rest = &send.output[send.sent..];
        let (now, quiet) = if send.waits {
            (SendFlags::empty(), squeue::Flags::empty())
        } else {
            (SendFlags::DONTWAIT, squeue::Flags::SKIP_SUCCESS)
        };
        let entry = opcode::Send::new(Fd(send.socket), rest.as_ptr(), rest.len() as u32)
            .flags((SendFlags::NOSIGNAL | WAITALL | now).bits() as i32);
        entry.build().user_data(token::send(token)).flags(quiet)
    }

    /// Sends nothing more of it.
    pub(super) fn cancel(&mut self, token: u64) {
        if let Some(send) = self.sends.get_mut(slot(token)) {
            send.cancelled = true;
        }
    }

    /// Takes note of the result if it is that of a try.
    pub(super) fn try_failed(&mut self, token: u64, result: i32) -> bool {
        let send = &mut self.sends[slot(token)];
        if !send.waits {
            send.failed = Some(result);
        }
        !send.waits
    }

    /// Says that all sends to be tried were submitted, and the results of those that failed noted.
    pub(super) fn were_tried(&mut self) {
        self.tried.clear();
        self.next_tried = 0;
        std::mem::swap(&mut self.tried, &mut self.trying);
    }

    /// The next send that was tried.
    pub(super) fn next_tried(&mut self) -> Option<u64> {
        let token = self.tried.get(self.next_tried).copied();
        self.next_tried += usize::from(token.is_some());
        token
    }

    /// A send was tried; without a noted result, all of it was sent.
    pub(super) fn after_try(&mut self, token: u64) -> Progress {
        let send = &mut self.sends[slot(token)];
        match send.failed.take().map(result) {
            None => return self.done(token, Ok(())),
            Some(Err(Errno::AGAIN | Errno::INTR)) => {}
            Some(Err(error)) => return self.done(token, Err(error)),
            Some(Ok(bytes)) => send.sent += bytes,
        }
        send.waits = true;
        self.go_on(token)
    }

    /// A send that has waited has completed.
    pub(super) fn after_wait(&mut self, token: u64, sent: i32) -> Progress {
        match result(sent) {
            Err(error) => return self.done(token, Err(error)),
            Ok(bytes) => self.sends[slot(token)].sent += bytes,
        }
        self.go_on(token)
    }

    fn go_on(&mut self, token: u64) -> Progress {
        let send = &self.sends[slot(token)];
        if send.sent == send.output.len() {
            self.done(token, Ok(()))
        } else if send.cancelled {
            self.done(token, Err(Errno::CANCELED))
        } else {
            Progress::Rest
        }
    }

    fn done(&mut self, token: u64, done: Result<(), Errno>) -> Progress {
        let output = std::mem::take(&mut self.sends[slot(token)].output);
        let bytes = done.map(|()| output.len());
        Progress::Done(Completion::Sent {
            token,
            output,
            bytes,
        })
    }
}

impl Drop for Sends {
    /// After the ring was closed the kernel ends its operations in its own time. It may still read the
    /// output of sends, so that memory is never freed.
    fn drop(&mut self) {
        for send in &mut self.sends {
            std::mem::forget(std::mem::take(&mut send.output));
        }
    }
}
