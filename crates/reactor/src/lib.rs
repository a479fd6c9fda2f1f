//! The readiness loop: one selector, one table of connections, one wheel of deadlines.
//!
//! ```text
//!   loop {  wait:       in the selector, until the next deadline
//!           sources:    connection ─▶ step · listener ─▶ accept · drain ─▶ empty the listeners
//!           deadlines:  connection ─▶ expire · pause in accepting ─▶ watch the listeners again  }
//! ```
//!
//! [`Reactor`] is the loop. [`Handles`] is a set of connections that several threads serve, for
//! models whose threads share connections. Both are made of a [`Selector`], a table with
//! [`Token`]s, and a [`Wheel`]; both are told when to accept by [`server::Accepting`]. [`Source`]
//! says what an event is about. [`inbox`], [`work_queue`] and [`pool`] connect loops with other
//! threads.

#![forbid(unsafe_code)]

mod accept_lock;
mod edge;
pub mod front;
mod handles;
mod inbox;
mod job;
mod listeners;
mod pool;
mod queue;
mod reactor;
mod selector;
mod selectors;
mod slots;
mod source;
mod sync;
mod watched;
mod wheel;

pub use accept_lock::AcceptLock;
pub use handles::{Handle, Handles};
pub use inbox::{Inbox, Mailbox, inbox};
pub use listeners::Sharing;
pub use pool::{Pool, PoolClient, Taken, pool};
pub use queue::{Consumer, Producer, work_queue};
pub use reactor::Reactor;
pub use selector::{Interest, Ready, Selector, Wakes};
pub use selectors::{Busy, Epoll, EpollEdge, Events, Poll, Select, ready};
pub use slots::{Slots, Token};
pub use source::Source;
pub use wheel::{Timer, Wheel};
