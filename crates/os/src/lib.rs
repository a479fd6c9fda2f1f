//! The Linux under everything, as small safe functions: sockets, processes, a page that processes
//! share, signals, CPUs.
//!
//! All `unsafe` of the servers is in this crate. System calls are made inline by rustix, which
//! costs about a tenth less a request than going through libc's wrappers.

#![allow(unsafe_code)]

pub mod aio;
pub mod cpu;
pub mod detached;
pub mod inetd;
mod inline;
pub mod lock;
mod math;
pub mod net;
pub mod pass;
pub mod process;
pub mod reuseport;
pub mod ring;
pub mod rseq;
pub mod select;
pub mod shared;
pub mod sigio;
pub mod signal;
pub mod thread;
mod time;
pub mod wake;

pub use rustix::io::Errno;
