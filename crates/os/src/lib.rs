//! The Linux under everything, as small safe functions: sockets, processes, a page that processes
//! share, signals, CPUs. All `unsafe` of the servers is in this crate.
//!
//! System calls follow one rule:
//!
//! 1. rustix, where it has the call. It enters the kernel inline, without a C library in between.
//! 2. nix, where POSIX goes through the C library: signal handlers, signal masks, `errno`.
//! 3. libc, where neither has it: `_Fork`, real-time signals and descriptors that send them, POSIX
//!    asynchronous I/O, pthread attributes and robust mutexes, `getitimer`, `tgkill`,
//!    `SO_ATTACH_FILTER`, and what takes back the C library's own rseq.
//! 4. Inline assembly, only for calls on the path of a request that rustix does not have (`inline`).
//!
//! What runs in a handler of a signal says so ("async-signal-safe"). For it, rule 1 holds as well as
//! for the rest: a rustix call is a system call and nothing else. Of nix only the reading and writing
//! of `errno` is used there.

#![allow(unsafe_code)]

pub mod aio;
pub mod cgroup;
pub mod cpu;
pub mod detached;
pub mod helper;
pub mod inetd;
pub mod init;
mod inline;
pub mod interrupt;
pub mod lock;
#[cfg(feature = "math")]
mod math;
pub mod net;
pub mod parcel;
pub mod pass;
pub mod process;
mod realtime;
pub mod reuseport;
#[cfg(feature = "ring")]
pub mod ring;
pub mod rseq;
pub mod select;
pub mod shared;
pub mod sigio;
pub mod signal;
pub mod successor;
pub mod thread;
pub mod timer;
pub mod user;

pub use rustix::io::Errno;

/// The error of the last call of the C library that this thread has made.
fn last_errno() -> Errno {
    Errno::from_raw_os_error(nix::errno::Errno::last_raw())
}
