//! What every concurrency model shares: listeners, connections, workers, limits, the scoreboard,
//! the drain and the `serve` command line.
//!
//! A model is a value, [`Model`], whose `run` owns its loop; nothing here calls it back. It gets a
//! [`Server`], makes one [`Worker`] for each process, thread or loop that serves, and moves
//! [`Connection`]s through them:
//!
//! ```text
//!   Server ── accept ──▶ Connection ── step(worker) ──▶ Need ──▶ wait for it, in the model's way
//! ```
//!
//! [`Connection::step`] is the one step function of the blocking and the readiness models. A
//! blocking model has it wait inside its receives ([`Worker::serve`] is the loop around it); a
//! readiness model calls it when what the connection [`Need`]s is there.

#![forbid(unsafe_code)]

mod accept;
mod accepting;
mod alarm;
mod backoff;
mod blocking;
mod board;
mod connection;
mod drain;
mod limits;
mod listeners;
mod log;
mod model;
mod options;
mod processes;
mod refusal;
mod server;
mod signals;
mod start;
mod thread_slots;
mod threads;
mod usage;
mod watchdog;
mod worker;

pub use accept::Accepted;
pub use accepting::{Accepting, Next};
pub use backoff::Backoff;
pub use board::{Block, Board};
pub use connection::completion::OnDeadline;
pub use connection::{Connection, Need};
pub use drain::{Drain, Phase};
pub use listeners::{Listener, Listeners};
pub use log::log;
pub use model::{Count, Holds, Model, Needs, Roles, Variant, Workers};
pub use options::ServeArgs;
pub use processes::{Children, ServingChild};
pub use proto::{Limits, Method, Nature, Place, Protocol, Request, Response, Service};
pub use server::{Server, Shutdown};
pub use start::{main, main_with, serve, serve_with};
pub use thread_slots::{ThreadSlot, ThreadSlots};
pub use threads::Threads;
pub use usage::unusable;
pub use worker::Worker;
