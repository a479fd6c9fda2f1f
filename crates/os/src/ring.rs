//! io_uring: operations that the kernel completes, on memory that the ring owns meanwhile.
//!
//! A [`Ring`] owns every byte that the kernel may touch later: the buffers that receives fill, and
//! the output of each send, which [`send`](Ring::send) takes and its completion returns. So nothing
//! that a caller does can free memory which the kernel is using.
//!
//! ```text
//!   accept, receive, send, cancel ─▶ submission queue ─┐
//!                                                      ├─ wait: one io_uring_enter per batch
//!   next ◀─ completion queue, sends tried ◀────────────┘
//! ```

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::net::SocketFlags;

use crate::Errno;

mod buffers;
mod completion;
mod probe;
mod sends;
mod token;

use buffers::Buffers;
pub use completion::Completion;
use sends::{Progress, Sends};
use token::Operation;

/// How large a ring is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Operations submitted at once; the kernel rounds up to a power of two.
    pub operations: usize,
    /// Completions that the completion queue holds.
    pub completions: usize,
    /// Receive buffers shared by all connections; rounded up to a power of two, at most 32,768.
    pub buffers: usize,
    /// Bytes of each.
    pub buffer_bytes: usize,
}

/// A ring and the memory it may touch.
pub struct Ring {
    ring: IoUring,
    buffers: Buffers,
    sends: Sends,
    /// Completions taken from the queue, and the next one to look at.
    batch: Vec<cqueue::Entry>,
    next: usize,
    /// An error of the ring itself, while it made room for a submission.
    broken: Option<Errno>,
}

/// Of accepted sockets.
const CLOEXEC: i32 = SocketFlags::CLOEXEC.bits() as i32;

/// Group of the receive buffers; there is one.
const GROUP: u16 = 0;

