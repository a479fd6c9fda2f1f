//! A process beside the server: forked before it has threads, and free of all that it would hold open.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::sys::signal::{SIGTERM, SigSet};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::signal;

static PARENT_ENDED: AtomicBool = AtomicBool::new(false);
static PARENT: AtomicU32 = AtomicU32::new(0);

/// Makes the calling process, which was just forked, a helper of its parent: it keeps the standard
/// descriptors (input is empty) and those of `keep`, and takes no signal. When the parent ends, a
/// wait of the calling thread returns EINTR, and [`parent_ended`] is true from then on. A thread
/// that was about to wait then is not woken, so waits should be bounded.
///
/// # Errors
/// Those of `open(2)` of `/dev/null`.
pub fn detach(keep: &[BorrowedFd<'_>], parent: u32) -> Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    drop(null);
    let mut kept: Vec<_> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    let mut first: RawFd = 3;
    for fd in kept.into_iter().filter(|fd| *fd > 2) {
        close_from(first, fd - 1);
        first = fd + 1;
    }
    close_from(first, RawFd::MAX);
    PARENT.store(parent, Ordering::SeqCst);
    signal::block_all();
    signal::handle(&[Signal::TERM], on_end_of_parent);
    SigSet::from(SIGTERM)
        .thread_unblock()
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if !is_parent(parent) {
        PARENT_ENDED.store(true, Ordering::SeqCst);
    }
    Ok(())
}

fn is_parent(id: u32) -> bool {
    rustix::process::getppid().is_some_and(|parent| parent.as_raw_nonzero().get() as u32 == id)
}

/// SIGTERM comes from the kernel when the parent has ended. From others it means nothing here: who
/// signals a whole process group does not mean the helper, which its parent ends.
extern "C" fn on_end_of_parent(_: i32) {
    if !is_parent(PARENT.load(Ordering::SeqCst)) {
        PARENT_ENDED.store(true, Ordering::SeqCst);
    }
}

/// Whether the parent has ended.
pub fn parent_ended() -> bool {
    PARENT_ENDED.load(Ordering::SeqCst)
}

/// Closes the descriptors from `first` to `last` (`close_range(2)`, Linux 5.9; one by one before that).
pub(crate) fn close_from(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: of these descriptors nothing is used any more in this process, by contract of the callers.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if closed != 0 {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let end = most.map_or(1 << 20, |most| most.min(1 << 20)) as RawFd;
        for fd in first..end.min(last.saturating_add(1)) {
            // SAFETY: as above; EBADF for those that are not open.
            unsafe { libc::syscall(libc::SYS_close, fd) };
        }
    }
}

/// A process that stays the same one, even if its number is given to another.
///
/// # Errors
/// ESRCH: there is none of this number. ENOSYS before Linux 5.3.
pub fn process(id: u32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(id as i32).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

/// Kills it.
///
/// # Errors
/// ESRCH: it has ended. EPERM.
pub fn kill(process: &OwnedFd) -> Result<()> {
    rustix::process::pidfd_send_signal(process, Signal::KILL)
}

/// Waits until child `id` has ended, and reaps it. Returns at once if it was reaped before.
pub fn wait_for(id: u32) {
    use rustix::process::{WaitOptions, waitpid};
    if let Some(pid) = Pid::from_raw(id as i32) {
        while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(Errno::INTR)) {}
    }
}
