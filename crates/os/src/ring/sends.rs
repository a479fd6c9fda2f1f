//! Sends: their output lives here until it was sent.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::net::{RecvFlags, SendFlags};

use super::{Completion, Ring, SEND, assert_token, slot, sort};
use crate::Errno;

/// `MSG_WAITALL`: io_uring takes it for sends too, and then sends all or fails.
const WAITALL: SendFlags = SendFlags::from_bits_retain(RecvFlags::WAITALL.bits());

/// A send under way.
#[derive(Debug, Default)]
pub(super) struct Lent {
    pub(super) output: Vec<u8>,
    socket: RawFd,
    /// Bytes of it that were sent by earlier tries.
    sent: usize,
    /// It waits for room, and a completion will tell of it.
    pub(super) waiting: bool,
    /// It was taken back: what is unsent stays unsent.
    recalled: bool,
    /// What a try at submission said, if it did not succeed.
    pub(super) failed: Option<i32>,
}

impl Ring {
    /// Sends all of `output`, waiting for room as long as it takes. The descriptor must stay open
    /// until it completes.
    ///
    /// # Panics
    /// On a bad token, see [`receive`](Self::receive), or if a send of that token is under way.
    pub fn send(&mut self, socket: BorrowedFd<'_>, token: u64, output: Vec<u8>) {
        self.lend(socket, token, output, true);
        self.push_send(token);
    }

    /// The same for output after which nothing is to be done at once: that it was sent is told with
    /// the next batch, and ends no wait.
    ///
    /// The submission itself tries: with `MSG_DONTWAIT` the kernel neither polls nor hands the
    /// operation to a thread, and with `MSG_WAITALL` less than all counts as a failure. So silence
    /// (`IOSQE_CQE_SKIP_SUCCESS`) means that all was sent. Whatever else happened is a completion,
    /// and then the rest is sent in the other way, which waits. This module's tests hold the kernel
    /// to it.
    pub fn send_quietly(&mut self, socket: BorrowedFd<'_>, token: u64, output: Vec<u8>) {
        self.lend(socket, token, output, false);
        self.trying.push(token);
        self.push_send(token);
    }

    fn lend(&mut self, socket: BorrowedFd<'_>, token: u64, output: Vec<u8>, waiting: bool) {
        assert_token(token);
        let slot = slot(token);
        if self.lent.len() <= slot {
            self.lent.resize_with(slot + 1, Lent::default);
        }
        let lent = &mut self.lent[slot];
        assert!(lent.output.is_empty(), "one send of a token at a time");
        *lent = Lent {
            output,
            socket: socket.as_raw_fd(),
            sent: 0,
            waiting,
            recalled: false,
            failed: None,
        };
    }

    fn push_send(&mut self, token: u64) {
        let lent = &self.lent[slot(token)];
        let rest = &lent.output[lent.sent..];
        let (now, quiet) = if lent.waiting {
            (SendFlags::empty(), squeue::Flags::empty())
        } else {
            (SendFlags::DONTWAIT, squeue::Flags::SKIP_SUCCESS)
        };
        let entry = opcode::Send::new(Fd(lent.socket), rest.as_ptr(), rest.len() as u32)
            .flags((SendFlags::NOSIGNAL | WAITALL | now).bits() as i32);
        self.push(entry.build().user_data(token | SEND).flags(quiet));
    }

    /// Takes back a send: it completes, with `ECANCELED` unless all was sent before.
    pub fn cancel_send(&mut self, token: u64) {
        if let Some(lent) = self.lent.get_mut(slot(token)) {
            lent.recalled = true;
        }
        self.cancel(token | SEND);
    }

    /// A send that the submission has tried.
    pub(super) fn was_tried(&mut self, token: u64) -> Option<Completion> {
        let lent = &mut self.lent[slot(token)];
        match lent.failed.take().map(sort) {
            None => return Some(self.sent(token, Ok(()))),
            Some(Err(Errno::AGAIN | Errno::INTR)) => {}
            Some(Err(error)) => return Some(self.sent(token, Err(error))),
            Some(Ok(bytes)) => lent.sent += bytes,
        }
        lent.waiting = true;
        self.go_on(token)
    }

    /// A send that has waited for room.
    pub(super) fn waited(&mut self, token: u64, result: i32) -> Option<Completion> {
        match sort(result) {
            Err(error) => return Some(self.sent(token, Err(error))),
            Ok(bytes) => self.lent[slot(token)].sent += bytes,
        }
        self.go_on(token)
    }

    /// Sends the rest, if there is any and nobody has taken it back.
    fn go_on(&mut self, token: u64) -> Option<Completion> {
        let lent = &self.lent[slot(token)];
        if lent.sent == lent.output.len() {
            return Some(self.sent(token, Ok(())));
        }
        if lent.recalled {
            return Some(self.sent(token, Err(Errno::CANCELED)));
        }
        self.push_send(token);
        None
    }

    fn sent(&mut self, token: u64, done: Result<(), Errno>) -> Completion {
        let output = std::mem::take(&mut self.lent[slot(token)].output);
        let bytes = done.map(|()| output.len());
        Completion::Sent {
            token,
            output,
            bytes,
        }
    }
}

impl Drop for Ring {
    /// The kernel ends what is under way in its own time after the ring was closed; memory that it
    /// may still read is left to it.
    fn drop(&mut self) {
        for lent in &mut self.lent {
            std::mem::forget(std::mem::take(&mut lent.output));
        }
    }
}
