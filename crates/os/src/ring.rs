//! io_uring: operations that complete, on memory that is the ring's own while they run.
//!
//! A [`Ring`] owns every byte that the kernel may touch later: the buffers that receives fill, and
//! the output of each send, which moves in with [`send`](Ring::send) and out again with its
//! completion. So nothing a caller does can free memory under the kernel.
//!
//! ```text
//!   accept, receive, send, cancel ─▶ submission queue ─┐
//!                                                      ├─ wait: one io_uring_enter a batch
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
mod sends;

use buffers::Buffers;
use sends::Lent;

/// How large a ring is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Operations submitted at once; the kernel rounds up to a power of two.
    pub operations: usize,
    /// Completions the kernel can leave before it has to keep them elsewhere.
    pub completions: usize,
    /// Receive buffers shared by all connections; rounded up to a power of two, at most 32,768.
    pub buffers: usize,
    /// Bytes of each.
    pub buffer_bytes: usize,
}

/// What came of an operation.
#[derive(Debug)]
pub enum Completion {
    /// A look at a listener.
    Accepted {
        /// The number it was asked with.
        listener: u32,
        /// The new connection, close-on-exec.
        socket: Result<OwnedFd, Errno>,
        /// The operation goes on.
        more: bool,
    },
    /// A receive. What came is [`Ring::received`] until the next completion is asked for.
    Received {
        /// Whose.
        token: u64,
        /// Bytes received, 0 for the peer's FIN. `ENOBUFS`: all buffers were taken; nothing is lost.
        bytes: Result<usize, Errno>,
        /// The operation goes on.
        more: bool,
    },
    /// A send. Its output is back.
    Sent {
        /// Whose.
        token: u64,
        /// What was to be sent.
        output: Vec<u8>,
        /// All of it, unless there was an error.
        bytes: Result<usize, Errno>,
    },
    /// What was watched is readable.
    Readable,
}

/// A ring and the memory it may touch.
pub struct Ring {
    ring: IoUring,
    buffers: Buffers,
    /// Sends under way, by the slot of their token.
    lent: Vec<Lent>,
    /// Sends that the next submission tries, and those that the last one has tried.
    trying: Vec<u64>,
    tried: Vec<u64>,
    batch: Vec<cqueue::Entry>,
    next_tried: usize,
    next: usize,
    /// An error of the ring itself, met while making room.
    broken: Option<Errno>,
}

