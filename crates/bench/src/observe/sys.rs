//! What std, rustix and nix do not have: a child that is confined before it runs, and the resources
//! that wait4(2) tells. Everything `unsafe` in this crate is here.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::process::Signal;
use rustix::thread::CpuSet;

/// What the kernel tells of a process that was waited for.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// Its voluntary and involuntary context switches, and those of the descendants that were waited for.
    pub switches: u64,
}

/// Makes `command` start on `cpus`, in a process group of its own, and die with this process.
///
/// A terminal sends Ctrl-C to its foreground group: in a group of its own the child does not get it, and
/// the bench decides what to do. The group also names every descendant, orphans included.
pub fn confine(command: &mut Command, cpus: CpuSet) {
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: both are bare system
    // calls that allocate nothing and take no lock, and `cpus` is a plain value moved in.
    unsafe {
        command.pre_exec(move || {
            rustix::thread::sched_setaffinity(None, &cpus)?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
}

/// CPU time of a process, ns: all its threads, those that have ended included, its children not.
///
/// This is the process' CPU clock (clock_getcpuclockid(3)), the scheduler's own sum of run time.
/// `/proc/PID/stat` prints the same sum rounded down to ticks of 10 ms, and the `schedstat` of a process
/// is that of its first thread.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn process_cpu_ns(pid: u32) -> io::Result<u64> {
    let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let clock = clock_getcpuclockid(Pid::from_raw(pid))?;
    let time = Duration::from(clock.now()?);
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Waits for a child without blocking and tells what it used; `None` while it runs.
///
/// # Errors
/// `ECHILD` when it is not a child of this process, or has been waited for.
pub fn wait(pid: u32) -> io::Result<Option<Exit>> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut status = 0;
    // SAFETY: rusage is a plain structure of integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `status` and `usage` are valid for writes and outlive the call.
    match unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) } {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        _ => {
            let positive = |n: i64| u64::try_from(n).unwrap_or(0);
            Ok(Some(Exit {
                status: ExitStatus::from_raw(status),
                switches: positive(usage.ru_nvcsw) + positive(usage.ru_nivcsw),
            }))
        }
    }
}
