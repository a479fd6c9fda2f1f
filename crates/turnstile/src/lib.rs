//! Every Linux server concurrency model, ready to run your service.
//!
//! ```no_run
//! use turnstile::{Request, Response};
//!
//! fn hello(request: &Request<'_>, response: &mut Response<'_>) {
//!     response.content_type("text/plain").body(request.path.as_bytes());
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     turnstile::main(&turnstile::models::prefork::MODEL, &hello)
//! }
//! ```
//!
//! That program has the flags of `turnstile serve` (`--help` lists them). It prints one line per
//! listener when it is ready, refuses malformed and oversized requests, closes connections that are
//! too slow, replaces workers that die, and finishes what it has begun when SIGTERM comes.
//!
//! # Cargo.toml
//!
//! Each model is a feature of its name, and all are on by default. A program on one model compiles 20
//! crates, itself among them:
//!
//! ```toml
//! [dependencies]
//! turnstile = { path = "../turnstile/crates/turnstile", default-features = false, features = ["prefork"] }
//! ```
//!
//! The features `json` and `gzip` add `Request::json`, `Response::json` and `Response::gzip`.
//! The feature `front`, on by default, adds `--front poll` to blocking models.
//! The feature `files` adds `Files`, a service that sends the files below a folder. Flags of your own
//! are a `clap::Args`, from which [`main_with`] has you make the service.
//!
//! # JSON, and state
//!
//! A service is anything [`Sync`] that implements [`Service`]. This one counts votes:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::{Mutex, PoisonError};
//!
//! use turnstile::models::thread_pool;
//! use turnstile::{Method, Request, Response, Service};
//!
//! #[derive(serde::Serialize)]
//! struct Votes {
//!     yes: u64,
//!     no: u64,
//! }
//!
//! struct Ballot(Mutex<Votes>);
//!
//! impl Service for Ballot {
//!     fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
//!         let mut votes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
//!         match (request.method, request.path) {
//!             (Method::Get, "/") => {}
//!             (Method::Post, "/yes") => votes.yes += 1,
//!             (Method::Post, "/no") => votes.no += 1,
//!             _ => {
//!                 response.status(404);
//!                 return;
//!             }
//!         }
//!         let body = response.content_type("application/json").body_buffer();
//!         serde_json::to_writer(body, &*votes).expect("memory takes all that is written");
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     static BALLOT: Ballot = Ballot(Mutex::new(Votes { yes: 0, no: 0 }));
//!     turnstile::main(&thread_pool::MODEL, &BALLOT)
//! }
//! ```
//!
//! Threads share that state. On a model whose workers are processes (`prefork`, `fork-per-client`,
//! `multi-reactor:processes`) each would count for itself: state belongs in a database or in shared
//! memory there. `examples/` has more: JSON that is read, files, a model of one's own.
//!
//! # The models
//!
//! - `iterative`: One process serves one client after another.
//! - `fork-per-client`: The parent accepts, and forks a child for every client.
//! - `prefork`: Children forked in advance all block in accept on one socket.
//! - `thread-per-client`: The main thread accepts, and starts a thread for every client.
//! - `thread-pool`: Threads created in advance take accepted connections from a bounded queue.
//! - `single-reactor`: One thread waits in one selector and does everything.
//! - `reactor-pool`: A loop accepts, reads and writes; the connection moves to a pool that computes, and comes back.
//! - `multi-reactor`: An acceptor gives each socket to the least loaded of several reactors.
//! - `leader-follower`: Threads take turns at one handle set; the leader promotes a follower before it serves.
//! - `proactor`: The kernel accepts, reads and writes; one loop computes when requests are complete.
//! - `signal-driven`: Every socket reports what happens on it by a real-time signal, and one loop takes them.
//! - `async-tasks`: There is a coroutine per connection, on threads that steal tasks from each other.
//!
//! Most have variants, which `--variant` chooses. The page of each crate says what it costs, what
//! breaks it and when to pick it. A model of your own is a [`Model`] value with a `run`.

#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod asynchronous;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "async")]
pub use asynchronous::{Handler, async_per_process, async_service};
#[cfg(feature = "tower")]
pub use tower::{tower_per_process, tower_service};

// What a service needs.
#[doc(inline)]
pub use server::{
    Address, AsyncService, Built, Fill, Intake, Lifecycle, Limits, Memory, Method, Nature, Pending,
    Piece, Place, Protocol, Pull, Request, Response, ServeArgs, Service, SharedByThreads,
    SharedCounter, Sink, Source, WorkerService, main, main_owned, main_with, per_process,
    per_process_and_worker, per_worker, serve, serve_with, unusable,
};
// What a handler finds: see docs/http.md.
#[doc(inline)]
pub use server::{
    AutoHead, Condition, Content, Cookie, ETag, Events, InvalidCookie, Pairs, SameSite, Validators,
    pieces, reader,
};
#[cfg(feature = "files")]
#[doc(inline)]
pub use services::Files;
// What a model needs.
#[doc(inline)]
pub use server::{
    Accepted, Backoff, Block, Board, Calls, Children, Connection, Count, Drain, Error, Holds,
    Listener, Listeners, MAY_WAIT, Model, Need, Needs, ONE_PROCESS, OnDeadline, Phase, Result,
    Roles, Server, ServingChild, Shutdown, ThreadSlot, ThreadSlots, Threads, Topology, Variant,
    Worker, Workers, log,
};

/// The whole `main` of a program whose flag `--model` chooses one of [`models::ALL`], with flags of its
/// own, `A`, of which `service` makes the service.
pub fn main_on_any<A: clap::Args, S: Service + 'static, E: std::fmt::Display>(
    service: impl FnOnce(&A) -> std::result::Result<S, E>,
) -> std::process::ExitCode {
    server::main_choosing(models::ALL, service)
}

/// The models, one crate each, under the names of the features that bring them.
pub mod models {
    macro_rules! models {
        ($($feature:literal $model:ident),* $(,)?) => {
            $(#[cfg(feature = $feature)] pub use $model;)*

            /// All of them, in the order of the literature: one client at a time, processes,
            /// threads, loops.
            pub const ALL: &[&server::Model] = &[$(#[cfg(feature = $feature)] &$model::MODEL),*];
        };
    }

    models! {
        "iterative" iterative,
        "fork-per-client" fork_per_client,
        "prefork" prefork,
        "thread-per-client" thread_per_client,
        "thread-pool" thread_pool,
        "single-reactor" single_reactor,
        "reactor-pool" reactor_pool,
        "multi-reactor" multi_reactor,
        "leader-follower" leader_follower,
        "proactor" proactor,
        "signal-driven" signal_driven,
        "async-tasks" async_tasks,
    }

    /// The model that `label` names, or a line that says which there are. Where it names a variant, too,
    /// `args` ask for that one.
    pub fn choose(
        label: &str,
        args: &mut server::ServeArgs,
    ) -> Result<&'static server::Model, String> {
        server::choose(ALL, label, args)
    }
}
