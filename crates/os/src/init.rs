//! Process 1 of a container.
//!
//! A process that loses its parent becomes a child of process 1, and stays a zombie unless process 1 reaps it. A server
//! that reaped strangers would have to tell them from its own children, and most models have no place where
//! they reap. So process 1 forks the server, and does nothing itself but reap and pass on signals.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::SigSet;
use rustix::process::{Pid, Signal};

use crate::process::{Ended, Fork, exit_now, fork, id, kill, reap};
use crate::signal;

/// Whether this process, or its parent, is process 1.
static IN_CONTAINER: AtomicBool = AtomicBool::new(false);

/// Whether the end of this server is the end of its container.
pub fn is_in_container() -> bool {
    IN_CONTAINER.load(Ordering::Relaxed)
}

/// Whether process `id` is this one, or the process 1 that has forked it.
pub fn is_own(id: u32) -> bool {
    id == self::id() || (id == 1 && is_in_container())
}

/// If this is process 1, forks and returns in the child; process 1 stays behind and ends as the child does.
/// Does nothing in any other process, and in one that has threads already.
///
/// # Errors
/// EAGAIN, ENOMEM: those of fork.
pub fn stay_behind() -> rustix::io::Result<()> {
    if id() != 1 || is_in_container() {
        return Ok(());
    }
    IN_CONTAINER.store(true, Ordering::Relaxed);
    if has_threads() {
        return Ok(());
    }
    // What comes from here on waits until it is asked for.
    let mask = signal::block_all();
    match fork()? {
        Fork::Child => {
            signal::restore(&mask);
            Ok(())
        }
        Fork::Parent(server) => look_after(server),
    }
}

fn has_threads() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task");
    crate::process::THREADED.load(Ordering::Relaxed) || tasks.is_ok_and(|tasks| tasks.count() > 1)
}

/// Signals that are for the server.
const PASSED_ON: [Signal; 6] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
];

/// Reaps every process that ends, until the server does.
fn look_after(server: Pid) -> ! {
    crate::helper::close_from(3, i32::MAX); // Listeners that were passed are the server's.
    loop {
        while let Ok(Some((pid, ended))) = reap(false) {
            if pid == server {
                exit_now(match ended {
                    Ended::Exited(code) => code,
                    Ended::Killed(signal) => 128 + signal, // As a shell says it.
                });
            }
        }
        let (number, from_terminal) = next_signal();
        let passed_on = PASSED_ON.iter().find(|signal| signal.as_raw() == number);
        // A terminal signals its whole foreground group, and so the server as well.
        if let Some(signal) = passed_on.filter(|_| !from_terminal) {
            kill(server, *signal);
        }
    }
}

/// Waits for a signal. Returns its number, and whether the kernel has sent it.
fn next_signal() -> (i32, bool) {
    let all = SigSet::all();
    let mut told = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: sigwaitinfo reads the set and fills the struct, both of which live to the end of the call.
    let number = unsafe { libc::sigwaitinfo(all.as_ref(), told.as_mut_ptr()) };
    // SAFETY: zeros are a value of this struct, if the kernel has written none.
    let told = unsafe { told.assume_init() };
    (number, told.si_code == libc::SI_KERNEL)
}
