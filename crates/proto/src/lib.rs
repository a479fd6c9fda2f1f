//! One connection's protocol state, without a socket, a clock or a thread.
//!
//! Bytes and the time go into a [`Session`], and what it [`Want`]s comes out. Waiting, reading and writing
//! are done elsewhere, so that one protocol serves every concurrency model:
//!
//! ```text
//!              receive(bytes)                   output() -> bytes
//!   driver ─────────────────────▶  Session  ─────────────────────▶ driver
//!        receive_fin(), expire()       │            want(), deadline()
//!                                      ▼
//!                            Service::call(request, response)
//! ```
//!
//! A driver does what [`Session::want`] says. For `Read` it receives and calls [`Session::receive`], for
//! `Write` it sends [`Session::output`], for `Wait` it calls [`Session::expire`] at
//! [`Session::deadline`], for `Compute` it calls [`Session::compute`] in whatever thread computes, for
//! `Linger` it sends FIN and receives on, and for `Close` it closes. A complete request is parsed in the
//! driver's receive buffer. Only an incomplete one is copied, into a buffer of the worker's [`Scratch`].
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

mod answer;
mod buffers;
mod chunked;
mod client;
mod date;
mod each_process;
mod head;
mod intake;
mod limits;
mod observe;
mod output;
mod peer;
mod place;
mod request;
mod response;
mod scratch;
mod service;
mod session;
mod status;
mod stream;
mod tail;
mod target;
mod telling;
mod turn;
mod unp;
mod upload;
mod warm_up;
mod web;

pub use each_process::EachProcess;
pub use intake::{Intake, Sink};
pub use limits::Limits;
pub use observe::{Exchange, Observer};
pub use peer::Peer;
pub use place::Place;
pub use request::{Method, Request};
pub use response::Response;
pub use scratch::Scratch;
pub use service::{
    AsyncReply, AsyncService, Fill, Lifecycle, Memory, Nature, Pending, Service, WorkerService,
    pending,
};
pub use session::{Complete, End, Session};
pub use stream::{Piece, Pull, Source, pieces, reader};
pub use turn::{Protocol, Turn, Want};
pub use upload::{Lost, Transport, Upload};
pub use web::auto_head::AutoHead;
pub use web::conditions::{Condition, ETag, Validators};
pub use web::content::Content;
pub use web::cookies::{Cookie, InvalidCookie, SameSite};
pub use web::events::Events;
pub use web::multipart::{FormError, FormEvent, FormLimits, FormPart, FormParts, Multipart};
pub use web::pairs::Pairs;
pub use web::percent::{Undecodable, decode as percent_decode};
pub use web::ranges::RANGES_MAX;
