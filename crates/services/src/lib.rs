//! Files below a folder, as a service; and the workloads of the bench, as services behind one router.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /`, `GET /plaintext`, `GET /json` | the usual tiny replies |
//! | `POST /echo` | the body back |
//! | `GET /bytes/N` | N bytes, up to 64 MiB |
//! | `GET /cpu/MICROS` | burns that much CPU: calibrated work, not a clock spin |
//! | `GET /wait/MICROS` | a back end that takes that long, worker free meanwhile |
//! | `GET /sleep/MICROS` | a back end that takes that long, worker blocked |
//! | `GET /stream/N/MICROS` | N lines, a pause of so long behind each; 0 lines: without end |
//! | `GET /work/CPU_US/BLOCKED_US/WAIT_US/REPLY_BYTES` | burns, then blocks its worker, then waits with the worker free, then replies with so many bytes; `?lock=NAME` holds a lock meanwhile that all workers share; POST takes a body, too |
//! | `GET /files/PATH` | a static file below `--root`, and nothing outside it |
//! | `GET`, `PUT`, `DELETE /kv/KEY` | a key-value store in SQLite, in the file `--db` |
//! | `GET /whoami` | JSON: model, variant, pid, thread, worker number, requests served by it |
//!
//! HEAD goes wherever GET goes. Another path is 404, another method 405 with `Allow`, an unknown
//! method 501, and a number that is none, or too large, 400.
//!
//! The router and what only it needs, SQLite among it, are the feature `workloads`, on by default.

#![forbid(unsafe_code)]

mod files;
mod media;

#[cfg(feature = "workloads")]
mod args;
#[cfg(feature = "workloads")]
mod cpu;
#[cfg(feature = "workloads")]
mod gateway;
#[cfg(feature = "workloads")]
mod kv;
#[cfg(feature = "workloads")]
mod router;
#[cfg(feature = "workloads")]
mod work;

use std::fmt;
use std::io::Write;

use proto::Response;

pub use files::Files;

#[cfg(feature = "workloads")]
pub use {
    args::{ServiceArgs, open},
    cpu::Calibration,
    gateway::{Gateway, GatewayArgs},
    kv::{KEY_BYTES_MAX, Store},
    router::Router,
    work::{BYTES_MAX, MICROS_MAX},
};

fn plain(response: &mut Response<'_>, status: u16, text: &'static str) {
    response
        .status(status)
        .content_type("text/plain")
        .static_body(text.as_bytes());
}

/// One line on standard error, where logs go, in one write. A closed standard error loses it.
fn log(line: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("turnstile: {line}\n").as_bytes());
}
