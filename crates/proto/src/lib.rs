//! One connection's protocol state, without a socket, a clock or a thread.
//!
//! Bytes and the time go into a [`Session`]; what it [`Want`]s comes out. Everything that waits,
//! reads and writes lives elsewhere, so that one protocol serves every concurrency model:
//!
//! ```text
//!              receive(bytes)                   output() -> bytes
//!   driver ─────────────────────▶  Session  ─────────────────────▶ driver
//!              end(), expire()         │            want(), deadline()
//!                                      ▼
//!                            Service::call(request, response)
//! ```
//!
//! A driver's whole duty: look at [`Session::want`]; for `Read` receive and hand the bytes over, for
//! `Write` send [`Session::output`], for `Wait` come back at [`Session::deadline`], for `Compute`
//! call [`Session::compute`] wherever computing is done, for `Linger` send FIN and read on, for
//! `Close` close. A whole request is parsed where it lies, in the driver's receive buffer; only an
//! incomplete remainder is copied, into a buffer that the worker's [`Scratch`] lends.
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use std::time::{Instant, SystemTime};
//! use proto::{Limits, Place, Protocol, Request, Response, Scratch, Session, Turn, Want};
//!
//! fn hello(_: &Request<'_>, response: &mut Response<'_>) {
//!     response.content_type("text/plain").body(b"hello");
//! }
//!
//! let (limits, now) = (Limits::default(), Instant::now());
//! let mut scratch = Scratch::new(SystemTime::now);
//! let mut turn = Turn { now, limits: &limits, service: &hello, scratch: &mut scratch,
//!                       place: &Place::default(), draining: &AtomicU64::new(0) };
//! let mut session = Session::new(Protocol::Http, &turn);
//! session.receive(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", &mut turn);
//! assert_eq!(session.want(), Want::Write);
//! assert!(session.output(turn.scratch).ends_with(b"\r\n\r\nhello"));
//! ```

#![forbid(unsafe_code)]

mod chunked;
mod date;
mod head;
mod limits;
mod place;
mod request;
mod response;
mod scratch;
mod service;
mod session;
mod tail;
mod target;
mod turn;
mod unp;
mod warm_up;

pub use limits::Limits;
pub use place::Place;
pub use request::{Method, Request};
pub use response::Response;
pub use scratch::Scratch;
pub use service::{Nature, Service};
pub use session::Session;
pub use turn::{Protocol, Turn, Want};
