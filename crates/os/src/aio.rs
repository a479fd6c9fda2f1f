//! POSIX asynchronous I/O (`aio(7)`): reads and writes that glibc has helper threads do, and that
//! tell of their end by a queued signal.
//!
//! glibc's helpers call `pread` and `pwrite` first; on a socket these answer ESPIPE, and then it is
//! `read` and `write`. A helper serves one descriptor at a time, and all requests for one descriptor
//! one after another, so a read that waits holds up a write to the same socket: one operation a
//! connection. What a helper has begun, `aio_cancel` cannot end.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::Errno;
use crate::realtime::Blocked;
use crate::sigio::QUEUED;

/// The real-time signal that tells of an end; the others in use are in [`crate::sigio`].
pub const DONE: i32 = 37;

/// Operations under way, and the signals that tell of them.
pub struct Aio {
    /// By the slot of their token. A control block stays where it is, and is used again.
    #[allow(clippy::vec_box)] // The vector grows, and what helpers use must not move.
    operations: Vec<Box<Operation>>,
    blocked: Blocked,
    underway: usize,
}

/// A control block and the memory that its helper thread reads or fills.
struct Operation {
    block: libc::aiocb,
    token: u64,
    buffer: Vec<u8>,
    underway: bool,
}

/// What came of an operation. Its buffer is back.
#[derive(Debug)]
pub struct Completion {
    /// Whose.
    pub token: u64,
    /// It was a write.
    pub wrote: bool,
    /// What was written, or what was read.
    pub buffer: Vec<u8>,
    /// How much; 0 for a read is the peer's FIN. `EAGAIN`: the socket's own timeout has passed.
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
    /// Neither: the time has passed, a handler of another signal has run, or the signal was for an
    /// operation that was taken note of before.
    None,
}

/// `struct aioinit` of glibc's `aio.h`, which libc does not have.
#[repr(C)]
struct Init {
    threads: libc::c_int,
    requests: libc::c_int,
    unused: [libc::c_int; 4],
    idle_seconds: libc::c_int,
    reserved: libc::c_int,
}

unsafe extern "C" {
    fn aio_init(init: *const Init);
}

/// How long a helper thread without work stays (glibc's own default is 1 s).
const IDLE_SECONDS: i32 = 1;

impl Aio {
    /// For at most `threads` operations at once: glibc starts that many helpers as they are needed,
    /// and further requests wait for one. Blocks the signals in this thread, which alone waits for
    /// them; other threads must block them too.
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
            underway: 0,
        }
    }

    /// Begins to read what comes, at most the capacity of `buffer`.
    ///
    /// # Errors
    /// `EAGAIN`: no helper thread can be had.
    ///
    /// # Panics
    /// If an operation of that slot is under way.
    pub fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        token: u64,
        mut buffer: Vec<u8>,
    ) -> Result<(), Errno> {
        buffer.clear();
        self.begin(socket, token, buffer, libc::LIO_READ)
    }

    /// Begins to write `output`; less than all may be written.
    ///
    /// # Errors
    /// `EAGAIN`: no helper thread can be had.
    ///
    /// # Panics
    /// If an operation of that slot is under way.
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
        kind: libc::c_int,
    ) -> Result<(), Errno> {
        let slot = slot(token);
        while self.operations.len() <= slot {
            self.operations.push(Box::new(Operation {
                // SAFETY: an aiocb is plain data, of which all bytes may be zero.
                block: unsafe { MaybeUninit::zeroed().assume_init() },
                token: 0,
                buffer: Vec::new(),
                underway: false,
            }));
        }
        let operation = &mut self.operations[slot];
        assert!(!operation.underway, "one operation of a slot at a time");
        operation.token = token;
        operation.buffer = buffer;
        operation.underway = true;
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
        self.underway += 1;
        // SAFETY: the control block is in a box of its own and is neither moved nor freed; it names
        // `room` bytes of a buffer that nobody touches until the operation has ended.
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
        operation.underway = false;
        self.underway -= 1;
        Err(error)
    }

    /// Asks for an operation back. One that no helper has begun ends with `ECANCELED`; the others
    /// go on. Its end is told in either case.
    pub fn cancel(&mut self, token: u64) {
        if let Some(operation) = self.operations.get_mut(slot(token))
            && operation.underway
        {
            operation.cancel();
        }
    }

    /// Operations under way.
    pub fn underway(&self) -> usize {
        self.underway
    }

    /// Waits for one signal, at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Waited {
        let taken = self.blocked.take(Some(timeout));
        match taken.signal {
            DONE => self
                .finish(taken.value())
                .map_or(Waited::None, Waited::Completed),
            QUEUED | libc::SIGIO => Waited::Descriptor,
            _ => Waited::None,
        }
    }

    /// Looks for operations that have ended without a signal, as they do when the queue is full
    /// (`RLIMIT_SIGPENDING`): the first of them. Where there is none it only reads memory.
    pub fn sweep(&mut self) -> Option<Completion> {
        let mut all = self.operations.iter_mut();
        let ended = all.find(|operation| operation.underway && operation.has_ended())?;
        // This waits for the lock under which the helper is about to send the signal, so that the
        // helper is done with the control block.
        ended.cancel();
        let token = ended.token;
        self.finish(token)
    }

    /// Takes back the buffer of an operation that has ended; `None` if that was done before.
    fn finish(&mut self, token: u64) -> Option<Completion> {
        let operation = self.operations.get_mut(slot(token))?;
        if !operation.underway || operation.token != token || !operation.has_ended() {
            return None;
        }
        let error = operation.error();
        let wrote = operation.block.aio_lio_opcode == libc::LIO_WRITE;
        let mut buffer = std::mem::take(&mut operation.buffer);
        // SAFETY: the operation has ended, and this is asked once for each. What a read returns is
        // how many bytes the helper has written to the buffer, within its capacity.
        let returned = unsafe {
            let returned = libc::aio_return(&raw mut operation.block);
            if !wrote {
                buffer.set_len(usize::try_from(returned).unwrap_or(0));
            }
            returned
        };
        operation.underway = false;
        self.underway -= 1;
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
    /// 0 after success, EINPROGRESS before the end.
    fn error(&self) -> libc::c_int {
        // SAFETY: aio_error only reads the control block of an operation that was begun.
        unsafe { libc::aio_error(&raw const self.block) }
    }

    fn has_ended(&self) -> bool {
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
            .field("underway", &self.underway)
            .finish_non_exhaustive()
    }
}

impl Drop for Aio {
    /// What is under way is left to its helper.
    fn drop(&mut self) {
        for operation in self.operations.drain(..) {
            if operation.underway {
                Box::leak(operation);
            }
        }
    }
}

fn slot(token: u64) -> usize {
    token as u32 as usize
}
