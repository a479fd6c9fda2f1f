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
//! The package is called `turnstile-server`, the library `turnstile`. Each model is a feature of its name, and all
//! are on by default. A program on one model compiles 20 crates, itself among them:
//!
//! ```toml
//! [dependencies]
//! turnstile-server = { path = "../turnstile/crates/turnstile", default-features = false, features = ["prefork"] }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `json`, `gzip` | `Request::json`, `Response::json`; `Response::gzip` |
//! | `front`, on by default | `--front poll` of blocking models, which keeps slow clients out of the workers |
//! | `files` | `Files`, a service that sends the files below a folder |
//! | `http` | `http::http_service`: a function of the types of the crate `http` |
//! | `async` | `async_service`: an `async fn` of these types |
//! | `tower` | `tower_service`: a `tower::Service`, such as a router of axum |
//!
//! Flags of your own are a `clap::Args`, from which [`main_with`] has you make the service.
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
//! memory there. `examples/` has more: a static site, a store on SQLite, a login, a chat, a model of one's own.
//! `docs/` has the same story at length, from `docs/getting-started.md` on.
//!
//! # Any model
//!
//! [`main_on_any`] gives the program the flag `--model`, so that the same service can be tried on each of
//! [`models::ALL`] and run on the one that suits it:
//!
//! ```no_run
//! use turnstile::{Request, Response};
//!
//! fn main() -> std::process::ExitCode {
//!     turnstile::main_on_any(|_: &()| {
//!         Ok::<_, String>(|_: &Request<'_>, response: &mut Response<'_>| _ = response.body(b"hello\n"))
//!     })
//! }
//! ```
//!
//! # Whose the state is
//!
//! | what is made | with | who has it |
//! |---|---|---|
//! | before the server starts | a field of the service | threads share it, each process has a copy |
//! | once per process | [`per_process`] | the threads of that process; it is `Sync` |
//! | once per worker | [`per_worker`] | one worker, which has it as `&mut self` |
//! | before the server starts, in shared memory | [`SharedCounter`] | everybody |
//!
//! A worker opens its database in what it gives to [`per_worker`]: after the fork, and for itself alone. A
//! service whose memory all workers must see returns [`Memory::OneProcess`] from [`Service::memory`], and a
//! model of several processes refuses it when it starts. One that may be copied returns [`Memory::Any`]; of one
//! that holds something and says neither, the server says at the start that each process has a copy.
//! [`EachProcess`] says it of a closure or an async handler.
//!
//! # What a handler finds
//!
//! | for | use |
//! |---|---|
//! | query, forms, cookies | [`Request::query_pairs`], [`Request::form`], [`Request::cookie`], [`Response::set_cookie`] |
//! | forms with files | [`Request::multipart`]; [`Multipart`] for those beyond the limit of memory |
//! | a large request body | [`Service::intake`] and a [`Sink`], which takes it in pieces, or an [`Upload`], which is read inside the call |
//! | preconditions and ranges | [`Request::condition`], [`Response::content`], [`Validators`] |
//! | a body of unknown length, or without end | [`Response::stream`], [`Response::events`] |
//! | redirects, HEAD | [`Response::redirect`], [`AutoHead`] |
//! | who asks, and which worker answers | [`Request::peer`], [`Request::place`] |
//!
//! # Await
//!
//! With the feature `async`, `async_service` takes an `async fn` from `http::Request` to `http::Response`, and with
//! `tower`, `tower_service` takes a router of axum. async-tasks awaits them in the task of the connection; models
//! whose workers may wait do so, each in a runtime of its own; models whose loop calls the service refuse them at
//! the start. With `http` alone, `http::http_service` takes a plain function of these types on every model;
//! `http::Adapter::with_large_bodies` lets it read a body of any size, where it may wait.
//!
//! # What is slow
//!
//! A service with requests that block or compute returns `true` from [`Service::has_slow_requests`], and says
//! of each in [`Service::nature`]. Models with threads beside their loops call it there; others say at the
//! start that their loop will be held.
//!
//! # When a handler fails
//!
//! One that panics is answered for with 500, and its connection ends; the worker goes on. A reply whose body has
//! another length than was announced, or fails half-way, is cut, so that it cannot pass for a whole one.
//!
//! # The models
//!
//! [`models`] lists them. Most have variants, which `--variant` chooses. The page of each says what it costs,
//! what breaks it and when to pick it. A model of your own is a [`Model`] value with a `run`.

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
    Address, AsyncReply, AsyncService, Built, EachProcess, Fill, Intake, Lifecycle, Limits, Memory,
    Method, Nature, Peer, Pending, Piece, Place, Protocol, Pull, Request, Response, ServeArgs,
    Service, SharedByThreads, SharedCounter, Sink, Source, Upload, WorkerService, main, main_owned,
    main_with, pending, per_process, per_process_and_worker, per_worker, serve, serve_with,
    unusable,
};
// What a handler finds: see docs/http.md.
#[doc(inline)]
pub use server::{
    AutoHead, Condition, Content, Cookie, ETag, Events, FormError, FormEvent, FormLimits, FormPart,
    FormParts, InvalidCookie, Multipart, Pairs, SameSite, Validators, pieces, reader,
};
#[cfg(feature = "files")]
#[doc(inline)]
pub use services::Files;
// What a model needs.
#[doc(inline)]
pub use server::{
    Accepted, Backoff, Block, Board, Calls, Children, Connection, Count, Drain, Error, Handover,
    Holds, Listener, Listeners, MAY_WAIT, Model, Need, Needs, ONE_PROCESS, OnDeadline, Phase,
    RequestCalls, Result, Roles, Server, ServingChild, Shutdown, ThreadSlot, ThreadSlots, Threads,
    Topology, Variant, Worker, Workers, log,
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
            $(#[cfg(feature = $feature)] #[doc(inline)] pub use $model;)*

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