impl Ring {
    /// A ring of the calling thread, which alone may use it (`IORING_SETUP_SINGLE_ISSUER`), with
    /// completions run when it waits (`IORING_SETUP_DEFER_TASKRUN`).
    ///
    /// # Errors
    /// `ENOSYS` or `EPERM` where io_uring is forbidden or missing, `EINVAL` where the kernel is
    /// older than 6.1, `ENOMEM`.
    pub fn new(sizes: &Sizes) -> Result<Ring, Errno> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .setup_cqsize(sizes.completions as u32)
            .setup_clamp()
            .build(sizes.operations as u32)
            .map_err(errno)?;
        let buffers = Buffers::new(sizes.buffers, sizes.buffer_bytes)?;
        // SAFETY: the mapping behind `buffers` is never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.address(),
                buffers.count(),
                GROUP,
                0,
            )
        }
        .map_err(errno)?;
        Ok(Ring {
            ring,
            buffers,
            sends: Sends::default(),
            batch: Vec::new(),
            next: 0,
            broken: None,
        })
    }

    /// Accepts every connection at `listener`, with a completion for each, until one says that there
    /// are no more to come. `number` names the listener in the completions.
    pub fn accept_all(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let entry = opcode::AcceptMulti::new(fd(listener)).flags(CLOEXEC);
        self.push(entry.build().user_data(token::accept(number)));
    }

    /// Accepts one connection at `listener`.
    pub fn accept_one(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let none = std::ptr::null_mut();
        let entry = opcode::Accept::new(fd(listener), none, none.cast()).flags(CLOEXEC);
        self.push(entry.build().user_data(token::accept(number)));
    }

    /// Cancels the accept of `listener`; it completes with `ECANCELED` if it was under way.
    pub fn cancel_accept(&mut self, listener: u32) {
        self.cancel(token::accept(listener));
    }

    /// Completes once, when a connection waits at `listener`, and leaves it there.
    pub fn watch_listener(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let entry = opcode::PollAdd::new(fd(listener), u32::from(PollFlags::IN.bits()));
        self.push(entry.build().user_data(token::listener(number)));
    }

    /// Cancels the watch of `listener`; it completes with nothing found if it was under way.
    pub fn cancel_watch(&mut self, listener: u32) {
        self.cancel(token::listener(listener));
    }

    /// Receives from `socket` into buffers of the ring, with a completion for each, until one says that
    /// there are no more to come. `token` names the connection in the completions: a slot in the low
    /// half, and any 31 bits above it.
    ///
    /// # Panics
    /// On a token whose top bit is set, or whose slot is among the highest 16 of 32 bits.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, token: u64) {
        token::check(token);
        let entry = opcode::RecvMulti::new(fd(socket), GROUP);
        self.push(entry.build().user_data(token));
    }

    /// Cancels a receive; it completes with `ECANCELED`, after what was received before.
    pub fn cancel_receive(&mut self, token: u64) {
        self.cancel(token);
    }

    /// Sends all of `output`, waiting for room as long as necessary. The descriptor must stay open
    /// until the send has completed.
    ///
    /// # Panics
    /// On a bad token, see [`receive`](Self::receive), or if a send of that token is under way.
    pub fn send(&mut self, socket: BorrowedFd<'_>, token: u64, output: Vec<u8>) {
        self.sends.start(socket, token, output, false);
        self.push(self.sends.entry(token));
    }

    /// The same for output after which the connection has nothing to do at once: its completion comes
    /// with the next batch, and ends no wait.
    ///
    /// The submission itself tries: with `MSG_DONTWAIT` the kernel neither polls nor hands the
    /// operation to a thread, and with `MSG_WAITALL` less than all counts as a failure. So if there is
    /// no completion (`IOSQE_CQE_SKIP_SUCCESS`), all was sent. Otherwise the rest is sent as by
    /// [`send`](Self::send). The tests of this module check that the kernel behaves so.
    pub fn send_quietly(&mut self, socket: BorrowedFd<'_>, token: u64, output: Vec<u8>) {
        self.sends.start(socket, token, output, true);
        self.push(self.sends.entry(token));
    }

    /// Cancels a send; it completes, with `ECANCELED` unless all was sent before.
    pub fn cancel_send(&mut self, token: u64) {
        self.sends.cancel(token);
        self.cancel(token::send(token));
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data)
            .build()
            .user_data(token::CANCEL);
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS));
    }

    /// Completes once, when `readable` is readable.
    pub fn watch(&mut self, readable: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(fd(readable), u32::from(PollFlags::IN.bits()));
        self.push(entry.build().user_data(token::WATCH));
    }

    /// Submits everything, and waits for a completion or a signal, `timeout` at most.
    ///
    /// # Errors
    /// Only what leaves the ring unusable: `EBADR`, the kernel had to drop completions.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Errno> {
        self.buffers.recycle();
        self.buffers.publish();
        self.enter(1, timeout)?;
        self.collect();
        self.broken.take().map_or(Ok(()), Err)
    }

    fn enter(&mut self, want: usize, timeout: Option<Duration>) -> Result<(), Errno> {
        let submitter = self.ring.submitter();
        let done = match timeout {
            None => submitter.submit_and_wait(want),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                submitter.submit_with_args(want, &SubmitArgs::new().timespec(&timeout))
            }
        };
        match done.map_err(errno) {
            Ok(_) | Err(Errno::TIME | Errno::INTR) => Ok(()),
            // The kernel is short of memory for operations, or keeps completions until there is room
            // for them. Both pass.
            Err(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => {
                std::thread::sleep(SHORTAGE);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes all completions, and notes which tries of sends have failed. When everything was submitted
    /// and no completion is kept in the kernel, the other tries have succeeded.
    fn collect(&mut self) {
        self.batch.clear();
        self.next = 0;
        for entry in self.ring.completion() {
            if let Some(token) = token::sent(entry.user_data())
                && self.sends.try_failed(token, entry.result())
            {
                continue;
            }
            self.batch.push(entry);
        }
        let submission = self.ring.submission();
        if submission.is_empty() && !submission.cq_overflow() {
            self.sends.were_tried();
        }
    }

    /// The next completion of this batch. Its received bytes are valid until the next call.
    #[allow(clippy::should_implement_trait)] // The ring is not an iterator: it is used in between.
    pub fn next(&mut self) -> Option<Completion> {
        self.buffers.recycle();
        while let Some(token) = self.sends.next_tried() {
            let progress = self.sends.after_try(token);
            if let Some(sent) = self.go_on(token, progress) {
                return Some(sent);
            }
        }
        while let Some(entry) = self.batch.get(self.next) {
            let (data, flags) = (entry.user_data(), entry.flags());
            let (result, more) = (entry.result(), cqueue::more(flags));
            self.next += 1;
            match token::operation(data) {
                Operation::Cancel => {} // It came too late: the operation had completed.
                Operation::Watch => return Some(Completion::Readable),
                Operation::Listener { listener } => {
                    let found = result >= 0;
                    return Some(Completion::Waiting { listener, found });
                }
                Operation::Accept { listener } => {
                    // SAFETY: a result that is no error is a descriptor made for this completion,
                    // which nobody else has seen.
                    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
                    return Some(Completion::Accepted {
                        listener,
                        socket: completion::result(result).map(|fd| own(fd as RawFd)),
                        more,
                    });
                }
                Operation::Send { token } => {
                    let progress = self.sends.after_wait(token, result);
                    if let Some(sent) = self.go_on(token, progress) {
                        return Some(sent);
                    }
                }
                Operation::Receive { token } => {
                    let bytes = completion::result(result);
                    if let Some(buffer) = cqueue::buffer_select(flags) {
                        self.buffers.filled(buffer, bytes.unwrap_or(0));
                    }
                    return Some(Completion::Received { token, bytes, more });
                }
            }
        }
        None
    }

    /// Submits the rest of a send, unless it is at its end.
    fn go_on(&mut self, token: u64, progress: Progress) -> Option<Completion> {
        match progress {
            Progress::Done(completion) => Some(completion),
            Progress::Rest => {
                self.push(self.sends.entry(token));
                None
            }
        }
    }

    /// The bytes of the receive that [`next`](Self::next) has returned last.
    pub fn received(&self) -> &[u8] {
        self.buffers.received()
    }

    /// Queues an operation; where the queue is full, submits it first.
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: entries name no memory, or the output in `sends`, which moves neither with its
        // vector nor with `self` and is returned only after its completion.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.buffers.publish();
            if let Err(error) = self.enter(0, None) {
                self.broken = Some(error);
                return;
            }
        }
    }
}

/// How long the ring pauses when the kernel is short of memory for it.
const SHORTAGE: Duration = Duration::from_millis(1);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

fn fd(fd: BorrowedFd<'_>) -> Fd {
    Fd(fd.as_raw_fd())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
#[path = "ring/tests.rs"]
mod tests;
