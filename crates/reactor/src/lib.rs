//! The readiness loop: one selector, one table of connections, one wheel of deadlines.
//!
//! ```text
//!   loop {  wait (selector, until the next deadline)
//!           for each event:  listener ─▶ accept      inbox ─▶ adopt      connection ─▶ step
//!           deadlines that passed ─▶ expire  }
//! ```
//!
//! [`Reactor`] is the loop. Its parts, [`Selector`], [`Slots`] and [`Wheel`], also serve models
//! that share them between threads in another order.

#![forbid(unsafe_code)]

mod accept_lock;
mod edge;
mod handles;
mod inbox;
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
pub use pool::{Pool, PoolClient, pool};
pub use queue::{Consumer, Producer, work_queue};
pub use reactor::Reactor;
pub use selector::{Interest, Ready, Selector};
pub use selectors::{Busy, Epoll, EpollEdge, Events, Poll, Select, ready};
pub use slots::{Slots, Token};
pub use source::Source;
pub use wheel::{Timer, Wheel};
