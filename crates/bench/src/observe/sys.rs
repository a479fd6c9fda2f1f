//! What std, rustix and nix do not have: a child that is confined before it runs, the resources that
//! wait4(2) tells, and perf_event_open(2). Everything `unsafe` in this crate is here.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::process::{Signal, kill_process};
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

/// Sends `signal` to the process `pid` alone.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    Ok(kill_process(rustix_pid(pid)?, signal)?)
}

/// The number of a process as rustix takes it.
pub fn rustix_pid(pid: u32) -> io::Result<rustix::process::Pid> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidInput.into())
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

/// What perf_event_open(2) counts: a type, and an event of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    kind: u32,
    config: u64,
}

impl Event {
    /// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_INSTRUCTIONS`.
    pub const INSTRUCTIONS: Self = Self { kind: 0, config: 1 };
    /// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_PAGE_FAULTS`: for tests on machines without counters.
    #[cfg(test)]
    pub const PAGE_FAULTS: Self = Self { kind: 1, config: 2 };
}

/// `struct perf_event_attr` as it first was (`PERF_ATTR_SIZE_VER0`), which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

/// Every read tells how long the event was enabled, and how long it was counted.
const READ_TIMES: u64 = 0b11;
/// Bits of the flags, in the order of their fields.
const INHERIT: u64 = 1 << 1;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// Counts `event` in the task `tid` while it is in user mode, on whichever CPU, from now on; with `inherit`
/// also in every thread and process that it starts from now on, and that those start.
///
/// What is read from the descriptor are three numbers of 64 bits: the count, and the nanoseconds for which
/// the event was enabled and for which it was counted.
///
/// # Errors
/// `ENOENT`, `ENODEV` or `EOPNOTSUPP` where there is no such counter, `EACCES` or `EPERM` where it is not
/// permitted, `ESRCH` where there is no such task.
pub fn perf_event_open(event: Event, tid: u32, inherit: bool) -> io::Result<OwnedFd> {
    let tid = libc::pid_t::try_from(tid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let attributes = Attributes {
        kind: event.kind,
        size: size_of::<Attributes>() as u32,
        config: event.config,
        read_format: READ_TIMES,
        flags: EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR | if inherit { INHERIT } else { 0 },
        ..Attributes::default()
    };
    let (any_cpu, no_group): (libc::c_int, libc::c_int) = (-1, -1);
    // SAFETY: `attributes` is as long as its `size` says, is only read, and outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            tid,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    match RawFd::try_from(fd) {
        Ok(fd) if fd >= 0 => {
            // SAFETY: the kernel has just made this descriptor, and no other code has it.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        _ => Err(io::Error::last_os_error()),
    }
}
