//! What all concurrency models share: listeners, connections, workers, limits, the scoreboard, the drain
//! and the `serve` command line.
//!
//! A [`Model`] is a value with a function `run`, which contains the model's loop; nothing here calls the
//! model back. `run` gets a [`Server`], creates a [`Worker`] for each process, thread or loop that serves,
//! and serves [`Connection`]s with them:
//!
//! ```text
//!   Server ── accept ──▶ Connection ── step(worker) ──▶ Need ──▶ the model waits for that
//! ```
//!
//! Blocking and readiness models share [`Connection::step`]. In a blocking model it waits inside its system
//! calls, and [`Worker::serve`] is the loop around it. A readiness model calls it when the kernel reports
//! what the connection [`Need`]s. Completion models use the functions of a connection from
//! [`Connection::want`] to [`Connection::on_deadline`] instead.

#![forbid(unsafe_code)]

mod accept;
mod accepting;
mod acceptor;
mod address;
mod addresses;
mod admission;
mod alarm;
mod alternatives;
mod backoff;
mod blocking;
mod board;
mod bounded;
mod choice;
mod connection;
mod drain;
mod error;
mod fit;
mod front;
mod gate;
mod limits;
mod listeners;
mod log;
mod model;
mod natures;
mod notify;
mod observe;
mod options;
mod pid_file;
mod processes;
mod ready;
mod receiving;
mod refusal;
mod refused;
mod restart;
mod server;
mod signals;
mod start;
mod starting;
mod state;
mod thread_slots;
mod threads;
mod usage;
mod watchdog;
mod worker;
mod workers;

pub use accept::Accepted;
pub use accepting::{Accepting, Next};
pub use acceptor::Acceptor;
pub use address::Address;
pub use alternatives::{MAY_WAIT, ONE_PROCESS};
pub use backoff::Backoff;
pub use board::{Block, Board};
pub use choice::{choose, main_choosing};
pub use connection::completion::OnDeadline;
pub use connection::passing::{NUMBERS_BYTES, Numbers};
pub use connection::{Connection, Need};
pub use drain::{Drain, Phase};
pub use error::{Error, Result};
pub use front::SlowClients;
pub use listeners::{Listener, Listeners};
pub use log::{Topic, log, repeated};
pub use model::{Front, Model, Needs, Variant};
pub use observe::format::LogFormat;
pub use observe::sink::LogTarget;
pub use options::ServeArgs;
pub use processes::{Children, Life, ServingChild};
pub use proto::{
    AsyncReply, AsyncService, AutoHead, Condition, Content, Cookie, ETag, EachProcess, End, Events,
    Fill, FormError, FormEvent, FormLimits, FormPart, FormParts, Intake, InvalidCookie, Lifecycle,
    Limits, Memory, Method, Multipart, Nature, Pairs, Peer, Pending, Piece, Place, Protocol, Pull,
    Request, Response, SameSite, Service, Sink, Source, Upload, Validators, WorkerService, pending,
    pieces, reader,
};
pub use server::{Server, Shutdown};
pub use signals::hangups;
pub use start::{main, main_owned, main_with, serve, serve_with};
pub use state::{
    Built, SharedByThreads, SharedCounter, per_process, per_process_and_worker, per_worker,
};
pub use thread_slots::{Client, ThreadSlot, ThreadSlots};
pub use threads::Threads;
pub use usage::unusable;
pub use worker::Worker;
pub use workers::{Calls, Count, Handover, Holds, RequestCalls, Roles, Topology, Workers};
