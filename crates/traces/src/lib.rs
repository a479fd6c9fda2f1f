//! Requests from life: the entries of an access log or of a HAR file.
//!
//! Four formats are read, each told apart by its first entry: the *common* and the *combined* log
//! format (of Apache and nginx, with whatever stands behind or before them), *JSON lines*, and *HAR*
//! (what a browser's network panel saves). A file packed with gzip is unpacked as it is read.
//!
//! A line that is no request is broken: it is counted, the reason is kept, and reading goes on. A
//! file in which nothing can be read is an error.
//!
//! ```
//! let log = "127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?b HTTP/1.1\" 200 2326\nnonsense\n";
//! let mut trace = traces::Trace::new(log.as_bytes())?;
//! let entry = trace.next().unwrap()?;
//! assert_eq!((entry.method.as_str(), entry.path.as_str()), ("GET", "/a?b"));
//! assert_eq!((entry.status, entry.bytes), (Some(200), Some(2326)));
//! assert!(trace.next().is_none());
//! assert_eq!((trace.read(), trace.broken().count), (1, 1));
//! # anyhow::Ok(())
//! ```

#![forbid(unsafe_code)]

mod clf;
mod entry;
mod har;
mod json_lines;
mod time;
mod trace;

pub use entry::{Broken, Entry};
pub use trace::{FILE_BYTES_MAX, Format, LINE_BYTES_MAX, Trace};
