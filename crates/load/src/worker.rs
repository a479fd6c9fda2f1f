//! A thread of the generator: its loop, from the first connection to the last outcome.

mod connection;
mod event_loop;
mod state;
mod traffic;
mod window;

pub(crate) use self::state::Worker;
