//! The readiness loop: one selector, one table of connections, one wheel of deadlines.
//!
//! ```text
//!   loop {  wait (selector, until the next deadline)
//!           for each event:  door ─▶ accept      inbox ─▶ adopt      connection ─▶ step
//!           deadlines that passed ─▶ expire  }
//! ```
//!
//! [`Reactor`] is the loop. Its parts, [`Selector`], [`Slots`] and [`Wheel`], also serve models
//! that share them between threads in another order.

#![forbid(unsafe_code)]

mod inbox;
mod looping;
mod selector;
mod slots;
mod wheel;

pub use inbox::{Inbox, Mailbox, inbox};
pub use looping::Reactor;
pub use selector::{Events, Interest, Ready, Selector, ready};
pub use slots::{Slots, Token};
pub use wheel::{Timer, Wheel};
