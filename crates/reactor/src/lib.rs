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

mod edge;
mod handles;
mod held;
mod inbox;
mod listeners;
mod lock;
mod looping;
mod pool;
mod selector;
mod slots;
mod sync;
mod wheel;
mod work;

pub use handles::{Handle, Handles};
pub use inbox::{Inbox, Mailbox, inbox};
pub use listeners::Sharing;
pub use lock::AcceptLock;
pub use looping::Reactor;
pub use pool::{Pool, Stage, pool};
pub use selector::{
    Busy, Epoll, EpollEdge, Events, Interest, Poll, Ready, Select, Selector, ready,
};
pub use slots::{Slots, Token};
pub use wheel::{Timer, Wheel};
pub use work::{Consumer, Producer, work};