/// In the low half of `user_data`, where connections have a slot number: what is no connection's.
const CANCEL: u64 = 0xffff_ffff;
const WATCH: u64 = 0xffff_fffe;
/// The number of the listener stands in the high half.
const ACCEPT: u64 = 0xffff_fffd;
/// Slots are numbered below this.
const SLOTS_MAX: u64 = 0xffff_fff0;
/// With a connection's token: its send; without: its receive.
const SEND: u64 = 1 << 63;

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
            lent: Vec::new(),
            trying: Vec::new(),
            tried: Vec::new(),
            batch: Vec::new(),
            next_tried: 0,
            next: 0,
            broken: None,
        })
    }

    /// Whether rings can be had here; if not, why, in one line.
    ///
    /// # Errors
    /// They cannot.
    pub fn probe() -> Result<(), String> {
        let smallest = Sizes {
            operations: 1,
            completions: 2,
            buffers: 1,
            buffer_bytes: 1,
        };
        Ring::new(&smallest).map(drop).map_err(refusal)
    }

    /// Completes with every connection at `listener`, until it says that there is no more to come.
    pub fn accept_all(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let entry = opcode::AcceptMulti::new(fd(listener)).flags(CLOEXEC);
        self.push(entry.build().user_data(accept_data(number)));
    }

    /// Completes with one connection at `listener`.
    pub fn accept_one(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let none = std::ptr::null_mut();
        let entry = opcode::Accept::new(fd(listener), none, none.cast()).flags(CLOEXEC);
        self.push(entry.build().user_data(accept_data(number)));
    }

    /// Takes back the accept of `listener`; it completes with `ECANCELED` if it was under way.
    pub fn cancel_accept(&mut self, listener: u32) {
        self.cancel(accept_data(listener));
    }

    /// Completes with everything that `socket` receives, in buffers of the ring, until it says that
    /// there is no more to come.
    ///
    /// # Panics
    /// On a token whose top bit is set or whose low half, the slot, is above four billion.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, token: u64) {
        assert_token(token);
        let entry = opcode::RecvMulti::new(fd(socket), GROUP);
        self.push(entry.build().user_data(token));
    }

    /// Takes back a receive; it completes with `ECANCELED`, after what had come before.
    pub fn cancel_receive(&mut self, token: u64) {
        self.cancel(token);
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data)
            .build()
            .user_data(CANCEL);
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS));
    }

    /// Completes once, when `fd` is readable.
    pub fn watch(&mut self, readable: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(fd(readable), u32::from(PollFlags::IN.bits()));
        self.push(entry.build().user_data(WATCH));
    }

    /// Submits everything, and waits until a completion is there, `timeout` at most, or for a signal.
    ///
    /// # Errors
    /// Only what leaves the ring unusable: `EBADR`, the kernel had to drop completions.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Errno> {
        self.recycle();
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
            // Memory for operations is short, or completions wait to be taken: not for long.
            Err(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => {
                std::thread::sleep(SHORTAGE);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the completions over, and notes which sends have failed: the others, of those that were
    /// submitted, are done.
    fn collect(&mut self) {
        self.batch.clear();
        self.next = 0;
        for entry in self.ring.completion() {
            let data = entry.user_data();
            if data & SEND != 0 && data & CANCEL < SLOTS_MAX {
                let lent = &mut self.lent[slot(data)];
                if !lent.waiting {
                    lent.failed = Some(entry.result());
                    continue;
                }
            }
            self.batch.push(entry);
        }
        let submission = self.ring.submission();
        if submission.is_empty() && !submission.cq_overflow() {
            self.tried.clear();
            self.next_tried = 0;
            std::mem::swap(&mut self.tried, &mut self.trying);
        }
    }

    /// The next completion of this batch. What a receive brought is lent until the next call.
    #[allow(clippy::should_implement_trait)] // The ring is not an iterator: it is used in between.
    pub fn next(&mut self) -> Option<Completion> {
        self.recycle();
        while let Some(&token) = self.tried.get(self.next_tried) {
            self.next_tried += 1;
            if let Some(sent) = self.was_tried(token) {
                return Some(sent);
            }
        }
        while let Some(entry) = self.batch.get(self.next) {
            let (data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            self.next += 1;
            let more = cqueue::more(flags);
            match data & CANCEL {
                CANCEL => {} // It came too late: what it was for has completed.
                WATCH => return Some(Completion::Readable),
                ACCEPT => {
                    // SAFETY: a result that is no error is a descriptor made for this completion,
                    // which nobody else has seen.
                    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
                    return Some(Completion::Accepted {
                        listener: (data >> 32) as u32,
                        socket: sort(result).map(|fd| own(fd as RawFd)),
                        more,
                    });
                }
                _ if data & SEND != 0 => {
                    let sent = self.waited(data & !SEND, result);
                    if sent.is_some() {
                        return sent;
                    }
                }
                _ => {
                    let bytes = sort(result);
                    if let Some(buffer) = cqueue::buffer_select(flags) {
                        self.buffers.lend(buffer, bytes.unwrap_or(0));
                    }
                    return Some(Completion::Received {
                        token: data,
                        bytes,
                        more,
                    });
                }
            }
        }
        None
    }

    /// What the receive that completed last has brought.
    pub fn received(&self) -> &[u8] {
        self.buffers.lent()
    }

    fn recycle(&mut self) {
        self.buffers.recycle();
    }

    /// Queues an operation; where the queue is full, submits it first.
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: entries name no memory, or the output in `lent`, which moves neither with its
        // vector nor with `self` and is given away only after its completion.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.buffers.publish();
            if let Err(error) = self.enter(0, None) {
                self.broken = Some(error);
                return;
            }
        }
    }
}

/// A pause of the ring when the kernel is short of memory for it.
const SHORTAGE: Duration = Duration::from_millis(1);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

fn fd(fd: BorrowedFd<'_>) -> Fd {
    Fd(fd.as_raw_fd())
}

fn accept_data(listener: u32) -> u64 {
    u64::from(listener) << 32 | ACCEPT
}

fn slot(token: u64) -> usize {
    token as u32 as usize
}

fn assert_token(token: u64) {
    assert!(
        token & SEND == 0 && token & CANCEL < SLOTS_MAX,
        "a token is 31 bits of generation and a slot"
    );
}

/// A completion's result: an amount, or an error.
fn sort(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

/// Why there is no ring.
fn refusal(error: Errno) -> String {
    match error {
        Errno::NOSYS => {
            "io_uring is not to be had: this kernel has none, or a seccomp filter hides it".into()
        }
        Errno::PERM | Errno::ACCESS => {
            "io_uring is forbidden, by the sysctl kernel.io_uring_disabled or a seccomp filter"
                .into()
        }
        Errno::INVAL => "io_uring is too old in this kernel: Linux 6.1 is needed".into(),
        error => format!("io_uring cannot be set up: {error}"),
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
#[path = "ring/tests.rs"]
mod tests;
