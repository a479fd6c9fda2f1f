//! The Linux under everything, as small safe functions: sockets, processes, a page that processes
//! share, signals, CPUs.
//!
//! All `unsafe` of the servers is in this crate. System calls are made inline by rustix, which
//! costs about a tenth less a request than going through libc's wrappers.

#![allow(unsafe_code)]

pub mod cpu;
pub mod net;
pub mod process;
pub mod shared;
pub mod signal;
pub mod thread;

pub use rustix::io::Errno;
