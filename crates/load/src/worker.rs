//! A thread of the generator, from its first connection to the outcome of its last request.

mod checks;
mod connection;
mod event_loop;
mod receive;
mod send;
mod state;
mod think;

pub(crate) use self::state::Worker;
