//! POSIX asynchronous I/O (`aio(7)`): helper threads of glibc read and write, and a queued signal reports
//! each completion.
//!
//! The helpers call `pread` and `pwrite` first, which fail on a socket with ESPIPE, and then `read` and
//! `write`. All operations on one descriptor are done by one helper, one after another. So a read that
//! waits delays a write to the same socket, and a connection can have one operation at a time.
//! `aio_cancel` cannot end an operation that a helper has begun.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::Errno;
use crate::realtime::Blocked;
use crate::sigio::QUEUED;

/// The real-time signal that reports a completion. [`crate::sigio`] has the others that are used.
pub const DONE: i32 = 37;

/// Operations in flight, and the signals that report their completion.
pub struct Aio {
    /// By the slot of their token. A control block is used again, and never moves.
    #[allow(clippy::vec_box)] // The vector grows, and control blocks in use must not move.
    operations: Vec<Box<Operation>>,
    blocked: Blocked,
    in_flight: usize,
}

/// A control block, and the buffer from which its helper thread writes, or into which it reads.
struct Operation {
    block: libc::aiocb,
    token: u64,
    buffer: Vec<u8>,
    in_flight: bool,
}

/// A completed operation. Its buffer is returned.
#[derive(Debug)]
pub struct Completion {
    /// That of the operation.
    pub token: u64,
    /// Whether it was a write.
    pub wrote: bool,
    /// The bytes that were to be written, or that were read.
    pub buffer: Vec<u8>,
    /// How many bytes were read or written; a read of 0 is the peer's FIN. `EAGAIN`: the timeout of the
    /// socket has passed.
    pub bytes: Result<usize, Errno>,
}

/// Why a wait has ended.
#[derive(Debug)]
pub enum Waited {
    /// An operation has completed.
    Completed(Completion),
    /// A descriptor watched by [`crate::sigio::Signals`] has sent a signal, or the queue of signals was
    /// full.
    Descriptor,
    /// Neither: a handler of another signal has run.
    Interrupted,
    /// Neither: the time has passed, or the signal was for an operation that was taken note of before.
    None,
}

/// `struct aioinit` of glibc's `aio.h`, which the libc crate does not have.
#[repr(C)]
struct Init {
    threads: c_int,
    requests: c_int,
    unused: [c_int; 4],
    idle_seconds: c_int,
    reserved: c_int,
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn aio_init(init: *const Init);
}

/// musl starts a helper thread for each descriptor, and has no bound to set.
#[cfg(not(target_env = "gnu"))]
unsafe fn aio_init(_: *const Init) {}

/// How long a helper thread without work exists (1 s is the default of glibc).
const IDLE_SECONDS: i32 = 1;

impl Aio {
    /// For at most `threads` operations at once: glibc starts up to that many helpers, and further
    /// operations wait for one. Blocks the signals in this thread, which must be the only one that
    /// waits for them; other threads must block them too.
    pub fn new(threads: usize) -> Aio {
        crate::process::THREADED.store(true, std::sync::atomic::Ordering::Relaxed);
        let threads = threads.min(i32::MAX as usize) as i32;
        let init = Init {
            threads,
            requests: threads,
            unused: [0; 4],
            idle_seconds: IDLE_SECONDS,
            reserved: 0,
        };
        // SAFETY: `init` has the layout of struct aioinit and is only read.
        unsafe { aio_init(&raw const init) };
        Aio {
            operations: Vec::new(),
            blocked: Blocked::new(&[DONE, QUEUED, libc::SIGIO]),
            in_flight: 0,
        }
    }

    /// Begins to read, at most the capacity of `buffer`. `token` names the operation in its completion;
    /// its low half is a slot.
    ///
    /// # Errors
    /// `EAGAIN`: no helper thread can be started.
    ///
    /// # Panics
    /// If an operation of that slot is in flight.
    pub fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        token: u64,
        mut buffer: Vec<u8>,
    ) -> Result<(), Errno> {
        buffer.clear();
        self.begin(socket, token, buffer, libc::LIO_READ)
    }

    /// Begins to write `output`, of which a part may be written.
    ///
    /// # Errors
    /// `EAGAIN`: no helper thread can be started.
    ///
    /// # Panics
    /// If an operation of that slot is in flight.
    pub fn write(
        &mut self,
        socket: BorrowedFd<'_>,
        token: u64,
        output: Vec<u8>,
    ) -> Result<(), Errno> {
        self.begin(socket, token, output, libc::LIO_WRITE)
    }

    fn begin(
        &mut self,
        socket: BorrowedFd<'_>,
        token: u64,
        buffer: Vec<u8>,
        kind: c_int,
    ) -> Result<(), Errno> {
        let slot = slot(token);
        while self.operations.len() <= slot {
            self.operations.push(Box::new(Operation {
                // SAFETY: an aiocb is plain data, in which all bytes may be zero.
                block: unsafe { MaybeUninit::zeroed().assume_init() },
                token: 0,
                buffer: Vec::new(),
                in_flight: false,
            }));
        }
        let operation = &mut self.operations[slot];
        assert!(!operation.in_flight, "one operation of a slot at a time");
        operation.token = token;
        operation.buffer = buffer;
        operation.in_flight = true;
        let room = if kind == libc::LIO_READ {
            operation.buffer.capacity()
        } else {
            operation.buffer.len()
        };
        let block = &mut operation.block;
        block.aio_fildes = socket.as_raw_fd();
        block.aio_lio_opcode = kind;
        block.aio_buf = operation.buffer.as_mut_ptr().cast();
        block.aio_nbytes = room;
        block.aio_sigevent.sigev_notify = libc::SIGEV_SIGNAL;
        block.aio_sigevent.sigev_signo = DONE;
        block.aio_sigevent.sigev_value.sival_ptr = std::ptr::without_provenance_mut(token as usize);
        self.in_flight += 1;
        // SAFETY: the control block is in a box of its own, which is neither moved nor freed. It names
        // `room` bytes of a buffer that is not touched until the operation has completed.
        let begun = unsafe {
            if kind == libc::LIO_READ {
                libc::aio_read(&raw mut *block)
            } else {
                libc::aio_write(&raw mut *block)
            }
        };
        if begun == 0 {
            return Ok(());
        }
        let error = crate::last_errno();
        operation.in_flight = false;
        self.in_flight -= 1;
        Err(error)
    }

    /// Cancels an operation that no helper has begun: it completes with `ECANCELED`. Others go on. The
    /// completion is reported in both cases.
    pub fn cancel(&mut self, token: u64) {
        if let Some(operation) = self.operations.get_mut(slot(token))
            && operation.in_flight
        {
            operation.cancel();
        }
    }

    /// Number of operations in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Waits for one signal, at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Waited {
        let taken = self.blocked.take(Some(timeout));
        match taken.signal {
            DONE => self
                .finish(taken.value())
                .map_or(Waited::None, Waited::Completed),
            QUEUED | libc::SIGIO => Waited::Descriptor,
            _ if taken.is_interrupted => Waited::Interrupted,
            _ => Waited::None,
        }
    }

    /// Finds an operation that has completed without a signal, which happens when the queue of signals
    /// is full (`RLIMIT_SIGPENDING`). Makes no system call if there is none.
    pub fn sweep(&mut self) -> Option<Completion> {
        let mut all = self.operations.iter_mut();
        let completed = all.find(|operation| operation.in_flight && operation.has_completed())?;
        // This waits for the lock under which the helper sends the signal. After that, the helper does
        // not use the control block any more.
        completed.cancel();
        let token = completed.token;
        self.finish(token)
    }

    /// Takes note that an operation has completed, and returns its buffer. `None`: that was done before.
    fn finish(&mut self, token: u64) -> Option<Completion> {
        let operation = self.operations.get_mut(slot(token))?;
        if !operation.in_flight || operation.token != token || !operation.has_completed() {
            return None;
        }
        let error = operation.error();
        let wrote = operation.block.aio_lio_opcode == libc::LIO_WRITE;
        let mut buffer = std::mem::take(&mut operation.buffer);
        // SAFETY: the operation has completed, and aio_return is called once for each. A read returns
        // how many bytes the helper has written to the buffer, within its capacity.
        let returned = unsafe {
            let returned = libc::aio_return(&raw mut operation.block);
            if !wrote {
                buffer.set_len(usize::try_from(returned).unwrap_or(0));
            }
            returned
        };
        operation.in_flight = false;
        self.in_flight -= 1;
        let bytes = match (error, usize::try_from(returned)) {
            (0, Ok(bytes)) => Ok(bytes),
            (error, _) => Err(Errno::from_raw_os_error(error.max(1))),
        };
        Some(Completion {
            token,
            wrote,
            buffer,
            bytes,
        })
    }
}

impl Operation {
    /// 0 after success, EINPROGRESS before completion.
    fn error(&self) -> c_int {
        // SAFETY: aio_error only reads the control block of an operation that was begun.
        unsafe { libc::aio_error(&raw const self.block) }
    }

    fn has_completed(&self) -> bool {
        self.error() != libc::EINPROGRESS
    }

    fn cancel(&mut self) {
        // SAFETY: the control block is that of an operation which was begun.
        unsafe { libc::aio_cancel(self.block.aio_fildes, &raw mut self.block) };
    }
}

impl std::fmt::Debug for Aio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aio")
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl Drop for Aio {
    /// Operations in flight keep their memory, which their helpers use.
    fn drop(&mut self) {
        for operation in self.operations.drain(..) {
            if operation.in_flight {
                Box::leak(operation);
            }
        }
    }
}

fn slot(token: u64) -> usize {
    token as u32 as usize
}
